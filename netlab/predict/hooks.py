"""One packet at one IP hook: its base chains in order, conntrack and NAT where the kernel has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from netlab.journey.hook_passes import HookPass
from netlab.model.family import Family
from netlab.model.trace import Headers, Whole
from netlab.predict.connections import Conntrack, Side, Tracked, bind, mangled
from netlab.predict.evaluate import Ended, Passage, RuleName, Undetermined, run_chain
from netlab.predict.host import Namespace
from netlab.predict.packet import Packet, address_number
from netlab.predict.rules import ModelChain, ModelTable, Reject, Translate
from netlab.predict.sources import ipv4_source, ipv6_source

#: where conntrack stands among the base chains of PREROUTING and OUTPUT, and NAT (nf_ip_hook_priorities)
_CONNTRACK: Final = -200
_NAT_DST, _NAT_SRC = -100, 100
_FIRST, _LAST = -(1 << 31), 1 << 31
#: br_netfilter's priority in PREROUTING and FORWARD: it comes after chains of the bridge family with the same
_BRIDGE_NETFILTER: Final = 0
#: a hook of the bridge family: all of it, or what comes before or after br_netfilter's IP hooks
BridgePart = Literal["all", "before", "after"]
_SIDES: Final[dict[str, Side]] = {
    "prerouting": "dst", "output": "dst", "input": "src", "postrouting": "src",
}  # fmt: skip


@dataclass(slots=True)
class Crossed:
    """How a packet left a hook; ``word`` is ``passed`` or how it ended."""

    packet: Packet
    tracked: Tracked | None
    word: Literal["passed", "drop", "reject"]
    reject: Reject | None = None


@dataclass(slots=True)
class Hooks:
    """The hooks of all namespaces: their conntracks, what is assumed of undetermined rules, and the record.

    ``notes`` are what a journey should say besides.
    """

    known: dict[RuleName, bool]
    conntracks: dict[str, Conntrack] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    order: int = 0
    #: runs one base chain
    run: Callable[[ModelTable, ModelChain, Passage], Ended] = run_chain

    def conntrack(self, space: Namespace) -> Conntrack:
        """The conntrack of a namespace."""
        return self.conntracks.setdefault(space.name, Conntrack())

    def cross(self, passage: Passage, record: list[HookPass], link: bytes = b"") -> Crossed:
        """Take a packet through an IP hook; the visit is added to ``record``."""
        passage.known = self.known
        before = passage.packet
        visit = self.visit(passage, "ip", link)
        record.append(visit)
        ended = self._run(passage)
        visit.steps += passage.steps
        self.notes += passage.notes
        if ended is None:
            if passage.hook in ("postrouting", "input") and passage.tracked is not None:
                self.conntrack(passage.space).confirm(passage.tracked)
            if passage.packet is before:
                visit.leave_unchanged()
            else:
                visit.leave(Whole(self.headers(passage, link)), b"")
            return Crossed(passage.packet, passage.tracked, "passed")
        visit.dropped = True
        rejected = ended.word == "reject"
        return Crossed(passage.packet, passage.tracked, "reject" if rejected else "drop", ended.reject)

    def bridge(self, passage: Passage, record: list[HookPass], part: BridgePart = "all") -> bool:
        """Take a frame through a hook of the bridge family, or a part of it; whether it goes on."""
        passage.known = self.known
        if part == "after":
            visit = record[-1]
        else:
            visit = self.visit(passage, "bridge", b"")
            record.append(visit)
        for table, chain in passage.space.bridge_hook(passage.hook):
            if part != "all" and (chain.priority > _BRIDGE_NETFILTER) != (part == "after"):
                continue
            ended = self.run(table, chain, passage)
            if ended.word != "accept":
                visit.steps += passage.steps
                visit.dropped = True
                return False
        visit.steps += passage.steps
        visit.leave(Whole(self.headers(passage, b"")), b"")
        return True

    def visit(self, passage: Passage, family: str, link: bytes) -> HookPass:
        """A packet's visit of a hook, as it begins."""
        self.order += 1
        layout = Whole(self.headers(passage, link))
        return HookPass(passage.space.name, family, passage.hook, self.order, layout, b"", self.order)

    def headers(self, passage: Passage, link: bytes) -> Headers:
        """The packet's headers and interfaces as a trace would show them."""
        network, transport = passage.packet.headers()
        indexes = passage.space.indexes
        iif = indexes.get(passage.iif) if passage.iif else None
        oif = indexes.get(passage.oif) if passage.oif else None
        return Headers(iif, oif, link, network, transport, passage.packet.mark)

    def _run(self, passage: Passage) -> Ended | None:
        """Run a hook in the kernel's order; None if the packet came through."""
        chains = passage.space.hook(passage.packet.family, passage.hook)
        tracks = passage.hook in ("prerouting", "output")
        nat = _NAT_DST if tracks else _NAT_SRC
        start = _FIRST
        if tracks:
            ended = self._filter(chains, passage, start, _CONNTRACK)
            if ended is not None:
                return ended
            if not passage.space.tracks(passage.packet.family):
                passage.tracked = None
            elif passage.tracked is None or passage.untracked:
                passage.tracked = (
                    Tracked(None, state="untracked")
                    if passage.untracked
                    else self.conntrack(passage.space).track(passage.packet)
                )
            start = _CONNTRACK
        if passage.hook == "forward":
            return self._filter(chains, passage, start, _LAST)
        ended = self._filter(chains, passage, start, nat)
        return (
            ended
            or self._translate(chains, passage, _SIDES[passage.hook])
            or self._filter(chains, passage, nat, _LAST)
        )

    def _filter(
        self, chains: list[tuple[ModelTable, ModelChain]], passage: Passage, low: int, high: int
    ) -> Ended | None:
        """Run the chains of type filter or route: priorities from ``low`` up to, not including, ``high``."""
        for table, chain in chains:
            if chain.type != "nat" and low <= chain.priority < high:
                ended = self.run(table, chain, passage)
                if ended.word != "accept":
                    return ended
        return None

    def _translate(
        self, chains: list[tuple[ModelTable, ModelChain]], passage: Passage, side: Side
    ) -> Ended | None:
        """NAT at a hook: the chains decide once for each connection and side; every packet is rewritten."""
        tracked = passage.tracked
        if tracked is None or tracked.connection is None:
            return None
        if tracked.state == "new" and not tracked.reply and side not in tracked.connection.bound:
            for table, chain in (pair for pair in chains if pair[1].type == "nat"):
                ended = self.run(table, chain, passage)
                if ended.word != "accept":
                    return ended
                if ended.translate is not None:
                    _bind(ended.translate, passage, side)
                    break
            else:
                bind(tracked, side, None, None)
        passage.packet = mangled(passage.packet, tracked, side)
        return None


