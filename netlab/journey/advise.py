"""Where a rule would change a journey's outcome, and which: the narrowest one, for this flow alone.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netlab.model.family import split_endpoint
from netlab.model.journey import DecidedBy, HookVisit, Journey, Leg, Packet
from netlab.model.outcome import UNKNOWN

Wish = Literal["block", "allow"]
_IPTABLES_TABLES = frozenset({"raw", "mangle", "nat", "filter", "security"})
_IPTABLES_HOOKS = frozenset({"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"})
#: verdicts that end a packet immediately
_ENDED = ("drop", "queue", "stolen")


@dataclass(frozen=True, slots=True)
class Advice:
    """A command for a node that adds a rule, or changes a route or a sysctl, and how it is undone."""

    node: str
    place: str  #: what it changes, as people say it: ``ip filter DOCKER-USER``, ``sysctl``, ``ip route``
    add: tuple[str, ...]
    remove: tuple[str, ...]  #: empty for a native rule, which is removed by the handle that nft reports


@dataclass(frozen=True, slots=True)
class _Ends:
    """A packet's endpoints, including the server's port (None for ICMP); ``answer``: the packet comes from
    there.
    """

    src: str
    dst: str
    protocol: str
    port: str | None
    answer: bool = False


def stopped_by(journey: Journey) -> DecidedBy | None:
    """The rule or policy that ended the packet, or its answer; None if the packet was let through."""
    decision = journey.decided_by
    if journey.outcome in ("ok", *UNKNOWN) or decision.kind not in ("rule", "policy"):
        return None
    visits = [visit for leg in (*journey.legs, *journey.replies) for visit in leg.hooks]
    ended = decision.verdict in _ENDED or any(dropped(visit) for visit in (*visits, *journey.switched))
    return decision if ended else None


def dropped(visit: HookVisit) -> bool:
    """Whether a packet ended at this hook."""
    return bool(visit.rules) and visit.rules[-1].verdict in ("drop", "policy drop")


def wish_of(journey: Journey) -> Wish | None:
    """What a change could do: block a flow that got through, allow one that a rule or a route stopped, or
    None.
    """
    if journey.outcome == "ok":
        return "block"
    return "allow" if stopped_by(journey) is not None or journey.decided_by.kind == "route" else None


def granted(journey: Journey, wish: Wish) -> bool:
    """Whether a journey is as wished. A flow is allowed if nothing stops it, even if nothing listens
    there.
    """
    if journey.outcome in UNKNOWN:
        return False
    if wish == "block":
        return journey.outcome != "ok"
    return journey.outcome != "timeout" and wish_of(journey) != "allow"


def advise(journey: Journey, wish: Wish) -> Advice | None:
    """The rule that fulfils the wish; None if no rule can."""
    if journey.flow.src is None:
        return None
    if wish == "block":
        return _block(journey) if journey.legs else None
    return _allow(journey) if stopped_by(journey) is not None else None


def blocking_chain(journey: Journey) -> str | None:
    """The filter chain in which a rule affects a journey; None if no rule on a host does."""
    if not journey.legs:
        return None
    if _sent_by_proxy(journey) is not None:
        return "OUTPUT"
    if journey.path in ("proxy", "local"):
        return "INPUT"
    if journey.path in ("forward", "bridge"):
        return "DOCKER-USER" if "DOCKER-USER" in entered_chains(journey) else "FORWARD"
    return "OUTPUT" if journey.path == "output" else None


def _sent_by_proxy(journey: Journey) -> Leg | None:
    """The leg of a program that took the packet as it left its sender's namespace."""
    hooks = journey.legs[0].hooks if journey.legs else ()
    if journey.path != "proxy" or not hooks or hooks[-1].hook != "postrouting":
        return None
    return next((leg for leg in journey.legs if leg.by), None)


def _block(journey: Journey) -> Advice | None:
    chain = blocking_chain(journey)
    if chain is None:
        return None
    own = _sent_by_proxy(journey)
    if own is not None:  # what a rootless container sent: its program's packet, from a port of its own
        match = _plain(_ends_of(journey, own.hooks[0].packet))
        return _iptables(own.node, _tool(journey), "filter", chain, match, "DROP")
    # Match the original destination: after a DNAT, the plain match of one flow is that of another one, too.
    match = _plain(_ends(journey)) if chain == "INPUT" else _original(_ends(journey))
    return _iptables(journey.legs[0].node, _tool(journey), "filter", chain, match, "DROP")


