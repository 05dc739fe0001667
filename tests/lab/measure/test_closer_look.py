"""Rules where the ordinary trace is blind: each flow is asked by plain sockets too, and both say the same.

What the trace cannot tell is measured again with the wide instrument, which names the rule. What that cannot
tell either is ``unmeasured``, with the two places between which the packet was lost.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from witness.plain import Asking, PlainAnswer

import netlab
from netlab.journey.sentence import sentence
from netlab.kernel import netns
from netlab.model.family import Family
from netlab.model.flow import Flow, Target
from netlab.model.journey import Journey

SCENARIO = """
services:
  web: {image: nginx, ports: ["8080:80"], expose: ["9000"]}
  db: {image: nginx, expose: ["5432"]}
x-netlab:
  host: {engine: docker-28}
"""


def iptables(rule: str, tool: str = "iptables") -> tuple[list[str], list[str]]:
    """A rule at the head of a chain, and how it goes again."""
    words = rule.split("|") if "|" in rule else rule.split(" ")
    place, rest = words[:1], words[1:]
    table = ["-t", "nat"] if rule.startswith(("POSTROUTING", "PREROUTING", "NAT")) else []
    table = ["-t", "mangle"] if rule.startswith("MANGLE") else table
    chain = [place[0].removeprefix("NAT-").removeprefix("MANGLE-")]
    return [tool, *table, "-I", *chain, *rest], [tool, *table, "-D", *chain, *rest]


def nft(
    family: str, hook: str, rule: str, priority: int = 0, device: str = ""
) -> tuple[list[str], list[str]]:
    """A table with one rule, and how it goes again."""
    where = f'device "{device}" ' if device else ""
    chain = f"type filter hook {hook} {where}priority {priority}; policy accept; {rule}\n"
    return ["nft", f"table {family} odd {{ chain only {{ {chain} }}\n}}"], [
        "nft",
        f"delete table {family} odd",
    ]


def route(kind: str) -> tuple[list[str], list[str]]:
    """A route to the container that leads nowhere, and how it goes again."""
    return ["ip", "route", "add", kind, "WEB"], ["ip", "route", "del", kind, "WEB"]


def mtu(octets: int, before: int) -> tuple[list[str], list[str]]:
    """A size of packets that the host's link takes, and how it goes again."""
    to = ["ip", "link", "set", "ext0", "mtu"]
    return [*to, str(octets)], [*to, str(before)]


@dataclass(frozen=True)
class Case:
    """Rules, a flow, and what is true then."""

    flow: str
    outcome: str
    #: node → a rule and how it goes
    rules: tuple[tuple[str, tuple[list[str], list[str]]], ...]
    path: str
    kind: str
    #: (family, table, chain) of the rule that decided
    place: tuple[str, str, str] | None = None
    says: str = ""
    legs: tuple[str, ...] | None = field(default=None)


