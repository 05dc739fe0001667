"""The rules of Docker 28: Docker's own chains, to which FORWARD jumps, and drops before routing in raw.

Measured on 28.5.2. Legacy links have the rules of 20.10, which match nothing that the drops before them do.
"""

from netlab.engine.docker.firewaller import Firewaller
from netlab.engine.docker_20_10 import link
from netlab.engine.docker_28 import chains, endpoint, network, port

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
)
