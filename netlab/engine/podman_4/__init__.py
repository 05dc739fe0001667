"""The rules of netavark's iptables driver in Podman 4, which has no other.

Measured on Podman 4.3.1 (netavark 1.4.0).
"""

from netlab.engine.podman.firewaller import Firewaller
from netlab.engine.podman_4 import network, port

FIREWALLER = Firewaller(
    setup_network=network.setup,
    teardown_network=network.teardown,
    setup_ports=port.setup,
    teardown_ports=port.teardown,
    teardown_last_ports=port.teardown_last,
)