WEB = "client -> host:8080/tcp"
UNLISTENED = "web -> db:99/tcp"
LOCAL = "host -> localhost:8080/tcp"  # by docker-proxy: the route of 127.0.0.1 leads nowhere else
OUT = "web -> client:7000/tcp"
CASES = {
    "a client rewrites its own packets": Case(
        "client -> host:9999/tcp", "ok",
        (("client", iptables("NAT-OUTPUT -p tcp --dport 9999 -j DNAT --to 198.51.100.1:8080")),),
        "forward", "rule", ("ip", "filter", "DOCKER"), "IPv4 reached web through FORWARD", ("client", "host"),
    ),
    "a sidecar redirects": Case(
        WEB, "ok", (("web", iptables("PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 9000")),),
        "forward", "rule", ("ip", "filter", "DOCKER"), legs=("host", "web"),
    ),
    "a container masquerades its own packets": Case(
        OUT, "ok", (("web", iptables("POSTROUTING -p tcp -j MASQUERADE --to-ports 5000-5100")),),
        "forward", "rule", ("ip", "filter", "DOCKER-FORWARD"),
    ),
    "a rule switches tracing off": Case(
        WEB, "ok", (("host", nft("inet", "prerouting", "meta nftrace set 0", -350)),),
        "forward", "unmeasured", says="a rule switched tracing off (nftrace)",
    ),
    "untraced, then dropped": Case(
        WEB, "timeout",
        (
            ("host", nft("inet", "forward", "meta nftrace set 0", -350)),
            ("host", iptables("FORWARD -p tcp --dport 80 -j DROP")),
        ),
        "forward", "unmeasured", says="lost in FORWARD of host",
    ),
    "a container's own OUTPUT drops": Case(
        OUT, "timeout", (("web", iptables("OUTPUT -p tcp --dport 7000 -j DROP")),),
        "none", "rule", ("ip", "filter", "OUTPUT"), "Dropped in OUTPUT by ip filter OUTPUT", ("web",),
    ),
    "a container's own INPUT rejects": Case(
        WEB, "refused", (("web", iptables("INPUT -p tcp --dport 80 -j REJECT --reject-with tcp-reset")),),
        "forward", "rule", ("ip", "filter", "INPUT"), "Refused with a reset by ip filter INPUT",
    ),
    "a container's own rule refuses what nobody listens on": Case(
        UNLISTENED, "refused",
        (("db", iptables("INPUT -p tcp --dport 99 -j REJECT --reject-with tcp-reset")),),
        "bridge", "rule", ("ip", "filter", "INPUT"), "Refused with a reset by ip filter INPUT",
    ),
    "a container's own rule refuses it last of all": Case(
        UNLISTENED, "unreachable", (("db", nft("inet", "input", "tcp dport 99 reject", (1 << 31) - 1)),),
        "bridge", "rule", ("inet", "odd", "only"), "Rejected with ICMP type 3 code 3",
    ),
    "iptables-legacy may refuse what nobody listens on": Case(
        UNLISTENED, "refused",
        (("db", iptables("INPUT -p tcp --dport 99 -j REJECT --reject-with tcp-reset", "iptables-legacy")),),
        "bridge", "unmeasured", says="iptables-legacy rules in filter of db",
    ),
    "a client's INPUT drops the answer": Case(
        WEB, "timeout", (("client", iptables("INPUT -p tcp --sport 8080 -j DROP")),),
        "forward", "rule", ("ip", "filter", "INPUT"), "its answer was dropped in INPUT",
    ),
    "dropped inside": Case(
        "web -> localhost:80/tcp", "timeout", (("web", iptables("INPUT -i lo -p tcp --dport 80 -j DROP")),),
        "inside", "rule", ("ip", "filter", "INPUT"), "Dropped in INPUT",
    ),
    "bridge output": Case(
        WEB, "timeout", (("host", nft("bridge", "output", "tcp dport 80 drop")),),
        "forward", "rule", ("bridge", "odd", "only"), "Dropped on the bridge, in OUTPUT",
    ),
    "bridge prerouting": Case(
        "web -> db:5432/tcp", "timeout", (("host", nft("bridge", "prerouting", "tcp dport 5432 drop")),),
        "none", "rule", ("bridge", "odd", "only"), "Dropped on the bridge, in PREROUTING",
    ),
    "device ingress": Case(
        WEB, "timeout", (("host", nft("netdev", "ingress", "tcp dport 8080 drop", device="ext0")),),
        "none", "rule", ("netdev", "odd", "only"), "Dropped at the device, in INGRESS",
    ),
    "device egress": Case(
        OUT, "timeout", (("host", nft("netdev", "egress", "tcp dport 7000 drop", device="ext0")),),
        "forward", "rule", ("netdev", "odd", "only"), "Dropped at the device, in EGRESS",
    ),
    "before everything else": Case(
        WEB, "timeout", (("host", nft("ip", "prerouting", "tcp dport 8080 drop", -(1 << 31))),),
        "none", "rule", ("ip", "odd", "only"), "Dropped in PREROUTING by ip odd only",
    ),
    "behind everything else": Case(
        WEB, "timeout", (("host", nft("ip", "prerouting", "tcp dport 80 drop", (1 << 31) - 1)),),
        "none", "rule", ("ip", "odd", "only"), "Dropped in PREROUTING by ip odd only",
    ),
    "the answer's data are dropped": Case(
        WEB, "closed", (("host", iptables("DOCKER-USER -p tcp -m length --length 80:65535 -j DROP")),),
        "forward", "rule", ("ip", "filter", "DOCKER-USER"), "later packets were dropped in FORWARD",
    ),
    "established packets are dropped": Case(
        WEB, "timeout", (("host", iptables("DOCKER-USER -m conntrack --ctstate ESTABLISHED -j DROP")),),
        "forward", "rule", ("ip", "filter", "DOCKER-USER"), "its answer was dropped in FORWARD",
    ),
    "iptables-legacy forward": Case(
        WEB, "timeout", (("host", iptables("FORWARD -p tcp --dport 80 -j DROP", "iptables-legacy")),),
        "forward", "unmeasured", says="iptables-legacy rules in filter of host",
    ),
    "a queue without a listener": Case(
        WEB, "timeout", (("host", iptables("DOCKER-USER -p tcp -j NFQUEUE --queue-num 5")),),
        "forward", "rule", ("ip", "filter", "DOCKER-USER"), "Handed to another program in FORWARD",
    ),
    "a black hole on the way back": Case(
        OUT, "timeout", (("host", route("blackhole")),),
        "forward", "route", says="host has no way back for its answer: ip route get",
    ),
    "the proxy's container drops": Case(
        LOCAL, "closed", (("web", iptables("INPUT -p tcp --dport 80 -j DROP")),),
        "proxy", "rule", ("ip", "filter", "INPUT"), "to the container was dropped in INPUT",
    ),
    "the proxy's own connection is rejected": Case(
        LOCAL, "closed", (("host", iptables("OUTPUT -p tcp --dport 80 -j REJECT")),),
        "proxy", "rule", ("ip", "filter", "OUTPUT"), "own connection to the container was rejected in OUTPUT",
    ),
    "the proxy has no route to its container": Case(
        LOCAL, "closed", (("host", route("blackhole")),),
        "proxy", "route", says="host has no route to its container: ip route get 172.18.0.2",
    ),
    "an interface lets only short packets pass": Case(
        WEB, "closed",
        (("host", mtu(100, 1500)),),
        "forward", "unmeasured", says="its handshake passed, and later packets were lost",
    ),
    "a hop limit runs out": Case(
        WEB, "unreachable",
        (("host", iptables("MANGLE-PREROUTING -p tcp --dport 8080 -j TTL --ttl-set 1")),),
        "none", "none", says="the answer was ICMP type 11 code 0 (time to live exceeded)",
    ),
    "an unreachable route": Case(
        WEB, "unreachable",
        (("host", route("unreachable")),),
        "none", "route", says="No route to host",
    ),
}  # fmt: skip


