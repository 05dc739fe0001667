"""The rules of Docker 29's iptables backend: as 28, with no isolation between networks but by default drops.

Measured on moby's main branch of August 2026.
"""

from dataclasses import replace

from netlab.engine.docker_28 import FIREWALLER as DOCKER_28
from netlab.engine.docker_29 import chains, network

FIREWALLER = replace(
    DOCKER_28,
    start=chains.start,
    add_network=network.add,
    remove_network=network.remove,
    leave=chains.leave,
)
