"""The picture of a journey: its tree, its closing sentence, one line of it; and how rules are read back."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from netlab.journey.advise import stopped_by
from netlab.journey.sentence import sentence
from netlab.kernel.trace.handles import append_lines, parse_listing
from netlab.model import text
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
from netlab.view.texts import register

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


def picture(journey: Journey, *, whole: bool = False) -> str:
    console = Console(file=io.StringIO(), width=140, color_system=None)
    console.print(journey_view(journey, whole=whole))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_tree() -> None:
    assert picture(FORWARDED).splitlines()[:9] == [
        "client -> host:80/tcp  IPv4  ok, forward",
        "└── host  198.51.100.2:4000 → 198.51.100.1:80",
        "    ├── prerouting  in by ext0",
        "    │   ├── ip nat PREROUTING  -j DOCKER",
        "    │   │   └── ip nat DOCKER  -p tcp -j DNAT  accept  # port 80 of httpd, published",
        "    │   └── ⇒ 198.51.100.2:4000 → 192.168.10.10:80",
        "    ├── forward  ext0 → br0",
        "    │   └── ◆ ip filter FORWARD  policy accept",
        "    └── postrouting  ext0 → br0",
    ]


def test_many_jumps_that_lead_nowhere_are_one_line() -> None:
    jumps = [
        RuleHit("ip", "filter", "INPUT", f"-A INPUT -j {chain}", f"jump {chain}")
        for chain in ("IN_a", "IN_b", "IN_c", "IN_d")
    ]
    inner = RuleHit("ip", "filter", "IN_b", "-A IN_b -j IN_b_log", "jump IN_b_log")
    taken = [
        RuleHit("ip", "filter", "INPUT", "-A INPUT -j IN_e", "jump IN_e"),
        RuleHit("ip", "filter", "IN_e", "-A IN_e -p tcp -j RETURN", "return"),
    ]
    policy = RuleHit("ip", "filter", "INPUT", None, "policy drop")
    rules = (*jumps[:2], inner, *jumps[2:], *taken, policy)
    visit = HookVisit("input", "ext0", None, FIRST, rules)
    journey = replace(DROPPED, legs=(Leg("host", None, Nat(), (visit,)),))
    assert picture(journey).splitlines()[3:7] == [
        "        ├── ⋯ 5 jumps that lead nowhere: IN_a, IN_b, IN_c and 1 more (-v shows them)",
        "        ├── ip filter INPUT  -j IN_e",
        "        │   └── ip filter IN_e  -p tcp -j RETURN  return",
        "        └── ip filter INPUT  policy drop",
    ]
    assert "jump" not in picture(journey, whole=True)
    assert "│   └── ip filter IN_b  -j IN_b_log" in picture(journey, whole=True)


def test_three_jumps_stay() -> None:
    jumps = tuple(
        RuleHit("ip", "filter", "INPUT", f"-A INPUT -j {chain}", f"jump {chain}") for chain in "ABC"
    )
    journey = replace(
        DROPPED, legs=(Leg("host", None, Nat(), (HookVisit("input", "ext0", None, FIRST, jumps),)),)
    )
    assert picture(journey) == picture(journey, whole=True)


def test_the_deciding_rule_is_marked_and_brackets_of_addresses_are_no_markup() -> None:
    assert "◆ ip filter DOCKER-USER  -j DROP  drop" in picture(DROPPED)
    v6 = replace(FORWARDED, flow=replace(FORWARDED.flow, to="[2001:db8:1::1]:80/tcp", family="ipv6"))
    assert "[2001:db8:1::1]:80/tcp  IPv6" in picture(v6)


WAYS = {
    "proxy": ("proxy", PROXIED.legs),
    "local": ("local", PROXIED.legs[:1]),
    "forward": ("forward", FORWARDED.legs),
    "bridge": ("bridge", FORWARDED.legs),
    "switched": ("bridge", ()),
    "output": ("output", PROXIED.legs[1:]),
    "inside": ("inside", ()),
    "none": ("none", ()),
    "prerouting": ("none", PROXIED.legs[:1]),
}
DROPPED_BY = DROPPED.decided_by
SOCKET = DecidedBy("socket", node="web")
PORT = Icmp(3, 3, "192.0.2.1")


NOTHING = DecidedBy("none")


def went(way: str, outcome: str, decided_by: DecidedBy = NOTHING, **more: object) -> Journey:
    """A journey by a way; over the bridge alone the bridge's hooks are those that saw it."""
    path, legs = WAYS[way]
    switched = (HookVisit("forward", "veth1", "veth2", FIRST),) if way == "switched" else ()
    changed = {"path": path, "legs": legs, "switched": switched, "sees": None, "decided_by": decided_by}
    return replace(FORWARDED, outcome=outcome, **changed, **more)  # type: ignore[arg-type]


