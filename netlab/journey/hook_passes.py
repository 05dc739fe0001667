"""Trace events of one namespace → hook passes: one packet at one hook, from its first to its last chain.

::

    first-prerouting   ip raw PREROUTING   ip nat PREROUTING ... DOCKER   last-prerouting
    └ entry: headers   └────────────── steps, in order ──────────────┘    └ exit: headers after NAT

Events of several packets come mixed; within one packet they are in order. What holds a packet's events
together inside one hook is its trace id, which does not change there. From hook to hook it may
(net/netfilter/nf_tables_trace.c hashes the incoming interface into it, and a bridged frame's becomes the
bridge), so hook passes are joined into legs by the addresses with which a packet left one and entered the
next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from netlab.journey.headers import is_fragment_header, key_of_sections
from netlab.model.trace import (
    BaseChain,
    Headers,
    Layout,
    Step,
    TraceKind,
    VerdictCode,
)

#: after these verdicts, a packet is no longer at the hook
_ENDS: Final = frozenset((VerdictCode.DROP, VerdictCode.STOLEN))
#: the maximum number of packets in flight; older ones count as gone
_OPEN_LIMIT: Final = 4096
#: families with hooks other than IP's, each numbered from 1
_LAYERS: Final = {"bridge": 1, "netdev": 2, "arp": 3}


class HookPass:
    """One packet at one hook.

    ``order`` counts hook passes in the order in which the kernel began them. ``exit`` is None while the
    packet has not reached the end of the hook; ``dropped``: a rule or policy ended it here. ``key`` and
    ``left`` are its keys on arrival and departure. There are tens of thousands per second, so rarely needed
    properties are computed on demand.
    """

    __slots__ = (
        "_body",
        "_layout",
        "_left",
        "_out",
        "dropped",
        "early",
        "family",
        "hook",
        "id",
        "key",
        "node",
        "order",
        "steps",
    )

    def __init__(
        self, node: str, family: str, hook: str, order: int, layout: Layout, body: bytes, number: int = 0
    ) -> None:
        self.id = number  #: the trace ID, which tells a packet from its copies while it is at one hook
        self.node = node
        self.family = family  #: ``ip`` for the hooks of IPv4 and IPv6, else ``bridge``, ``netdev`` or ``arp``
        self.hook = hook
        self.order = order
        self.steps: list[Step] = []
        self.dropped = False
        self.early = False  #: it began with a chain before netlab's first one
        self.key = key_of_sections(*layout.sections(body))
        self._layout = layout
        self._body = body
        self._left: bytes | None = None
        self._out: tuple[Layout, bytes] | None = None

    @property
    def entry(self) -> Headers:
        """The packet as it entered."""
        return self._layout.headers(self._body)

    @property
    def iif(self) -> int | None:
        """The interface that it came in by, as an index."""
        return self._layout.iif

    @property
    def oif(self) -> int | None:
        """The index of its output interface."""
        return self._layout.oif

    @property
    def exit(self) -> Headers | None:
        """The packet as it left."""
        return None if self._out is None else self._out[0].headers(self._out[1])

    @property
    def mark(self) -> int:
        """The mark with which it left (or came), 0 for none."""
        return self._layout.mark if self._out is None else self._out[0].mark

    @property
    def left(self) -> bytes | None:
        """The key with which it left; None if it did not, or has none."""
        if self._left is None and self._out is not None:
            layout, body = self._out
            self._left = key_of_sections(*layout.sections(body))
        return self._left

    @property
    def fragment(self) -> bool:
        """Whether the packet was one of several fragments as it entered."""
        return is_fragment_header(self._layout.sections(self._body)[0])

    @property
    def taken(self) -> bool:
        """Whether the last rule took the packet out of the hook: for a queue, or to answer instead."""
        verdict = self.steps[-1].verdict if self.steps else None
        return self._out is None and verdict in (VerdictCode.QUEUE, VerdictCode.STOLEN)

    def leave(self, layout: Layout, body: bytes) -> None:
        """The packet reached the end of the hook."""
        self._out = (layout, body)

    def leave_unchanged(self) -> None:
        """The packet reached the end of the hook as it came."""
        self._out = (self._layout, self._body)

    def end(self) -> None:
        """A rule or policy ended the packet here, perhaps behind netlab's last chain."""
        self.dropped, self._out, self._left = True, None, None

    def whole(self, last: HookPass) -> HookPass:
        """The packet, a first fragment, put together with the datagram that left in its place."""
        made = HookPass(self.node, self.family, self.hook, self.order, self._layout, self._body, self.id)
        made._out = last._out
        made.steps, made.dropped = self.steps + last.steps, last.dropped
        return made

    def __repr__(self) -> str:
        end = "dropped" if self.dropped else "passed" if self._out else "open"
        return f"<HookPass {self.node} {self.family} {self.hook} #{self.order} {end}>"


