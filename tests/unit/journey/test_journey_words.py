"""The picture of a journey: its tree, its closing sentence, one line of it; and how rules are read back."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from netlab.journey.sentence import sentence
from netlab.kernel.handles import parse_listing, parse_save
from netlab.model.journey import (
    DecidedBy,
    HookVisit,
    Icmp,
    Journey,
    JourneyFlow,
    Leg,
    Nat,
    Packet,
    RuleHit,
    Sees,
)
from netlab.view.journey import journey_view, summary

FIRST = Packet("198.51.100.2:4000", "198.51.100.1:80")
THEN = Packet("198.51.100.2:4000", "192.168.10.10:80")
JUMP = RuleHit("ip", "nat", "PREROUTING", "-A PREROUTING -j DOCKER", "jump DOCKER")
DNAT = RuleHit("ip", "nat", "DOCKER", "-A DOCKER -p tcp -j DNAT", "accept", "port 80 of httpd, published")
DROP = RuleHit("ip", "filter", "DOCKER-USER", "-A DOCKER-USER -j DROP", "drop")
FORWARDED = Journey(
    JourneyFlow("client", "host:80/tcp", "ipv4", FIRST.src, FIRST.dst),
    "ok",
    "forward",
    "httpd",
    Sees("198.51.100.2", "client"),
    DecidedBy("policy", family="ip", hook="forward", table="filter", chain="FORWARD", verdict="accept"),
    (
        Leg(
            "host",
            None,
            Nat("192.168.10.10:80"),
            (
                HookVisit("prerouting", "ext0", None, FIRST, (JUMP, DNAT)),
                HookVisit(
                    "forward",
                    "ext0",
                    "br0",
                    THEN,
                    (RuleHit("ip", "filter", "FORWARD", None, "policy accept"),),
                ),
                HookVisit("postrouting", "ext0", "br0", THEN),
            ),
        ),
    ),
)
PROXIED = replace(
    FORWARDED,
    path="proxy",
    flow=replace(FORWARDED.flow, family="ipv6"),
    sees=Sees("192.168.10.1", "host"),
    decided_by=DecidedBy("none"),
    legs=(
        Leg("host", None, Nat(), (HookVisit("prerouting", "ext0", None, FIRST),)),
        Leg("host", "docker-proxy", Nat(), (HookVisit("output", None, "br0", THEN),)),
    ),
)
DROPPED = replace(
    FORWARDED,
    outcome="timeout",
    sees=None,
    decided_by=DecidedBy(
        "rule", family="ip", hook="forward", table="filter", chain="DOCKER-USER", rule=DROP.rule
    ),
    legs=(Leg("host", None, Nat(), (HookVisit("forward", "ext0", "br0", THEN, (DROP,)),)),),
)


def picture(journey: Journey) -> str:
    console = Console(file=io.StringIO(), width=140, color_system=None)
    console.print(journey_view(journey))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_tree() -> None:
    assert picture(FORWARDED).splitlines()[:9] == [
        "client -> host:80/tcp  IPv4  ok, forward",
        "└── host  198.51.100.2:4000 → 198.51.100.1:80",
        "    ├── prerouting  in by ext0",
        "    │   ├── ip nat PREROUTING  -A PREROUTING -j DOCKER",
        "    │   │   └── ip nat DOCKER  -A DOCKER -p tcp -j DNAT  accept  # port 80 of httpd, published",
        "    │   └── ⇒ 198.51.100.2:4000 → 192.168.10.10:80",
        "    ├── forward  ext0 → br0",
        "    │   └── ◆ ip filter FORWARD  policy accept",
        "    └── postrouting  ext0 → br0",
    ]


def test_the_deciding_rule_is_marked_and_brackets_of_addresses_are_no_markup() -> None:
    assert "◆ ip filter DOCKER-USER  -A DOCKER-USER -j DROP  drop" in picture(DROPPED)
    v6 = replace(FORWARDED, flow=replace(FORWARDED.flow, to="[2001:db8:1::1]:80/tcp", family="ipv6"))
    assert "[2001:db8:1::1]:80/tcp  IPv6" in picture(v6)


@pytest.mark.parametrize(
    ("journey", "words"),
    [
        (FORWARDED, "IPv4 reached httpd through FORWARD, rewritten to 192.168.10.10:80."),
        (FORWARDED, "The server saw the sender's own address"),
        (PROXIED, "because nothing in ip6 nat/PREROUTING matched; DOCKER-USER was never consulted."),
        (PROXIED, "The server saw 192.168.10.1 of host, not client. To block it, put the rule in INPUT."),
        (DROPPED, "Dropped in FORWARD by ip filter DOCKER-USER: -A DOCKER-USER -j DROP."),
        (replace(DROPPED, legs=(), replies=DROPPED.legs), "The packet arrived, and its answer was dropped"),
        (
            replace(FORWARDED, outcome="refused", path="local", decided_by=DecidedBy("socket", node="host")),
            "nobody on host listens on that port",
        ),
        (replace(FORWARDED, outcome="no-route", errno="ENETUNREACH"), "No packet left client: ENETUNREACH."),
        (replace(FORWARDED, outcome="closed", path="proxy"), "The userland proxy took the connection"),
        (
            replace(
                FORWARDED, outcome="unreachable", icmp=Icmp(3, 3, "192.0.2.1"), decided_by=DecidedBy("socket")
            ),
            "the answer was ICMP type 3 code 3 from 192.0.2.1",
        ),
        (
            replace(FORWARDED, outcome="unmeasured", problem="events were lost"),
            "Not measured: events were lost.",
        ),
        (replace(FORWARDED, outcome="timeout", legs=()), "No answer, and no host saw the packet."),
        (
            replace(
                FORWARDED, outcome="timeout", path="none", decided_by=DecidedBy("route", rule="it says no")
            ),
            "Lost after PREROUTING without a rule: it says no.",
        ),
    ],
)
def test_the_closing_sentence(journey: Journey, words: str) -> None:
    assert words in sentence(journey)


def test_a_journey_in_one_line() -> None:
    assert summary(FORWARDED) == "client -> host:80/tcp ipv4: ok, forward, sees 198.51.100.2"
    assert summary(DROPPED) == "client -> host:80/tcp ipv4: timeout, forward, by DOCKER-USER"


def test_rules_of_iptables_save_are_found_by_table_and_chain() -> None:
    text = "*nat\n:DOCKER - [0:0]\n-A DOCKER -i br0 -j RETURN\n-A DOCKER -j LOG\nCOMMIT\n"
    text += "*filter\n-A DOCKER -j DROP\nCOMMIT\n"
    assert parse_save(text) == {
        ("nat", "DOCKER"): ["-A DOCKER -i br0 -j RETURN", "-A DOCKER -j LOG"],
        ("filter", "DOCKER"): ["-A DOCKER -j DROP"],
    }


def test_rules_of_nft_are_found_by_handle() -> None:
    text = """table ip docker-bridges { # handle 1
    map filter-forward-out-jumps { # handle 7
        type ifname : verdict
        elements = { "br0" : jump out__br0 }
    }

    chain filter-FORWARD { # handle 2
        comment "the engine's"
        type filter hook forward priority filter; policy accept;
        oifname vmap @filter-forward-out-jumps # handle 9
        tcp dport { 80,
            443 } counter packets 3 bytes 180 accept comment "two # ports" # handle 12
    }
}
table inet mine { # handle 4
    chain c { # handle 1
        drop # handle 2
    }
}
"""
    assert parse_listing(text) == {
        ("ip", "docker-bridges", "filter-FORWARD", 9): "oifname vmap @filter-forward-out-jumps",
        (
            "ip",
            "docker-bridges",
            "filter-FORWARD",
            12,
        ): 'tcp dport { 80, 443 } counter accept comment "two # ports"',
        ("inet", "mine", "c", 2): "drop",
    }