def run(lab: netlab.Lab, node: str, argv: list[str]) -> None:
    """Run a tool in a node, which must succeed; nft's second word is what it reads."""
    address = lab.plan.node("web").interfaces[0].addresses[0].partition("/")[0]
    words = [word.replace("WEB", address) for word in argv]
    with netns.entered(lab.namespaces[node]):
        if words[0] == "nft":
            subprocess.run(["nft", "-f", "-"], input=words[1], check=True, text=True, capture_output=True)
        else:
            subprocess.run(words, check=True, capture_output=True)


def plainly(lab: netlab.Lab, journey: Journey) -> PlainAnswer:
    """What ordinary sockets say of the same flow."""
    address, _, port = journey.flow.dst.rpartition(":")
    target = Target(address=address)
    flow = Flow(journey.flow.origin, target, Family.IPV4, "tcp", int(port), address)
    asking = Asking(lab.namespaces[journey.flow.origin], flow)
    try:
        while (plain := asking.look()) is None:
            os.sched_yield()
        return plain
    finally:
        asking.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[netlab.Lab]:
    file: Path = tmp_path_factory.mktemp("closer") / "closer.yaml"
    file.write_text(SCENARIO)
    with netlab.Lab(str(file), name=f"closer-{os.getpid()}") as built:
        yield built