class _Role(NamedTuple):
    """What a step means to the assembler: found once for all events that are equal to it."""

    layer: str
    base: int  #: set in a packet's number, so that the same id on two layers is two packets
    hook: str  #: of the base chain of the step, empty inside another chain
    own: str  #: ``first``, ``last`` or ``other`` for netlab's chains
    noted: bool  #: a rule or a policy, not the end of a chain
    ends: bool  #: the packet has left the hook


class Assembler:
    """Turns events into hook passes. ``on_drop`` is called at once for each packet that a rule ended."""

    def __init__(
        self,
        node: str,
        base_chains: Iterable[BaseChain],
        on_drop: Callable[[HookPass], None] | None = None,
    ) -> None:
        self.node = node
        self.hook_passes: list[HookPass] = []
        self._open: dict[int, HookPass] = {}
        self._chains: dict[tuple[str, str, str], BaseChain] = {}
        self._roles: dict[Step, _Role] = {}
        #: hooks with chains behind netlab's last one, and the passes there that it has seen the end of
        self._behind: frozenset[str] = frozenset()
        self._left: dict[int, HookPass] = {}
        self._on_drop = on_drop
        self._order = 0
        self.learn(base_chains)

    def learn(self, base_chains: Iterable[BaseChain]) -> None:
        """Take over a new list of base chains."""
        self._chains = {(chain.family, chain.table, chain.name): chain for chain in base_chains}
        last = {chain.hook: chain.priority for chain in self._chains.values() if chain.own == "last"}
        self._behind = frozenset(
            chain.hook
            for chain in self._chains.values()
            if not chain.own and chain.hook in last and chain.priority > last[chain.hook]
        )
        self._left.clear()
        self._roles.clear()

    def _role(self, step: Step) -> _Role:
        chain = self._chains.get((step.family, step.table, step.chain))
        layer = step.family if step.family in _LAYERS else "ip"
        if chain is not None and chain.hook in ("ingress", "egress"):
            layer = "netdev"  # of an inet table
        found = self._roles[step] = _Role(
            layer,
            _LAYERS.get(layer, 0) << 32,
            chain.hook if chain is not None else "",
            chain.own if chain is not None else "",
            step.handle is not None or step.kind is TraceKind.POLICY,
            step.verdict in _ENDS,
        )
        return found

    def step(self, number: int, step: Step) -> None:
        """Take an event without headers: packet ``number`` met a rule or policy."""
        _, base, _, own, noted, ends = self._roles.get(step) or self._role(step)
        if own == "other":
            return
        hook_pass = self._open.get(number | base)
        if hook_pass is not None:
            if noted:
                hook_pass.steps.append(step)
            if ends:
                self._ended(number | base, hook_pass, step)

    def packet(self, number: int, step: Step, layout: Layout, body: bytes) -> None:
        """Take an event with headers, which ``layout`` reads from ``body``: a base chain was entered."""
        layer, base, hook, own, noted, ends = self._roles.get(step) or self._role(step)
        number |= base
        if own == "first":
            hook_pass = self._open.get(number)
            if hook_pass is None or not hook_pass.early or hook_pass.hook != hook:
                self._begin(number, layer, hook, layout, body)
            else:
                hook_pass.early = False
        elif own == "last":
            hook_pass = self._open.pop(number, None)
            if hook_pass is None or hook_pass.hook != hook:
                # In a bridge's postrouting, netlab has only a last chain: frames that the host sent end
                # there.
                hook_pass = self._begin(number, layer, hook, layout, body)
                del self._open[number]
            hook_pass.leave(layout, body)
            if hook in self._behind:
                self._left[number] = hook_pass
        elif not own:
            hook_pass = self._open.get(number)
            if hook_pass is None and hook in self._behind:
                hook_pass = self._behind_last(number, hook)
            if hook and (hook_pass is None or hook_pass.hook != hook):
                hook_pass = self._begin(number, layer, hook, layout, body)
                hook_pass.early = True
            if hook_pass is not None:
                if noted:
                    hook_pass.steps.append(step)
                if ends:
                    self._ended(number, hook_pass, step)

    def _behind_last(self, number: int, hook: str) -> HookPass | None:
        """The pass that a chain behind netlab's last one continues, open again."""
        hook_pass = self._left.pop(number, None)
        if hook_pass is None or hook_pass.hook != hook:
            return None
        self._open[number] = hook_pass
        return hook_pass

    def _ended(self, number: int, hook_pass: HookPass, step: Step) -> None:
        self._open.pop(number, None)
        if step.dropped:
            hook_pass.end()
            if self._on_drop is not None:
                self._on_drop(hook_pass)

    def _begin(self, number: int, layer: str, hook: str, layout: Layout, body: bytes) -> HookPass:
        hook_pass = HookPass(self.node, layer, hook, self._order, layout, body, number & 0xFFFFFFFF)
        self._order += 1
        self.hook_passes.append(hook_pass)
        if len(self._open) >= _OPEN_LIMIT:
            del self._open[next(iter(self._open))]
        self._open[number] = hook_pass
        return hook_pass

    def clear(self) -> None:
        """Forget finished hook passes; those of packets in flight are kept."""
        self.hook_passes.clear()
        self._left.clear()
