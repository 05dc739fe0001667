"""Packets by hand are traced like others: fragments, flags that begin nothing, sources that are not ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.sctp import SCTP, SCTPChunkInit

import netlab
from netlab.journey.sentence import sentence
from netlab.kernel.packet import template
from netlab.model.family import FAMILIES, Family
from netlab.model.journey import Icmp, Journey, Sees
from netlab.model.shape import Shape

SEED = str(Path(__file__).parents[3] / "scenarios" / "httpd.yaml")
CUT = {"payload": "0123456789abcdefghij", "fragment": 8}
PORT_UNREACHABLE = {
    Family.IPV4: Icmp(3, 3, "198.51.100.1"),
    Family.IPV6: Icmp(1, 4, "2001:db8:1::1"),
}


@pytest.fixture(scope="module")
def lab() -> Iterator[netlab.Lab]:
    with netlab.Lab(SEED, name=f"crafted-{os.getpid()}") as built:
        yield built


def letters(journey: Journey) -> list[str]:
    return [leg.letters for leg in journey.legs]


@pytest.mark.parametrize("family", FAMILIES)
def test_fragments_are_one_packet(lab: netlab.Lab, family: Family) -> None:
    echo = lab.probe("client -> host/icmp", family=family, **CUT)
    assert (echo.outcome, echo.path, letters(echo)) == ("ok", "local", ["PI"])
    datagram = lab.probe("client -> host:81/udp", family=family, **CUT)
    assert (datagram.outcome, datagram.path, letters(datagram)) == ("unreachable", "local", ["PI"])
    assert datagram.icmp == PORT_UNREACHABLE[family]


def test_fragments_are_rewritten_and_routed_whole(lab: netlab.Lab) -> None:
    journey = lab.probe("client -> host:80/tcp", family=4, syn=True, payload="x" * 40, fragment=24)
    assert (journey.outcome, journey.path, letters(journey)) == ("ok", "forward", ["PFS"])
    assert journey.legs[0].nat.dnat == "192.168.10.10:80"


@pytest.mark.parametrize("flags", ["A", "FPU", "F"])
def test_a_segment_that_begins_nothing_is_seen_on_its_way(lab: netlab.Lab, flags: str) -> None:
    """Such a segment has no bit that distinguishes it from those of established connections."""
    routed = lab.probe("client -> httpd:80/tcp", family=4, flags=flags)
    assert (routed.path, letters(routed), routed.probe) == ("forward", ["PFS"], "segment")
    for family in FAMILIES:
        here = lab.probe("client -> host:9/tcp", family=family, flags=flags)
        assert (here.path, letters(here)) == ("local", ["PI"])
        assert here.outcome == "refused"


def test_what_answers_a_forged_source_is_read_from_the_trace(lab: netlab.Lab) -> None:
    """The neighbour's address: the sender that forged it gets no answer."""
    answered = lab.probe("client -> host:80/tcp", family=4, source="198.51.100.3")
    assert (answered.outcome, answered.sees) == ("ok", Sees("198.51.100.3", "neighbour"))
    refused = lab.probe("client -> host:9/tcp", family=4, source="198.51.100.3")
    assert refused.outcome == "refused"
    unreachable = lab.probe("client -> host:9/udp", family=4, source="198.51.100.3")
    assert (unreachable.outcome, unreachable.icmp) == ("unreachable", Icmp(3, 3, "198.51.100.1"))


@pytest.mark.parametrize(
    ("target", "outcome"), [("REJECT", "unreachable"), ("REJECT --reject-with tcp-reset", "refused")]
)
def test_a_syn_that_no_rule_in_sight_rejects(lab: netlab.Lab, target: str, outcome: str) -> None:
    """iptables-legacy has no trace: no route is blamed, and no socket."""
    rule = ["FORWARD", "-p", "tcp", "--dport", "80", "-j", *target.split()]
    lab.exec("host", ["iptables-legacy", "-I", *rule], check=True)
    try:
        journey = lab.probe("client -> httpd:80/tcp via host", family=4)
    finally:
        lab.exec("host", ["iptables-legacy", "-D", *rule], check=True)
    assert (journey.outcome, journey.decided_by.kind) == (outcome, "unmeasured")


ECHO_REQUEST = {
    Family.IPV4: ["-p", "icmp", "--icmp-type", "echo-request"],
    Family.IPV6: ["-p", "ipv6-icmp", "--icmpv6-type", "echo-request"],
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("node", "chain"), [("client", "OUTPUT"), ("host", "INPUT")])
def test_an_echo_is_refused_by_no_socket(lab: netlab.Lab, node: str, chain: str, family: Family) -> None:
    """An echo has no port, so a port unreachable is a rule's: here one that has no trace."""
    tool = "iptables-legacy" if family is Family.IPV4 else "ip6tables-legacy"
    rule = [chain, *ECHO_REQUEST[family], "-j", "REJECT"]
    lab.exec(node, [tool, "-I", *rule], check=True)
    try:
        journeys = [lab.probe("client -> host/icmp", family=family)]
        if node == "host":
            forged = "198.51.100.3" if family is Family.IPV4 else "2001:db8:1::3"
            journeys.append(lab.probe("client -> host/icmp", family=family, source=forged))
    finally:
        lab.exec(node, [tool, "-D", *rule], check=True)
    for journey in journeys:
        assert (journey.outcome, journey.decided_by.kind) == ("unreachable", "unmeasured")
        assert journey.icmp is not None
        assert f"{tool} rules in filter of {node}" in sentence(journey)


