"""The flow grammar: what each form means, and where a wrong one goes wrong."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.model.family import Family
from netlab.model.flow import FlowPattern, Target
from netlab.model.problem import Position, ScenarioError
from netlab.scenario.flow import parse_flow

AT = Position("f", 3, 10)


def pattern(text: str) -> FlowPattern:
    return parse_flow(text, AT)


GOOD = [
    ("client -> host:80/tcp", ("client",), Target("host"), ((80, 80),), "tcp", None),
    ("client->host:80", ("client",), Target("host"), ((80, 80),), "tcp", None),
    ("my-web -> db:5432", ("my-web",), Target("db"), ((5432, 5432),), "tcp", None),
    ("my-web->db:5432", ("my-web",), Target("db"), ((5432, 5432),), "tcp", None),
    ("web-* -> db:1", ("web-*",), Target("db"), ((1, 1),), "tcp", None),
    ("[a, b ,c*] -> host:80", ("a", "b", "c*"), Target("host"), ((80, 80),), "tcp", None),
    ("[a,a] -> host:80", ("a",), Target("host"), ((80, 80),), "tcp", None),
    ("* -> host:*/udp", ("*",), Target("host"), None, "udp", None),
    ("a -> b:80,443/tcp", ("a",), Target("b"), ((80, 80), (443, 443)), "tcp", None),
    ("a -> b:[80, 443,8000-8010]", ("a",), Target("b"), ((80, 80), (443, 443), (8000, 8010)), "tcp", None),
    ("a -> b@front:53/udp", ("a",), Target("b", network="front"), ((53, 53),), "udp", None),
    ("a -> gateway:80", ("a",), Target("gateway"), ((80, 80),), "tcp", None),
    ("a -> gateway@nw/icmp", ("a",), Target("gateway", network="nw"), (), "icmp", None),
    ("a -> host/icmp", ("a",), Target("host"), (), "icmp", None),
    ("a -> host/sctp:80", ("a",), Target("host/sctp"), ((80, 80),), "tcp", None),
    ("host/host -> service/web:80/TCP", ("host/host",), Target("service/web"), ((80, 80),), "tcp", None),
    ("outside/client -> localhost:80", ("outside/client",), Target("localhost"), ((80, 80),), "tcp", None),
    ("a -> 127.0.0.1:80 via host", ("a",), Target(address="127.0.0.1"), ((80, 80),), "tcp", "host"),
    ("a -> [fe80::1%eth0.5]:80", ("a",), Target(address="fe80::1", scope="eth0.5"), ((80, 80),), "tcp", None),
    ("a -> [2001:db8::1]:80/sctp", ("a",), Target(address="2001:db8::1"), ((80, 80),), "sctp", None),
    ("a -> [2001:DB8:0::1]/icmp", ("a",), Target(address="2001:db8::1"), (), "icmp", None),
    ("a -> b:80 via host/host", ("a",), Target("b"), ((80, 80),), "tcp", "host/host"),
    ("a -> via:80", ("a",), Target("via"), ((80, 80),), "tcp", None),
]


@pytest.mark.parametrize(
    ("text", "origins", "target", "ports", "protocol", "via"), GOOD, ids=[g[0] for g in GOOD]
)
def test_forms(text, origins, target, ports, protocol, via) -> None:
    found = pattern(text)
    assert (found.origins, found.target, found.ports) == (origins, target, ports)
    assert (found.protocol, found.via) == (protocol, via)
    assert found.text == text


@pytest.mark.parametrize(
    ("text", "origins", "port"),
    [
        ("client:40000 -> host:53/udp", ("client",), 40000),
        ("client:1->host:53/udp", ("client",), 1),
        ("[a, b*]:65535 -> host:53", ("a", "b*"), 65535),
        ("outside/client:53 -> host:53/udp", ("outside/client",), 53),
        ("client -> host:53", ("client",), None),
    ],
)
def test_the_port_that_packets_come_from(text: str, origins: tuple[str, ...], port: int | None) -> None:
    found = pattern(text)
    assert (found.origins, found.source_port, found.ports) == (origins, port, ((53, 53),))


def test_a_forced_icmp_has_no_port_at_either_end() -> None:
    found = parse_flow("client:40000 -> host:53/udp", AT, "icmp")
    assert (found.source_port, found.ports, found.protocol) == (None, (), "icmp")


def test_a_literal_fixes_the_family() -> None:
    assert pattern("a -> 192.0.2.1:80").family is Family.IPV4
    assert pattern("a -> [fd00::1]:80").family is Family.IPV6
    assert pattern("a -> b:80").family is None


BAD = [
    ("", 10, 'expected the name of a node; write it as "client -> host:80/tcp"'),
    ("client host:80", 17, 'expected "->" after the origin; write it as "client -> host:80/tcp"'),
    ("client -> host", 24, 'a tcp flow needs a port: "host:80/tcp", or "host:*/tcp"'),
    ("client -> host/udp", 28, 'a udp flow needs a port: "host:80/udp", or "host:*/udp"'),
    ("client -> host:80/tpc", 28, 'unknown protocol "tpc" (did you mean "tcp"?)'),
    ("client -> host:80/", 28, 'unknown protocol "": it is one of tcp, udp, sctp, icmp'),
    ("client -> host:0", 25, '"0" is not a port or a range of ports (1-65535)'),
    ("client -> host:65536", 25, '"65536" is not a port or a range of ports (1-65535)'),
    ("client -> host:9-8", 25, '"9-8" is not a port or a range of ports (1-65535)'),
    ("client -> host:[]", 25, '"" is not a port or a range of ports (1-65535)'),
    ("client -> host:x", 25, 'expected a port, a range (8000-8010), a list (80,443) or "*"'),
    ("client -> host:80/icmp", 25, "icmp has no ports"),
    ("client:7 -> host/icmp", 17, "icmp has no ports"),
    ("client: -> host:80", 17, '"" is not the port that packets come from (1-65535)'),
    ("client:0 -> host:80", 17, '"0" is not the port that packets come from (1-65535)'),
    ("client:70000->host:80", 17, '"70000" is not the port that packets come from (1-65535)'),
    ("client:80,81 -> host:80", 17, '"80,81" is not the port that packets come from (1-65535)'),
    ("[a, b]:*", 17, '"*" is not the port that packets come from (1-65535)'),
    ("client:80", 19, 'expected "->" after the origin; write it as "client -> host:80/tcp"'),
    ("client -> 1.2.3:80", 20, '"1.2.3" is not an IPv4 address'),
    ("client -> 1.2.3.256:80", 20, '"1.2.3.256" is not an IPv4 address'),
    ("client -> [fe80::1%]:80", 21, '"fe80::1%": only a link-local address has an interface behind %'),
    ("client -> fd00::1:80", 20, "an IPv6 address needs brackets: [2001:db8::1]"),
    ("client -> [fd00::g]:80", 21, '"fd00::g" is not an IPv6 address in brackets'),
    (
        "client -> [fd00::1%eth0]:80",
        21,
        '"fd00::1%eth0": only a link-local address has an interface behind %',
    ),
    ("client -> [fd00::1", 21, '"fd00::1" is not an IPv6 address in brackets'),
    ("client -> host:80 now", 28, '"now" does not belong here; write it as "client -> host:80/tcp"'),
    (
        "client -> host:80 via",
        31,
        'expected the node that the frame is sent to; write it as "client -> host:80/tcp"',
    ),
    ("client -> localhost@nw:80", 32, 'localhost is on no network: write "localhost" alone'),
    ("[a b] -> c:1", 13, 'expected "," or "]" in the list of origins'),
    ("[] -> c:1", 12, "the list of origins is empty"),
    ("a -> ", 15, 'expected a target; write it as "client -> host:80/tcp"'),
]


@pytest.mark.parametrize(("text", "column", "message"), BAD, ids=[b[0] for b in BAD])
def test_errors_stand_where_the_flow_goes_wrong(text: str, column: int, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        pattern(text)
    assert str(caught.value) == f"f:3:{column}: flow: {message}"


names = st.from_regex(r"\A[a-z][a-z0-9_]{0,8}\Z")


@given(
    st.lists(names, min_size=1, max_size=4, unique=True),
    names,
    st.lists(st.tuples(st.integers(1, 65535), st.integers(0, 50)), min_size=1, max_size=4),
    st.sampled_from(["tcp", "udp", "sctp"]),
)
def test_what_is_written_is_what_is_read(origins, target, ranges, protocol) -> None:
    ports = [(low, min(low + width, 65535)) for low, width in ranges]
    written = ",".join(f"{low}-{high}" if low != high else str(low) for low, high in ports)
    found = pattern(f"[{', '.join(origins)}] -> {target}:{written}/{protocol}")
    assert found.origins == tuple(origins)
    assert found.target == Target(target)
    assert found.ports == tuple(dict.fromkeys(ports))


@given(st.text(alphabet="abc-> []:,/@*0189.viaicmp\n", max_size=40))
def test_anything_is_a_pattern_or_a_problem(text: str) -> None:
    try:
        found = pattern(text)
    except ScenarioError:
        return
    assert found.origins


def test_what_follows_a_target_comes_in_any_order() -> None:
    found = parse_flow("web -> far:7000 size 4000 via host from 203.0.113.9", AT)
    assert (found.size, found.via, found.source, found.family) == (4000, "host", "203.0.113.9", 4)
    six = parse_flow("web -> far/icmp from [2001:db8::9]", AT)
    assert (six.source, six.family, six.size) == ("2001:db8::9", 6, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a -> b:80 size 0", "is not a number of octets (1-8000)"),
        ("a -> b:80 size 9000", "is not a number of octets (1-8000)"),
        ("a -> b:80 size", "is not a number of octets"),
        ("a -> b:80 from home", '"home" is not the address that packets come from'),
        ("a -> b:80 size 5 size 6", "size is there twice"),
        ("a -> 192.0.2.1:80 from 2001:db8::1", "are not of one family"),
    ],
)
def test_what_may_not_follow_a_target(text: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(said)):
        parse_flow(text, AT)
