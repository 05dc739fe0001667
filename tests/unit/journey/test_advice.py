"""Which command would change a journey: a rule where a rule decided, a route or a sysctl where these did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from netlab.journey.advise import advise, wish_of
from netlab.journey.flow_diff import FlowChange, FlowDiff
from netlab.journey.matrix import Cell
from netlab.journey.remedies import cause, remedies
from netlab.model.family import Family
from netlab.model.flow import Flow, Target
from netlab.model.journey import DecidedBy, HookVisit, Journey, JourneyFlow, Leg, Nat, Packet, RuleHit
from netlab.model.plan import Interface, Node, Plan
from netlab.view.flow_diff import flow_lines

FIRST = Packet("198.51.100.2:4000", "198.51.100.1:80")
BEHIND = Packet("198.51.100.2:4000", "172.18.0.2:80")
OWN = Packet("172.18.0.1:5000", "172.18.0.2:80")
JUMP = RuleHit("ip", "filter", "FORWARD", "-A FORWARD -j DOCKER-USER", "jump DOCKER-USER")


def dropped(hook: str, packet: Packet, decision: DecidedBy, *, by: str | None = None) -> Journey:
    """A journey that ended at ``hook``."""
    end = RuleHit(decision.family or "", decision.table or "", decision.chain or "", decision.rule, "drop")
    visits = (HookVisit(hook, "ext0", "br0", packet, (JUMP, end)),)
    if by is None:
        visits = (HookVisit("prerouting", "ext0", None, FIRST), *visits)
    return Journey(
        JourneyFlow("client", "host:80/tcp", "ipv4", FIRST.src, FIRST.dst),
        "timeout",
        "forward",
        decided_by=replace(decision, hook=hook, packet=packet, verdict="drop", node="host"),
        legs=(Leg("host", by, Nat(), visits),),
    )


def rule(family: str, table: str, chain: str, text: str | None) -> DecidedBy:
    return DecidedBy("policy" if text is None else "rule", family=family, table=table, chain=chain, rule=text)


@pytest.mark.parametrize(
    ("journey", "command"),
    [
        (
            dropped("forward", BEHIND, rule("inet", "filter", "forward", None)),
            "nft insert rule inet filter forward"
            " ip saddr 198.51.100.2 ip daddr 172.18.0.2 tcp dport 80 accept",
        ),
        (
            dropped("forward", BEHIND, rule("ip", "filter", "DOCKER", "-A DOCKER -j DROP")),
            "iptables -I DOCKER-USER -p tcp -m conntrack --ctorigsrc 198.51.100.2 --ctorigdst 198.51.100.1"
            " --ctorigdstport 80 -j ACCEPT",
        ),
        (
            dropped("forward", BEHIND, rule("ip", "filter", "forward", "tcp dport 80 drop")),
            "nft insert rule ip filter forward ip saddr 198.51.100.2 ip daddr 172.18.0.2 tcp dport 80 accept",
        ),
        (
            dropped("output", OWN, rule("ip", "filter", "OUTPUT", "-A OUTPUT -j DROP"), by="docker-proxy"),
            "iptables -I OUTPUT -s 172.18.0.1 -d 172.18.0.2 -p tcp --dport 80 -j ACCEPT",
        ),
        (
            dropped("prerouting", FIRST, rule("ip", "raw", "PREROUTING", "-A PREROUTING -j DROP")),
            "iptables -t raw -I PREROUTING -s 198.51.100.2 -d 198.51.100.1 -p tcp --dport 80 -j ACCEPT",
        ),
    ],
)
def test_an_accept_is_put_in_front_of_what_dropped(journey: Journey, command: str) -> None:
    assert wish_of(journey) == "allow"
    advice = advise(journey, "allow")
    assert advice is not None
    assert (advice.node, " ".join(advice.add)) == ("host", command)


def test_the_answer_is_let_through_as_an_answer() -> None:
    journey = dropped(
        "input", Packet(FIRST.dst, FIRST.src), rule("ip", "filter", "INPUT", "-A INPUT -j DROP")
    )
    journey = replace(journey, decided_by=replace(journey.decided_by, node="client", direction="reply"))
    advice = advise(journey, "allow")
    assert advice is not None
    assert advice.node == "client"
    assert "-s 198.51.100.1 -d 198.51.100.2 -p tcp --sport 80" in " ".join(advice.add)


def test_a_rule_that_let_it_pass_is_no_reason() -> None:
    """Nobody answered: no rule is to blame, none is advised, and ``diff`` names none."""
    accepted = RuleHit("ip", "filter", "DOCKER", "-A DOCKER -j ACCEPT", "accept")
    flow = Flow("client", Target(name="host"), Family.IPV4, "tcp", 80, "198.51.100.1")
    journey = Journey(
        JourneyFlow("client", "host:80/tcp", "ipv4", FIRST.src, FIRST.dst),
        "timeout",
        "forward",
        decided_by=rule("ip", "filter", "DOCKER", "-A DOCKER -j ACCEPT"),
        legs=(Leg("host", None, Nat(), (HookVisit("forward", None, None, BEHIND, (accepted,)),)),),
    )
    assert wish_of(journey) is None
    ok = replace(journey, outcome="ok")
    cell = Cell(flow, "LAN", "host address", True, "web")
    lines = "\n".join(
        str(line) for line in flow_lines(FlowDiff((FlowChange("closes", cell, ok, journey),), 0))
    )
    assert "flows that close" in lines
    assert "ACCEPT" not in lines


class Kernel:
    """What the kernel of each node says, by hand."""

    def __init__(self, sysctls: Mapping[str, str] = {}, routes: Sequence[str] = ()) -> None:
        self._sysctls, self._routes = sysctls, routes

    def sysctl(self, node: str, name: str) -> str | None:
        assert node in ("host", "web")
        return self._sysctls.get(name)

    def routes(self, node: str, family: Family) -> Sequence[str]:
        assert node in ("host", "web", "client")
        return self._routes if family is Family.IPV4 else ()


def link(name: str, address: str) -> Interface:
    return Interface(name=name, kind="veth", addresses=(address,))


PLAN = Plan(
    "lab",
    "lab",
    (
        Node(
            name="host",
            kind="host",
            namespace="host",
            interfaces=(link("ext0", "198.51.100.1/24"), link("br0", "172.18.0.1/16")),
        ),
        Node(name="web", kind="container", namespace="web", interfaces=(link("eth0", "172.18.0.2/16"),)),
        Node(
            name="client", kind="outside", namespace="client", interfaces=(link("eth0", "198.51.100.2/24"),)
        ),
    ),
    (),
    (),
)


def lost(answer: str, dst: str = "172.18.0.2", **more: object) -> Journey:
    decision = DecidedBy(
        "route", node="host", rule=f"ip route get {dst} from 198.51.100.2 iif ext0: {answer}"
    )
    flow = JourneyFlow("client", "host:80/tcp", "ipv4", FIRST.src, FIRST.dst)
    return Journey(flow, "timeout", "none", decided_by=replace(decision, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("journey", "kernel", "commands"),
    [
        (
            lost("Invalid cross-device link"),
            Kernel({"net.ipv4.conf.all.rp_filter": "0", "net.ipv4.conf.ext0.rp_filter": "1"}),
            ["sysctl -w net.ipv4.conf.ext0.rp_filter=0"],
        ),
        (
            lost("Invalid argument", "127.0.0.1"),
            Kernel({"net.ipv4.conf.ext0.route_localnet": "0"}),
            ["sysctl -w net.ipv4.conf.ext0.route_localnet=1"],
        ),
        (
            lost("No route to host"),
            Kernel({"net.ipv4.ip_forward": "0"}),
            ["sysctl -w net.ipv4.ip_forward=1", "ip route add 172.18.0.2 dev br0"],
        ),
        (
            lost("Invalid argument"),
            Kernel(
                routes=[
                    "blackhole 172.16.0.0/12 proto static",
                    "blackhole 172.18.0.2 metric 5",
                    "default via 9",
                ]
            ),
            ["ip route del blackhole 172.18.0.2 metric 5"],
        ),
        (
            lost(
                "",
                node="web",
                rule="ip route get 198.51.100.2 from 172.18.0.2: Network is unreachable",
                direction="reply",
            ),
            Kernel(),
            ["ip route add 198.51.100.2 via 172.18.0.1"],
        ),
        (lost("unicast dev br0"), Kernel({"net.ipv4.ip_forward": "0"}), []),
    ],
)
def test_what_a_routing_table_refused_is_mended_there(
    journey: Journey, kernel: Kernel, commands: list[str]
) -> None:
    assert wish_of(journey) == "allow"
    found = list(remedies(journey, PLAN, kernel))
    assert [" ".join(one.add) for one in found] == commands
    assert {one.node for one in found} <= {journey.decided_by.node}
    assert all(one.remove for one in found)


def test_where_nobody_listens_a_program_is_missing() -> None:
    flow = JourneyFlow("client", "host:81/tcp", "ipv4", FIRST.src, "198.51.100.1:81")
    journey = Journey(flow, "refused", "local", decided_by=DecidedBy("socket", node="host"))
    assert cause(journey).startswith("Nothing on host listens on 81/tcp: start a program there that does")
    assert list(remedies(journey, PLAN, Kernel())) == []
