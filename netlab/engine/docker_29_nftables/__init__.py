"""The rules of Docker 29's nftables backend: a table of Docker's own for each family.

Measured on moby's main branch of August 2026 with ``--firewall-backend=nftables``.
"""

from netlab.engine.docker.firewaller import Firewaller
from netlab.engine.docker_29_nftables import chains, endpoint, link, network, port

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