def _bind(translate: Translate, passage: Passage, side: Side) -> None:
    packet, tracked = passage.packet, passage.tracked
    assert tracked is not None
    address: int | None = None
    if translate.masquerade:
        address = _own_address(passage)
    elif translate.redirect:
        address = _redirected(passage)
    elif translate.addresses is not None:
        low, high = translate.addresses
        if translate.prefix is not None:
            kept = (1 << packet.family.bits - translate.prefix) - 1
            address = low & ~kept | (packet.dst if side == "dst" else packet.src) & kept
        elif low != high:
            raise _by_chance(passage, "the address that NAT chooses from a range")
        else:
            address = low
    bind(tracked, side, address, _port(translate, passage, side))


def _port(translate: Translate, passage: Passage, side: Side) -> int | None:
    packet = passage.packet
    if not packet.has_ports:
        return None
    own = packet.dport if side == "dst" else packet.sport
    if translate.ports is None:
        if translate.random:
            passage.notes.append("NAT chooses the source port at random; netlab shows the packet's own")
        return None
    low, high = translate.ports
    if low <= own <= high and side == "src" and not translate.random:
        return own
    if low != high:
        if side == "dst":
            raise _by_chance(passage, "the port that NAT chooses from a range")
        passage.notes.append(f"NAT chooses one of the source ports {low}-{high}; netlab shows the first")
    return low


def _by_chance(passage: Passage, what: str) -> Undetermined:
    last = passage.steps[-1]
    name = RuleName(passage.space.name, last.family, last.table, last.chain, last.handle or 0, "")
    for table in passage.space.tables:
        if (table.family, table.name) == (last.family, last.table):
            name = name._replace(text=table.chains[last.chain].rules[(last.handle or 1) - 1].text)
    return Undetermined(name, what, effect=True)


def _own_address(passage: Passage) -> int | None:
    """What MASQUERADE takes: an address of the output interface (nf_nat_masquerade_ipv4, -ipv6)."""
    packet, interface = passage.packet, passage.oif or "lo"
    if packet.family is Family.IPV6:
        return ipv6_source(passage.space, interface, packet.dst)
    return ipv4_source(passage.space, interface, passage.hop or packet.dst)


def _redirected(passage: Passage) -> int | None:
    """What REDIRECT takes: loopback for the host's own packets, else the input interface's first address."""
    family = passage.packet.family
    if passage.hook == "output":
        return address_number(family.loopback)
    return next(passage.space.addresses(family, passage.iif), None)
