"""The rules of Docker 19.03 to 27: FORWARD holds every bridge's own rules, and two isolation stages.

Measured on 19.03.15, 20.10.24, 24.0.9, 26.1.5 and 27.5.1, which differ in what :class:`Traits` says alone.
"""

from netlab.engine.docker.firewaller import Firewaller
from netlab.engine.docker_20_10 import chains, endpoint, link, network, port

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
    forget_isolation=network.forget_isolation,
)
