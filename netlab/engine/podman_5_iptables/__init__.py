"""The rules of netavark's iptables driver in Podman 5 (``firewall_driver = "iptables"``).

Measured on Podman 5.4.2 (netavark 1.14.0) and 5.8.6 (1.17.2), whose rules are equal.
"""

from netlab.engine.podman.firewaller import Firewaller
from netlab.engine.podman_4 import port as podman_4
from netlab.engine.podman_5_iptables import network, port

FIREWALLER = Firewaller(
    setup_network=network.setup,
    teardown_network=network.teardown,
    setup_ports=port.setup,
    teardown_ports=podman_4.teardown,
    teardown_last_ports=podman_4.teardown_last,
)
