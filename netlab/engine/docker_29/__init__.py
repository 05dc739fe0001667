"""The rules of Docker 29's iptables backend: as 28, with no isolation between networks but by default drops.

Measured on moby's main branch of August 2026.
"""

from netlab.engine.docker.firewaller import Firewaller
from netlab.engine.docker_29 import chains, endpoint, link, network, port

FIREWALLER = Firewaller(
    start=chains.start,
    forward_policy=chains.forward_policy,
    add_network=network.add,
    remove_network=network.remove,
    user_chain=chains.user_chain,
    add_endpoint=endpoint.add,
    remove_endpoint=endpoint.remove,
    add_binding=port.add,
    remove_binding=port.remove,
    add_link=link.add,
    remove_link=link.remove,
    leave=chains.leave,
)
