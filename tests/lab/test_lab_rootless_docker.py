"""Rootless Docker, as recorded of dockerd 20.10.24 with rootlesskit 1.1.0 and slirp4netns 1.2.0.

client ──── ext0 host  *:8080 rootlesskit ──► host-rootless  docker-proxy ──► web
                       slirp4netns ══ tap0 ──► DNAT, FORWARD ──► web
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import netlab
from netlab.lab.lab import Lab

FILE = """
services:
  web:
    image: a
    networks: {{nw: {{ipv4_address: 192.168.10.2}}}}
    ports: ["8080:80", "127.0.0.1:8081:80", "5353:53/udp", "198.51.100.1:9095:80"]
networks:
  nw: {{ipam: {{config: [{{subnet: 192.168.10.0/24}}]}}}}
x-netlab:
  host:
    engine: docker-20.10
    rootless: true
    listen: [6000]
    environment: {{DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER: {driver}}}
"""
HOST, CLIENT, GATEWAY = "198.51.100.1", "198.51.100.2", "192.168.10.1"
REFUSED = ("refused", None)
#: flow, family → outcome, the address that the server saw
BUILTIN = {
    ("client -> host:8080", 4): ("ok", GATEWAY),
    ("client -> host:8080", 6): ("ok", GATEWAY),
    ("client -> host:5353/udp", 4): ("ok", GATEWAY),
    ("client -> host:5353/udp", 6): ("ok", GATEWAY),
    ("client -> host:8081", 4): REFUSED,
    ("client -> host:9095", 4): ("ok", GATEWAY),
    ("host -> host:8080", 4): ("ok", GATEWAY),
    ("host -> localhost:8080", 4): ("ok", GATEWAY),
    ("host -> localhost:8080", 6): ("ok", GATEWAY),
    ("host -> localhost:8081", 4): ("ok", GATEWAY),
    ("host -> localhost:8081", 6): REFUSED,
    ("host -> localhost:5353/udp", 4): ("ok", GATEWAY),
    ("web -> host:6000", 4): ("ok", HOST),
    ("web -> host:8080", 4): ("ok", GATEWAY),
    ("web -> client:7000", 4): ("ok", HOST),
    ("web -> client:7000", 6): ("no-route", None),
    ("web -> 10.0.2.2:6000", 4): ("unreachable", None),
}
SLIRP = {
    ("client -> host:8080", 4): ("ok", CLIENT),
    ("client -> host:8080", 6): REFUSED,
    ("client -> host:5353/udp", 4): ("ok", CLIENT),
    ("client -> host:8081", 4): REFUSED,
    ("host -> host:8080", 4): ("ok", HOST),
    ("host -> host:5353/udp", 4): ("ok", HOST),
    ("host -> localhost:8080", 4): ("ok", "10.0.2.2"),
    ("host -> localhost:8081", 4): ("ok", GATEWAY),
    ("host -> localhost:5353/udp", 4): ("timeout", None),
    ("web -> host:6000", 4): ("ok", HOST),
    ("web -> host:8080", 4): ("ok", HOST),
    ("web -> client:7000", 4): ("ok", HOST),
}
MEASURED = {"builtin": BUILTIN, "slirp4netns": SLIRP}


@pytest.fixture(scope="module", params=["builtin", "slirp4netns"])
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Lab]]:
    file = tmp_path_factory.mktemp("rootless") / "docker.yaml"
    file.write_text(FILE.format(driver=request.param))
    with netlab.Lab(file) as lab:
        yield request.param, lab


def test_flows_are_those_that_were_recorded(built: tuple[str, Lab]) -> None:
    driver, lab = built
    found = {}
    for flow, family in MEASURED[driver]:
        journey = lab.probe(flow, family=family)
        found[flow, family] = (journey.outcome, journey.sees.address if journey.sees else None)
    assert found == MEASURED[driver]


def test_each_connection_on_the_way_is_a_leg(built: tuple[str, Lab]) -> None:
    driver, lab = built
    for flow in ("client -> host:8080", "client -> host:5353/udp"):
        journey = lab.probe(flow, family=4)
        first, second = journey.legs
        assert (first.node, second.node) == ("host", "host-rootless")
        assert journey.path == "proxy"
        if driver == "builtin":
            packets = [visit.packet.dst.rpartition(":")[0] for visit in second.hooks]
            assert second.by == "rootlesskit"
            assert packets == ["127.0.0.1"] * 4 + ["192.168.10.2"] * 2
        else:
            assert second.by == "slirp4netns"
            assert second.nat.dnat is not None
            assert [visit.hook for visit in second.hooks] == ["prerouting", "forward", "postrouting"]


def test_nothing_is_written_on_the_host(built: tuple[str, Lab]) -> None:
    _, lab = built
    assert "DOCKER" not in lab.exec("host", ["nft", "list", "ruleset"]).stdout
    assert "docker" not in lab.exec("host", ["ip", "link"]).stdout
    assert "DOCKER" in lab.exec("host-rootless", ["iptables-save"]).stdout
