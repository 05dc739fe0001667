"""Where a rule would change a journey's outcome, and which: the narrowest one, for this flow alone.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netlab.model.journey import Journey

Wish = Literal["block", "allow"]
_IPTABLES_TABLES = frozenset({"raw", "mangle", "nat", "filter", "security"})


@dataclass(frozen=True, slots=True)
class Advice:
    """A rule to add on a node, and how to take it away again."""

    node: str
    place: str  #: the chain, as people say it: ``ip filter DOCKER-USER``
    add: tuple[str, ...]
    remove: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Ends:
    """The flow's endpoints as its first packet had them; ``port`` is None for ICMP."""

    src: str
    dst: str
    protocol: str
    port: str | None


def wish_of(journey: Journey) -> Wish | None:
    """What a rule could change: block what got through, allow what a rule stopped; else None."""
    if journey.outcome == "ok":
        return "block"
    decision = journey.decided_by
    if decision.kind == "policy" and decision.verdict == "drop":
        return "allow"
    return "allow" if decision.kind == "rule" and journey.outcome != "closed" else None


def advise(journey: Journey, wish: Wish) -> Advice | None:
    """The rule that grants the wish; None where no rule of a host can."""
    if not journey.legs or journey.flow.src is None:
        return None
    return _block(journey) if wish == "block" else _allow(journey)


def blocking_chain(journey: Journey) -> str | None:
    """The chain of filter in which a rule has a say in a journey; None where no rule of a host has one."""
    if not journey.legs:
        return None
    if journey.path in ("proxy", "local"):
        return "INPUT"
    if journey.path in ("forward", "bridge"):
        return "DOCKER-USER" if "DOCKER-USER" in entered_chains(journey) else "FORWARD"
    return "OUTPUT" if journey.path == "output" else None


def _block(journey: Journey) -> Advice | None:
    chain = blocking_chain(journey)
    if chain is None:
        return None
    # By what was asked for first: behind a DNAT the plain match of one flow is that of another one too.
    match = _plain(_ends(journey)) if chain == "INPUT" else _original(_ends(journey))
    return _iptables(journey.legs[0].node, _tool(journey), "filter", chain, match, "DROP")


def _allow(journey: Journey) -> Advice | None:
    decision = journey.decided_by
    node = decision.node or journey.legs[0].node
    table, chain = decision.table or "", decision.chain or ""
    if table not in _IPTABLES_TABLES:
        return _nft(journey, node, table, chain)
    before_conntrack = table == "raw"
    if table == "filter" and decision.hook == "forward" and "DOCKER-USER" in entered_chains(journey):
        chain = "DOCKER-USER"
    match = _plain(_rewritten(journey)) if before_conntrack else _original(_ends(journey))
    return _iptables(node, _tool(journey), table, chain, match, "ACCEPT")


def _nft(journey: Journey, node: str, table: str, chain: str) -> Advice | None:
    """An accept at the head of a native chain; its handle is what removes it, so it carries a comment."""
    ends = _rewritten(journey)
    word = "ip6" if journey.flow.family == "ipv6" else "ip"
    match = [word, "saddr", ends.src, word, "daddr", ends.dst]
    match += ["meta", "l4proto", ends.protocol] if ends.port is None else [ends.protocol, "dport", ends.port]
    family = journey.decided_by.family or word
    add = ("nft", "insert", "rule", family, table, chain, *match, "accept")
    return Advice(node, f"{family} {table} {chain}", add, ())


def _iptables(node: str, tool: str, table: str, chain: str, match: list[str], target: str) -> Advice:
    where = () if table == "filter" else ("-t", table)
    rest = (chain, *match, "-j", target)
    family = "ip6" if tool == "ip6tables" else "ip"
    return Advice(node, f"{family} {table} {chain}", (tool, *where, "-I", *rest), (tool, *where, "-D", *rest))


def _plain(ends: _Ends) -> list[str]:
    port = [] if ends.port is None else ["--dport", ends.port]
    return ["-s", ends.src, "-d", ends.dst, "-p", ends.protocol, *port]


def _original(ends: _Ends) -> list[str]:
    """By what conntrack knows of the first packet: true behind a DNAT, and of the answers as well."""
    port = [] if ends.port is None else ["--ctorigdstport", ends.port]
    return ["-p", ends.protocol, "-m", "conntrack", "--ctorigsrc", ends.src, "--ctorigdst", ends.dst, *port]


def _tool(journey: Journey) -> str:
    return "ip6tables" if journey.flow.family == "ipv6" else "iptables"


def entered_chains(journey: Journey) -> set[str]:
    """Every chain that the packet went through: also one without rules, of which only the jump tells."""
    hits = [hit for leg in journey.legs for visit in leg.hooks for hit in visit.rules]
    targets = (hit.verdict.partition(" ") for hit in hits)
    return {hit.chain for hit in hits} | {to for word, _, to in targets if word in ("jump", "goto")}


def _ends(journey: Journey) -> _Ends:
    return _endpoints(journey, journey.flow.src or "", journey.flow.dst)


def _rewritten(journey: Journey) -> _Ends:
    """As the packet was at the hook that decided."""
    for leg in journey.legs:
        for visit in leg.hooks:
            if visit.hook == journey.decided_by.hook:
                return _endpoints(journey, visit.packet.src, visit.packet.dst)
    return _ends(journey)


def _endpoints(journey: Journey, src: str, dst: str) -> _Ends:
    protocol = journey.flow.to.rpartition("/")[2]
    if protocol == "icmp":
        protocol = "icmpv6" if journey.flow.family == "ipv6" else "icmp"
        return _Ends(_split(src)[0], _split(dst)[0], protocol, None)
    return _Ends(_split(src)[0], _split(dst)[0], protocol, _split(dst)[1])


def _split(endpoint: str) -> tuple[str, str | None]:
    """``[2001:db8::1]:80`` → address and port; a bare address has no port."""
    if endpoint.startswith("["):
        address, _, port = endpoint[1:].partition("]")
        return address, port.removeprefix(":") or None
    if endpoint.count(":") == 1:
        address, _, port = endpoint.partition(":")
        return address, port
    return endpoint, None
