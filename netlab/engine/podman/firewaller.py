"""What one firewall driver of netavark does: the contract that the folders of rules fill in.

Source: netavark, src/firewall/mod.rs (FirewallDriver).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from netlab.engine.podman.host_state import Container, Endpoint, HostState, LiveNetwork

OnNetwork = Callable[[HostState, LiveNetwork], None]
OnPorts = Callable[[HostState, LiveNetwork, Container, Endpoint], None]


@dataclass(frozen=True, slots=True)
class Firewaller:
    """One driver. None of these is called for an internal network, which has no rules."""

    setup_network: OnNetwork  #: a container joins; nothing that is there already is written again
    teardown_network: OnNetwork  #: the last container has left
    setup_ports: OnPorts
    teardown_ports: OnPorts
    #: the last container leaves, after :attr:`teardown_ports`: what its network had for ports
    teardown_last_ports: OnPorts
