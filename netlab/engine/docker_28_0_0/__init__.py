"""The rules of Docker 28.0.0: those of 28, but for FORWARD, which has two ipsets of the networks' subnets.

Measured on 28.0.0. Kernels without ip_set could not run it; 28.0.1 has chains in their place (moby#49530).
"""

from dataclasses import replace

from netlab.engine.docker_28 import FIREWALLER as DOCKER_28
from netlab.engine.docker_28_0_0 import chains, network

FIREWALLER = replace(
    DOCKER_28,
    start=chains.start,
    add_network=network.add,
    remove_network=network.remove,
)