REWRITTEN = ", rewritten to 192.168.10.10:80"
REACHED = {
    "proxy": "by docker-proxy, through INPUT and not FORWARD, because no rule in PREROUTING rewrote its "
    "destination. To block it, put the rule in INPUT.",
    "local": "through INPUT. To block it, put the rule in INPUT.",
    "forward": f"through FORWARD{REWRITTEN}. To block it, put the rule in FORWARD.",
    "bridge": f"over the bridge, from port to port{REWRITTEN}. To block it, put the rule in FORWARD.",
    "switched": "over the bridge, from port to port. No iptables rule sees it, only the bridge family does, "
    "because br_netfilter does not apply.",
    "output": "through OUTPUT. To block it, put the rule in OUTPUT.",
    "inside": "without leaving its own namespace. No rule on a host can block it.",
    "none": "without passing any hook of a host. No rule on a host can block it.",
}
GONE = {
    "proxy": "he packet reached docker-proxy, through INPUT",
    "local": "he packet reached INPUT",
    "forward": "he packet went through FORWARD",
    "bridge": "he packet went over the bridge, from port to port",
    "switched": "he packet went over the bridge, from port to port",
    "output": "he packet went through OUTPUT",
    "inside": "he packet stayed in client's own namespace",
    "none": "he packet passed no hook of a host",
    "prerouting": "he packet reached PREROUTING",
}
PROXY_CLOSED = (
    "The userland proxy accepted the connection and closed it: its own connection to the container failed."
)
PORT_WORDS = "ICMP type 3 code 3 (port unreachable) from 192.0.2.1"
UNSEEN = "No answer, and no host saw the packet."


def said(way: str, outcome: str) -> str:
    """What is to be said of a flow that no rule stopped."""
    gone = GONE[way]
    return {
        "ok": f"IPv4 reached httpd {REACHED.get(way)}",
        "refused": f"Refused: t{gone}, and nothing on web listens on that port.",
        "closed": PROXY_CLOSED
        if way == "proxy"
        else f"The connection was accepted: t{gone}; but no data came back.",
        "unreachable": f"Nothing on web listens on that port: t{gone}, and the answer was {PORT_WORDS}.",
        "timeout": UNSEEN
        if way in ("inside", "none")
        else f"T{gone}; no rule dropped it, and there was no answer.",
    }[outcome]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("outcome", ["ok", "refused", "closed", "unreachable", "timeout"])
def test_every_outcome_by_every_path(way: str, outcome: str) -> None:
    if (way, outcome) == ("prerouting", "ok"):
        way = "none"  # who was answered was not lost behind PREROUTING
    decided_by = NOTHING if outcome in ("ok", "timeout") else SOCKET
    icmp = PORT if outcome == "unreachable" else None
    assert sentence(went(way, outcome, decided_by, icmp=icmp)) == said(way, outcome)


