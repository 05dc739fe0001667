"""Which connections the host forgets when a container's ports open and close, by version.

Source: 20.10.24, 23.0.18, 25.0.6, 26.1.5 and 28.5.2 with a client that goes on sending; moby#44742,
moby#52423, moby#52640, moby#53384 for the others.
"""

from __future__ import annotations

import pytest

from netlab.model.event import ContainerSpec, ContainerStart, EndpointSpec, NetworkCreate, NetworkSpec
from netlab.model.plan import ForgottenConnections
from netlab.model.problem import Position
from netlab.model.scenario import Host, Pool, PortMapping
from netlab.plan.build import refold

PORTS = (
    PortMapping(53, "udp", (5353, 5353)),
    PortMapping(54, "udp", (54, 54), "127.0.0.1"),
    PortMapping(80, "tcp", (80, 80)),
)
BY_HOST_PORT = frozenset({("", 5353), ("", 54)})
NOTHING: frozenset[tuple[str, int]] = frozenset()


def forgotten(engine: str, *ports: PortMapping) -> ForgottenConnections:
    web = ContainerSpec("web", "web", "a" * 64, "front", (EndpointSpec("front"),), ports)
    made = NetworkCreate(NetworkSpec("front", "b" * 64, pools=(Pool("192.0.2.0/24"),)))
    host = Host("host", Position("scenario.yaml", 1, 1), engine=engine)
    (found,) = refold(host, (made, ContainerStart(web))).facts.containers
    assert found.forgets is not None
    return found.forgets


@pytest.mark.parametrize(
    ("engine", "opened", "closed"),
    [
        ("docker-19.03", NOTHING, NOTHING),
        ("docker-20.10", NOTHING, NOTHING),
        ("docker-23", BY_HOST_PORT, BY_HOST_PORT),
        ("docker-26", BY_HOST_PORT, BY_HOST_PORT),
        ("docker-28", BY_HOST_PORT, BY_HOST_PORT),
        ("docker-29.0.0", BY_HOST_PORT, NOTHING),
        ("docker-29.4.0", BY_HOST_PORT, NOTHING),
        # the wildcard address is compared as it is, and so matches nothing
        ("docker-29.5.0", {("127.0.0.1", 54)}, NOTHING),
        # the container's port is looked for among those of the host
        ("docker-29.5.1", {("", 53), ("127.0.0.1", 54)}, NOTHING),
        ("docker-29", {("", 53), ("127.0.0.1", 54)}, NOTHING),
        ("docker-29-nftables", {("", 53), ("127.0.0.1", 54)}, NOTHING),
    ],
)
def test_what_was_sent_to_published_udp_ports(
    engine: str, opened: frozenset[tuple[str, int]], closed: frozenset[tuple[str, int]]
) -> None:
    found = forgotten(engine, *PORTS)
    assert set(found.udp_opened) == opened
    assert set(found.udp_closed) == closed
    assert found.answered_by == ("192.0.2.2",)


def test_tcp_alone_is_forgotten_by_the_container_s_address() -> None:
    for engine in ("docker-20.10", "docker-28", "docker-29"):
        found = forgotten(engine, PORTS[2])
        assert found == ForgottenConnections(("192.0.2.2",))