def test_a_segment_may_be_refused_by_a_rule_that_is_not_in_sight(lab: netlab.Lab) -> None:
    rule = ["INPUT", "-p", "tcp", "--dport", "80", "-j", "REJECT", "--reject-with", "tcp-reset"]
    lab.exec("httpd", ["iptables-legacy", "-I", *rule], check=True)
    try:
        journey = lab.probe("client -> host:80/tcp", family=4, flags="A")
    finally:
        lab.exec("httpd", ["iptables-legacy", "-D", *rule], check=True)
    assert (journey.outcome, journey.decided_by.kind) == ("refused", "unmeasured")


def test_a_redirect_is_no_error(lab: netlab.Lab) -> None:
    """The host sends one, because the neighbour is on the client's own link; then FORWARD's policy drops."""
    for flow in ("client -> neighbour:7000/tcp via host", "client -> neighbour:7000/udp via host"):
        dropped = lab.probe(flow, family=4)
        assert (dropped.outcome, dropped.path, dropped.icmp) == ("timeout", "forward", None)
        assert dropped.decided_by.kind == "policy"


def test_a_hop_limit_that_runs_out_on_the_way(lab: netlab.Lab) -> None:
    journey = lab.probe("client -> host:80/tcp", family=4, hops=1)
    assert (journey.outcome, journey.icmp) == ("unreachable", Icmp(11, 0, "198.51.100.1"))


UNROUTED = """
services:
  web: {image: nginx, ports: ["8080:80"]}
  db: {image: postgres}
x-netlab:
  host: {engine: docker-20.10}
"""


@pytest.fixture(scope="module")
def unrouted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[netlab.Lab]:
    """A host without a default route."""
    file = tmp_path_factory.mktemp("unrouted") / "unrouted.yaml"
    file.write_text(UNROUTED)
    with netlab.Lab(str(file), name=f"unrouted-{os.getpid()}") as built:
        yield built


@pytest.mark.parametrize(
    ("flow", "path"),
    [("client -> 198.51.100.1:8080/tcp", "forward"), ("client -> 198.51.100.1:9/tcp", "local")],
)
def test_an_answer_without_a_route_to_the_forged_source_is_none(
    unrouted: netlab.Lab, flow: str, path: str
) -> None:
    """A container answers, and its host has no route for the answer; a host sends no reset at all."""
    journey = unrouted.probe(flow, source="203.0.113.9")
    decision = journey.decided_by
    assert (journey.outcome, journey.path) == ("timeout", path)
    assert (decision.kind, decision.node, decision.direction) == ("route", "host", "reply")
    assert "host has no way back for its answer: ip route get 203.0.113.9" in sentence(journey)


def test_an_answer_for_which_no_neighbour_is_found_is_none(unrouted: netlab.Lab) -> None:
    """The forged source would be on the link, and nobody there has it."""
    journey = unrouted.probe("client -> 198.51.100.1:8080/tcp", source="198.51.100.77")
    assert (journey.outcome, journey.path, journey.decided_by.kind) == ("timeout", "forward", "none")
    assert "sent the answer out by ext0, and found no neighbour there to take it" in sentence(journey)
    there = unrouted.probe("client -> 198.51.100.1:8080/tcp", source="198.51.100.3")
    assert (there.outcome, there.path) == ("ok", "forward")


@pytest.mark.parametrize("family", FAMILIES)
def test_sctp_by_hand_is_sctp(lab: netlab.Lab, family: Family) -> None:
    """Its hooks are seen, whether or not this kernel has sockets of SCTP."""
    journey = lab.probe("client -> host:9/sctp via host", family=family)
    assert (journey.path, letters(journey)) == ("local", ["PI"])
    assert journey.legs[0].hooks[0].packet.dst.endswith(":9")
    assert journey.outcome in ("refused", "unreachable")


@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp"])
def test_nothing_answers_at_a_broadcast_address(lab: netlab.Lab, protocol: str) -> None:
    journey = lab.probe(f"client -> 198.51.100.255:9/{protocol} via host")
    assert (journey.outcome, journey.path) == ("timeout", "local")
    assert sentence(journey).endswith("host answers nobody at a broadcast address.")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_checksum_of_sctp_is_the_protocols(family: Family) -> None:
    """Another implementation makes the same packet, and the same checksum."""
    ends = ("198.51.100.2", "198.51.100.1") if family is Family.IPV4 else ("2001:db8::1", "2001:db8::2")
    packet = template(Shape(family, "sctp")).fill(ends[0], 40000, ends[1], 80)
    layers = (IP if family is Family.IPV4 else IPv6)(packet)
    assert isinstance(layers.payload, SCTP)
    assert isinstance(layers.payload.payload, SCTPChunkInit)
    assert (layers.sport, layers.dport, len(packet) - len(layers.payload)) == (40000, 80, len(packet) - 48)
    told = layers.payload.chksum
    layers.payload.chksum = None
    assert type(layers)(bytes(layers)).payload.chksum == told


def test_the_reset_of_the_senders_kernel_is_another_packet(unrouted: netlab.Lab) -> None:
    """The kernel of web knows no connection for db's answer; its RST goes past the host, over the bridge."""
    around = unrouted.probe("web -> db:5432/tcp via host", family=4)
    assert (around.outcome, around.path, letters(around)) == ("ok", "forward", ["PFS"])
    assert not around.switched
    accepted = around.legs[0].hooks[1].rules[-1]
    assert accepted.rule is not None
    assert "ESTABLISHED" not in accepted.rule
    straight = unrouted.probe("web -> db:5432/tcp", family=4, syn=True)
    assert [visit.hook for visit in straight.switched] == ["prerouting", "forward", "postrouting"]
