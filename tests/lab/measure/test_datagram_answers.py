"""Datagrams answered from another address than was asked, link-local addresses, and a sender's own drop."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import netlab
from netlab.journey.sentence import sentence
from netlab.kernel import netns

SCENARIO = """
services:
  web: {image: nginx, expose: ["53/udp", "80"]}
x-netlab:
  host:
    engine: docker-28
    listen: ["53/udp", "22"]
    udp_source: routed
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[netlab.Lab]:
    file: Path = tmp_path_factory.mktemp("datagrams") / "datagrams.yaml"
    file.write_text(SCENARIO)
    with netlab.Lab(str(file), name=f"datagrams-{os.getpid()}") as built:
        yield built


def who_answers(lab: netlab.Lab, node: str, to: tuple[str, int]) -> str:
    """The address from which an ordinary unconnected socket gets an answer."""
    with netns.entered(lab.namespaces[node]), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(60)
        sock.sendto(b"who\n", to)
        return str(sock.recvfrom(1024)[1][0])


def test_docker0_answers_in_the_place_of_the_address_that_was_asked(lab: netlab.Lab) -> None:
    """moby#15127: a server on the host without IP_PKTINFO answers a container from its bridge's address."""
    journey = lab.probe("web -> host:53/udp", family=4)
    bridge = who_answers(lab, "web", ("198.51.100.1", 53))
    assert bridge != "198.51.100.1"
    assert (journey.outcome, journey.decided_by.kind, journey.decided_by.node) == ("timeout", "none", "host")
    assert sentence(journey) == (
        f"No answer reached web: host answered from {bridge}:53, not from 198.51.100.1:53."
    )


def test_from_the_lan_it_is_the_address_that_was_asked(lab: netlab.Lab) -> None:
    journey = lab.probe("client -> host:53/udp", family=4)
    assert (journey.outcome, journey.answered_by) == ("ok", "host")
    assert who_answers(lab, "client", ("198.51.100.1", 53)) == "198.51.100.1"


def link_local(lab: netlab.Lab, node: str, interface: str) -> str:
    with netns.entered(lab.namespaces[node]):
        shown = subprocess.run(
            ["ip", "-6", "-o", "addr", "show", "dev", interface, "scope", "link"],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    return shown.split("inet6 ")[1].split("/")[0]


@pytest.mark.parametrize("protocol", ["22/tcp", "53/udp", "icmp"])
def test_a_link_local_address(lab: netlab.Lab, protocol: str) -> None:
    address = link_local(lab, "host", "ext0")
    port = "/icmp" if protocol == "icmp" else f":{protocol}"
    journey = lab.probe(f"client -> [{address}]{port}")
    scoped = lab.probe(f"client -> [{address}%eth0]{port}")
    for one in (journey, scoped):
        assert (one.outcome, one.path, one.legs[0].hooks[0].iif) == ("ok", "local", "ext0")
        assert one.sees is not None
        assert one.sees.address == link_local(lab, "client", "eth0")


def test_a_link_local_address_of_which_link(lab: netlab.Lab) -> None:
    with pytest.raises(netlab.UsageError, match="interfaces of client with link-local addresses: eth0"):
        lab.probe("client -> [fe80::1%eth7]:80")
    with pytest.raises(netlab.UsageError, match="the link of fe80::1 must be said"):
        lab.probe("host -> [fe80::1]:80")


def test_a_container_drops_its_own_datagrams(lab: netlab.Lab) -> None:
    rule = ["OUTPUT", "-p", "udp", "--dport", "7000", "-j", "DROP"]
    with netns.entered(lab.namespaces["web"]):
        subprocess.run(["iptables", "-I", *rule], check=True)
    try:
        journey = lab.probe("web -> client:7000/udp", family=4)
    finally:
        with netns.entered(lab.namespaces["web"]):
            subprocess.run(["iptables", "-D", *rule], check=True)
    assert (journey.outcome, journey.decided_by.node, journey.decided_by.chain) == (
        "timeout",
        "web",
        "OUTPUT",
    )
    assert [leg.node for leg in journey.legs] == ["web"]