@pytest.mark.parametrize("name", CASES)
def test_what_the_ordinary_trace_leaves_open(lab: netlab.Lab, name: str) -> None:
    case = CASES[name]
    for node, (add, _) in case.rules:
        run(lab, node, add)
    try:
        journey = lab.probe(case.flow, family=4)
        plain = plainly(lab, journey)
    finally:
        for node, (_, remove) in reversed(case.rules):
            run(lab, node, remove)
    decision = journey.decided_by
    # A socket reports the port unreachable as it does a reset.
    reported = "refused" if case.says.endswith("type 3 code 3") else case.outcome
    assert (journey.outcome, plain.outcome) == (case.outcome, reported)
    assert (journey.path, decision.kind) == (case.path, case.kind)
    if case.place is not None:
        assert (decision.family, decision.table, decision.chain) == case.place
    assert case.says in sentence(journey)
    if case.legs is not None:
        assert tuple(leg.node for leg in journey.legs) == case.legs
    if journey.outcome == "ok":
        assert journey.sees is not None
        assert journey.sees.address == plain.sees


def test_a_socket_that_holds_a_port_and_never_accepts(lab: netlab.Lab) -> None:
    """The kernel completes the handshake: ``closed``, and no rule and no missing listener is to blame."""
    with netns.entered(lab.namespaces["db"]):
        held = socket.create_server(("0.0.0.0", 4321))
    with held:
        journey = lab.probe("web -> db:4321/tcp", family=4)
        assert plainly(lab, journey).outcome == "closed"
    assert (journey.outcome, journey.path, journey.decided_by.kind) == ("closed", "bridge", "socket")
    assert journey.decided_by.node == "db"
    assert "a program on db has port 4321 and accepts no connection" in sentence(journey)


def test_a_port_that_the_engine_only_holds(tmp_path: Path) -> None:
    file = tmp_path / "held.yaml"
    file.write_text(
        "services:\n  web: {image: nginx, ports: ['8080:80', '8053:53/udp']}\n"
        "x-netlab: {host: {engine: docker-19.03, daemon: {userland-proxy: false}}}\n"
    )
    with netlab.Lab(str(file), name=f"held-{os.getpid()}") as held:
        journey = held.probe("client -> host:8080/tcp", family=6)
        explanation = held.explain("client -> host:8080/tcp", 6)
        datagram = held.probe("client -> host:8053/udp", family=6)
    assert (journey.outcome, journey.decided_by.kind, journey.decided_by.node) == ("closed", "socket", "host")
    assert "dockerd of host only holds port 8080 and accepts no connection" in sentence(journey)
    assert (datagram.outcome, datagram.path, datagram.decided_by.kind) == ("timeout", "local", "none")
    assert "dockerd of host only holds port 8053 and reads no datagram" in sentence(datagram)
    assert explanation.cause == "dockerd of host only holds port 8080 and accepts no connection."


@pytest.mark.parametrize("flow", [WEB, OUT])
@pytest.mark.parametrize("priority", [-(1 << 31), (1 << 31) - 1])
def test_chains_before_and_behind_netlabs_own_are_part_of_the_hook(
    lab: netlab.Lab, flow: str, priority: int
) -> None:
    for hook in ("forward", "postrouting"):
        add, remove = nft("inet", hook, "tcp dport 4 accept", priority)
        run(lab, "host", add)
        try:
            journey = lab.probe(flow, family=4)
        finally:
            run(lab, "host", remove)
        (visit,) = (one for leg in journey.legs for one in leg.hooks if one.hook == hook)
        met = [(hit.table, hit.verdict) for hit in visit.rules]
        assert met[0 if priority < 0 else -1] == ("odd", "policy accept")
        assert len(met) > 1
