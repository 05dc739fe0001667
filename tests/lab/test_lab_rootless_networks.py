"""Rootless Podman with a network, as recorded of 4.3.1, 5.4.2 and 5.8.6.

client ──── ext0 host  *:8080 rootlessport ──► web, from inside it
                       pasta or slirp4netns ══ host-rootless  podman1 ── web, sib
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
    networks: {{nw: {{ipv4_address: 192.168.10.10}}}}
    ports: ["8080:80", "5353:53/udp", "127.0.0.1:8081:80"]
  sib: {{image: a, networks: {{nw: {{ipv4_address: 192.168.10.20}}}}}}
networks:
  nw: {{ipam: {{config: [{{subnet: 192.168.10.0/24}}]}}}}
x-netlab:
  host:
    engine: {engine}
    rootless: true
    listen: [6000]
    routes: ["default via 198.51.100.2", "default via 2001:db8:1::2"]
"""
HOST, WEB = "198.51.100.1", "192.168.10.10"
#: flow, family → outcome, the address that the server saw
BOTH = {
    ("client -> host:8080", 4): ("ok", WEB),
    ("client -> host:8080", 6): ("ok", WEB),
    ("client -> host:5353/udp", 4): ("ok", WEB),
    ("client -> host:8081", 4): ("refused", None),
    ("host -> host:8080", 4): ("ok", WEB),
    ("host -> localhost:8081", 4): ("ok", WEB),
    ("web -> client:7000", 4): ("ok", HOST),
    ("web -> client:7000/udp", 4): ("ok", HOST),
}
PASTA = BOTH | {
    ("web -> host:8080", 4): ("timeout", None),
    ("sib -> host:8080", 4): ("ok", "192.168.10.1"),
    ("web -> 169.254.1.2:6000", 4): ("ok", HOST),
}
SLIRP = BOTH | {
    ("web -> host:8080", 4): ("ok", WEB),
    ("sib -> host:8080", 4): ("ok", WEB),
    ("web -> host:6000", 4): ("ok", HOST),
}
MEASURED = {"podman-5-nftables": PASTA, "podman-4": SLIRP}


@pytest.fixture(scope="module", params=sorted(MEASURED))
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Lab]]:
    file = tmp_path_factory.mktemp("rootless") / "networks.yaml"
    file.write_text(FILE.format(engine=request.param))
    with netlab.Lab(file) as lab:
        yield request.param, lab


def test_flows_are_those_that_were_recorded(built: tuple[str, Lab]) -> None:
    engine, lab = built
    found = {}
    for flow, family in MEASURED[engine]:
        journey = lab.probe(flow, family=family)
        found[flow, family] = (journey.outcome, journey.sees.address if journey.sees else None)
    assert found == MEASURED[engine]


def test_rootlessport_connects_from_inside_the_container(built: tuple[str, Lab]) -> None:
    _, lab = built
    first, second = lab.probe("client -> host:8080", family=6).legs
    assert (first.node, second.node, second.by) == ("host", "web", "rootlessport")
    assert second.hooks[0].packet.dst == f"{WEB}:80"


def test_the_rules_are_in_the_users_namespace(built: tuple[str, Lab]) -> None:
    engine, lab = built
    tool = ["nft", "list", "ruleset"] if engine.endswith("nftables") else ["iptables-save"]
    assert "NETAVARK" in lab.exec("host-rootless", tool).stdout
    assert "NETAVARK" not in lab.exec("host", tool).stdout
