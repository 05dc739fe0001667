"""Published ports of a container, and what leads to aardvark-dns, which Podman 5 puts in front of them."""

from __future__ import annotations

from netlab.engine.podman.host_state import Container, Endpoint, HostState, LiveNetwork
from netlab.engine.podman_4 import port as podman_4
from netlab.engine.podman_4.chains import DNAT


def setup(state: HostState, network: LiveNetwork, container: Container, own: Endpoint) -> None:
    """The chains that all ports share, the way to aardvark-dns, then the rules of every port."""
    for family in own.addresses:
        tables = state.tables[family]
        podman_4.base(tables)
        for text in podman_4.dns(state, network, family):
            tables.insert("nat", DNAT, text, podman_4.dns_reason(network))
        podman_4.publish(state, network, container, own, family)