def _allow(journey: Journey) -> Advice | None:
    """An accept in front of the rule or policy that ended the packet, by what the packet was there."""
    decision = journey.decided_by
    family, table, chain = decision.family or "", decision.table or "", decision.chain or ""
    leg, visit = _ended_at(journey)
    node = decision.node or (leg.node if leg is not None else "")
    packet = decision.packet or (visit.packet if visit is not None else None)
    if not node or packet is None or family == "arp":
        return None
    ends = _ends_of(journey, packet, answer=decision.direction == "reply")
    if family not in ("ip", "ip6") or not _of_iptables(decision):
        return _nft(node, family, table, chain, ends)
    if table == "filter" and decision.hook == "forward" and "DOCKER-USER" in _entered(visit):
        chain = "DOCKER-USER"
    match = _plain(ends)
    if table != "raw" and leg is not None and leg.by is None and decision.hook == "forward":
        first = next((one.hooks[0].packet for one in journey.legs if one.node == node and not one.by), packet)
        match = _original(_ends_of(journey, first))
    return _iptables(node, _tool(journey, family), table, chain, match, "ACCEPT")


def _ended_at(journey: Journey) -> tuple[Leg | None, HookVisit | None]:
    """The leg and the hook in which a rule ended a packet, if a leg shows it."""
    for leg in (*journey.legs, *journey.replies):
        for visit in leg.hooks:
            if visit.hook == journey.decided_by.hook and (
                dropped(visit) or (visit is leg.hooks[-1] and journey.decided_by.verdict in _ENDED)
            ):
                return leg, visit
    return None, next((visit for visit in journey.switched if dropped(visit)), None)


def _of_iptables(decision: DecidedBy) -> bool:
    """Whether iptables has the chain: it prints the chain's rules, or the chain is a built-in one."""
    if decision.table not in _IPTABLES_TABLES or decision.chain is None:
        return False
    return (decision.rule or "").startswith("-A ") or decision.chain in _IPTABLES_HOOKS


def _nft(node: str, family: str, table: str, chain: str, ends: _Ends) -> Advice:
    """An accept at the head of a native chain; its handle is what removes it."""
    word = "ip6" if ":" in ends.src else "ip"
    match = [word, "saddr", ends.src, word, "daddr", ends.dst]
    if ends.port is None:
        match += ["meta", "l4proto", ends.protocol]
    else:
        match += [ends.protocol, "sport" if ends.answer else "dport", ends.port]
    add = ("nft", "insert", "rule", family, table, chain, *match, "accept")
    return Advice(node, f"{family} {table} {chain}", add, ())


def _iptables(node: str, tool: str, table: str, chain: str, match: list[str], target: str) -> Advice:
    where = () if table == "filter" else ("-t", table)
    rest = (chain, *match, "-j", target)
    family = "ip6" if tool == "ip6tables" else "ip"
    return Advice(node, f"{family} {table} {chain}", (tool, *where, "-I", *rest), (tool, *where, "-D", *rest))


def _plain(ends: _Ends) -> list[str]:
    port = [] if ends.port is None else ["--sport" if ends.answer else "--dport", ends.port]
    return ["-s", ends.src, "-d", ends.dst, "-p", ends.protocol, *port]


def _original(ends: _Ends) -> list[str]:
    """Match what conntrack knows of the first packet: this holds after a DNAT, and for the answers."""
    port = [] if ends.port is None else ["--ctorigdstport", ends.port]
    return ["-p", ends.protocol, "-m", "conntrack", "--ctorigsrc", ends.src, "--ctorigdst", ends.dst, *port]


def _tool(journey: Journey, family: str = "") -> str:
    return "ip6tables" if family == "ip6" or (not family and journey.flow.family == "ipv6") else "iptables"


def entered_chains(journey: Journey) -> set[str]:
    """Every chain that the packet went through, also one without rules, which only the jump shows."""
    return {chain for leg in journey.legs for visit in leg.hooks for chain in _entered(visit)}


def _entered(visit: HookVisit | None) -> set[str]:
    hits = visit.rules if visit is not None else ()
    targets = (hit.verdict.partition(" ") for hit in hits)
    return {hit.chain for hit in hits} | {to for word, _, to in targets if word in ("jump", "goto")}


def _ends(journey: Journey) -> _Ends:
    """The flow's endpoints, as its first packet had them."""
    return _ends_of(journey, Packet(journey.flow.src or "", journey.flow.dst))


def _ends_of(journey: Journey, packet: Packet, *, answer: bool = False) -> _Ends:
    protocol = journey.flow.to.rpartition("/")[2]
    (src, sport), (dst, dport) = split_endpoint(packet.src), split_endpoint(packet.dst)
    if protocol == "icmp":
        return _Ends(src, dst, "icmpv6" if ":" in src else "icmp", None, answer)
    return _Ends(src, dst, protocol, (sport if answer else dport) or None, answer)