@pytest.mark.parametrize(
    ("journey", "words"),
    [
        (FORWARDED, "The server saw the sender's own address, 198.51.100.2."),
        (replace(FORWARDED, sees=Sees("192.0.2.7", None)), "The server saw 192.0.2.7, not client."),
        (replace(FORWARDED, probe="syn"), "Only the first packet of the connection was sent."),
        (PROXIED, "through INPUT and not FORWARD, because no rule in PREROUTING rewrote its destination."),
        (PROXIED, "The server saw the proxy's connection, from 192.168.10.1 of host, not client."),
        (
            replace(PROXIED, flow=replace(PROXIED.flow, origin="host")),
            "The server saw the proxy's connection, from 192.168.10.1 of host. To block it",
        ),
        (
            went("local", "refused", SOCKET, probe="segment"),
            "Refused: the packet reached INPUT, and no connection on web is one that it belongs to.",
        ),
        (DROPPED, "Dropped in FORWARD by ip filter DOCKER-USER: -A DOCKER-USER -j DROP."),
        (replace(DROPPED, legs=(), replies=DROPPED.legs), "The packet arrived, and its answer was dropped"),
        (
            replace(DROPPED, path="proxy", legs=(replace(DROPPED.legs[0], by="docker-proxy"),)),
            "Dropped in FORWARD, on docker-proxy's own connection, by ip filter DOCKER-USER",
        ),
        (
            replace(DROPPED, path="bridge", legs=(), switched=DROPPED.legs[0].hooks),
            "Dropped on the bridge, in FORWARD, by ip filter DOCKER-USER",
        ),
        (
            went("forward", "refused", DROPPED_BY),
            "Refused with a reset by ip filter DOCKER-USER: -A DOCKER-USER",
        ),
        (
            went("forward", "unreachable", DROPPED_BY, icmp=Icmp(3, 13, "192.0.2.1")),
            "Rejected with ICMP type 3 code 13 (administratively prohibited) from 192.0.2.1 by ip filter",
        ),
        (
            went("none", "unreachable", DecidedBy("route", node="host"), icmp=Icmp(1, 0, "2001:db8::1")),
            "host has no route there: the answer was ICMPv6 type 1 code 0 (no route) from 2001:db8::1.",
        ),
        (
            went("forward", "unreachable", DecidedBy("route", node="host"), icmp=Icmp(3, 1, "192.0.2.1")),
            "host found no neighbour with that address on its link: the answer was ICMP type 3 code 1",
        ),
        (
            went("forward", "unreachable", DecidedBy("route"), icmp=Icmp(11, 0, "192.0.2.1")),
            "The packet went through FORWARD, and the answer was ICMP type 11 code 0 (time to live exceeded)",
        ),
        (
            went("none", "no-route", DecidedBy("route"), errno="ENETUNREACH"),
            "No packet left client: it has no route there (ENETUNREACH).",
        ),
        (went("none", "no-route", errno="ENOBUFS"), "No packet left client: ENOBUFS."),
        (
            went("none", "unmeasured", problem="events were lost"),
            "Not measured: events were lost.",
        ),
        (
            went("prerouting", "timeout", DecidedBy("route", rule="it says no")),
            "Lost after PREROUTING without a rule: it says no.",
        ),
        (
            went("forward", "timeout", DecidedBy("route", node="web", rule="it says no")),
            "The packet arrived at web, whose kernel does not take it: it says no.",
        ),
        (
            went("proxy", "timeout", replies=PROXIED.legs[:1]),
            "docker-proxy got the server's answer, but did not answer from 198.51.100.1:80: client sent",
        ),
        (
            went("forward", "timeout", replies=FORWARDED.legs),
            "An answer passed host but did not reach client as an answer.",
        ),
    ],
)
def test_the_closing_sentence(journey: Journey, words: str) -> None:
    assert words in sentence(journey)


def test_what_let_a_packet_pass_did_not_stop_it() -> None:
    """A flow without an answer is not reported as ended by the policy that accepted it."""
    unanswered = replace(FORWARDED, outcome="timeout", sees=None)
    assert stopped_by(unanswered) is None
    assert summary(unanswered) == "client -> host:80/tcp ipv4: timeout, forward"
    assert stopped_by(DROPPED) == DROPPED.decided_by


def test_a_journey_in_one_line() -> None:
    assert summary(FORWARDED) == "client -> host:80/tcp ipv4: ok, forward, sees 198.51.100.2"
    assert summary(DROPPED) == "client -> host:80/tcp ipv4: timeout, forward, by DOCKER-USER"
    rejected = replace(DROPPED, outcome="unreachable", icmp=PORT)
    assert summary(rejected) == (
        f"client -> host:80/tcp ipv4: unreachable, forward, {PORT_WORDS}, by DOCKER-USER"
    )


def test_rules_of_iptables_save_are_found_by_table_and_chain() -> None:
    text = "*nat\n:DOCKER - [0:0]\n-A DOCKER -i br0 -j RETURN\n-A DOCKER -j LOG\nCOMMIT\n"
    text += "*filter\n-A DOCKER -j DROP\nCOMMIT\n"
    assert append_lines(text) == {
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


def test_a_journey_is_printed_as_the_command_line_prints_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_RENDERERS", {})
    monkeypatch.setattr(text, "_REGISTRARS", [])
    assert str(FORWARDED) == repr(FORWARDED)  # the core alone draws nothing
    text.register_with(register)
    assert str(FORWARDED).splitlines()[0] == "client -> host:80/tcp  IPv4  ok, forward"
    assert str(FORWARDED).splitlines()[-1].startswith("IPv4 reached httpd")
