"""Join hook passes to legs: find the same packet at the next hook.

A packet enters a hook with the addresses with which it left the previous one: netlab's last chain at a hook
sees what NAT did there. This works across changing trace IDs (bridges, loopback), without conntrack, and for
answers; see :mod:`netlab.journey.hook_passes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final

from netlab.journey.headers import (
    address_octets,
    addresses_of,
    alike,
    as_fragment,
    echo_of_fragment,
    endpoints,
    error_key,
    first_octets,
    icmp_error,
    identity,
    packet_of,
    same_kind,
    searched,
)
from netlab.journey.hook_passes import HookPass
from netlab.journey.topology import Topology, TracedNode
from netlab.model.family import endpoint
from netlab.model.journey import HookVisit, Icmp, Leg, Nat, Packet, RuleHit
from netlab.model.trace import Step, TraceKind

LOOPBACK_INDEX: Final = 1
_NEXT: Final = {
    "prerouting": ("input", "forward"),
    "input": (),
    "forward": ("postrouting",),
    "output": ("postrouting",),
    "postrouting": ("prerouting",),
}


class Index:
    """The hook passes of a measurement, found by the addresses with which a packet came or left."""

    def __init__(self, hook_passes: Iterable[HookPass], facts: Topology | None = None) -> None:
        self._facts = facts
        self._hook_passes = list(hook_passes)
        self._by_entry: dict[bytes, list[HookPass]] = {}
        self._by_payload: dict[tuple[str, bytes], list[bytes]] | None = None
        by_entry = self._by_entry
        for hook_pass in self._hook_passes:
            key = hook_pass.key
            if key is not None:
                if key in by_entry:
                    by_entry[key].append(hook_pass)
                else:
                    by_entry[key] = [hook_pass]

    @cached_property
    def _by_exit(self) -> dict[bytes, list[HookPass]]:
        found: dict[bytes, list[HookPass]] = {}
        for hook_pass in self._hook_passes:
            if hook_pass.left is not None:
                found.setdefault(hook_pass.left, []).append(hook_pass)
        return found

    @cached_property
    def _fragments(self) -> list[HookPass]:
        return [hook_pass for hook_pass in self._hook_passes if hook_pass.fragment]

    @cached_property
    def _errors(self) -> dict[bytes, list[tuple[HookPass, Icmp]]]:
        found: dict[bytes, list[tuple[HookPass, Icmp]]] = {}
        for hook_pass in self._hook_passes:
            if hook_pass.key is None and hook_pass.family == "ip":
                error = icmp_error(hook_pass.entry)
                if error is not None:
                    found.setdefault(error[1], []).append((hook_pass, error[0]))
        return found

    def errors(self, passes: Sequence[HookPass]) -> list[tuple[HookPass, Icmp]]:
        """The ICMP error about a packet that ended on this path, at each hook that showed it."""
        if not passes or not self._errors:
            return []
        ends = [headers for headers in (passes[-1].exit, passes[-1].entry) if headers is not None]
        return next((found for end in ends if (found := self._errors.get(error_key(end)))), [])

    def entering(self, key: bytes) -> Sequence[HookPass]:
        """Hook passes that a packet with this key entered, in order; the first fragment of one counts."""
        found = self._by_entry.get(key)
        if found is None and key[0] == 6:
            found = self._by_entry.get(as_fragment(key)) or [
                hook_pass for hook_pass in self._fragments if echo_of_fragment(hook_pass.entry) == key
            ]
        return found or ()

    def leaving(self, key: bytes) -> Sequence[HookPass]:
        """Hook passes that a packet with this key left."""
        return self._by_exit.get(key, ())

    def follow(
        self,
        key: bytes,
        hosts: frozenset[str],
        start: str | None = None,
        *,
        passed: bool = False,
        other: Sequence[HookPass] = (),
    ) -> list[HookPass]:
        """The path of the first packet with this key, through the IP hooks of ``hosts``.

        ``start``: the host in which it began, if known. ``passed``: it is known to have arrived, so it is not
        one of the dropped copies. ``other``: hook passes of another packet, which may have the same key.
        """
        passes: list[HookPass] = []
        last: HookPass | None = None
        seen: bytes | None = key
        reached: dict[str, int] = {}  # node → the order of the last pass there: a packet may come again
        while seen is not None:
            hook_pass = self._next(seen, last, hosts, start, reached, passed=passed, other=other)
            if hook_pass is None:
                break
            seen, last = hook_pass.left, hook_pass
            reached[hook_pass.node] = hook_pass.order
            if seen is None and not hook_pass.dropped and hook_pass.fragment:
                last = self._whole(hook_pass)
                seen = last.left
            passes.append(last)
        return passes

    def _next(
        self,
        key: bytes,
        last: HookPass | None,
        hosts: frozenset[str],
        start: str | None,
        reached: Mapping[str, int],
        *,
        passed: bool,
        other: Sequence[HookPass],
    ) -> HookPass | None:
        """Where the packet came next: of several copies the one with its id, or to its receiver's port."""
        found: list[HookPass] = []
        for hook_pass in self.entering(key):
            if hook_pass.family != "ip" or hook_pass.node not in hosts or not _follows(last, hook_pass):
                continue
            if hook_pass.order <= reached.get(hook_pass.node, -1):
                continue
            if last is not None and not same_kind(last.entry, hook_pass.entry):
                continue  # the sender's RST, which follows a SYN that was made by hand
            if any(hook_pass is one for one in other):
                continue
            if last is None:
                if hook_pass.node == start or (start is None and self._facts is None):
                    return hook_pass
            elif hook_pass.id == last.id and hook_pass.node == last.node:
                return hook_pass
            found.append(hook_pass)
        if len(found) > 1 and last is not None:
            found = [one for one in found if self._at_home(last, one)] or found
            found = [one for one in found if self.meant(one)] or found
            if passed:
                found = [one for one in found if not one.dropped] or found
        if len(found) > 1 and (last is None or self._outside(last)):
            found = [one for one in found if self._on_a_host(one)] or found
        return found[0] if found else None

    def _outside(self, last: HookPass) -> bool:
        """Whether a packet leaves a node that is on no host: it comes to a host before any container."""
        return self._facts is not None and last.hook == "postrouting" and self._facts.home(last.node) is None

    def _on_a_host(self, hook_pass: HookPass) -> bool:
        """Whether a pass is on a host, to which a packet from outside comes before any container."""
        return self._facts is not None and hook_pass.node in self._facts.hosts

    def _at_home(self, last: HookPass, hook_pass: HookPass) -> bool:
        """Whether a packet came from a container to its host: there it is before any other node."""
        if self._facts is None or last.hook != "postrouting" or last.node == hook_pass.node:
            return False
        return hook_pass.node == self._facts.home(last.node)

    def meant(self, hook_pass: HookPass) -> bool:
        """Whether this is surely the one of a bridge's copies that goes to the port of its receiver.

        PREROUTING comes before the bridge copies a frame: what it forwarded earlier was another packet.
        """
        if self._facts is None or hook_pass.key is None or hook_pass.hook == "prerouting":
            return False
        node = self._facts.traced.get(hook_pass.node)
        before = [
            other
            for other in self.entering(hook_pass.key)
            if (other.family, other.hook, other.node) == ("bridge", "forward", hook_pass.node)
            and other.order < hook_pass.order
        ]
        if node is None or not before:
            return False
        port = self._facts.port(hook_pass.node, before[-1].entry.link[:6])
        return port is not None and port == node.interface(before[-1].oif)

    def copies(self, hook_pass: HookPass) -> bool:
        """Whether a packet may be a copy of another one: then its drop does not end the other.

        A copy that a rule made (TEE) leaves by OUTPUT with the addresses of one that came in before. A bridge
        that floods gives each port a copy.
        """
        if hook_pass.key is None:
            return False
        for other in self.entering(hook_pass.key):
            if other.node != hook_pass.node or other.family != hook_pass.family or other.id == hook_pass.id:
                continue
            elsewhere = other.hook == hook_pass.hook and other.hook in ("forward", "postrouting")
            if elsewhere and not other.dropped and alike(other.entry, hook_pass.entry):
                return True
        return self.teed(hook_pass)

    def teed(self, hook_pass: HookPass) -> bool:
        """Whether a packet was sent by this machine as a copy of one that it was handling."""
        same = self.entering(hook_pass.key) if hook_pass.key is not None else ()
        begun = next((s for s in same if s.node == hook_pass.node and s.id == hook_pass.id), hook_pass)
        return begun.hook == "output" and any(
            other.node == begun.node
            and other.id != begun.id
            and other.order < begun.order
            and other.hook in ("prerouting", "output", "forward")
            and alike(other.entry, begun.entry)
            for other in same
        )

    def same_packet(self, hook_pass: HookPass, but: set[str]) -> HookPass | None:
        """Where another node first saw the packet that left ``hook_pass``, with any addresses."""
        if hook_pass.exit is None:
            return None
        mark = identity(hook_pass.exit)
        return next(
            (
                other
                for other in self._hook_passes
                if other.family == "ip"
                and other.hook == "prerouting"
                and other.node not in but
                and identity(other.entry) == mark
            ),
            None,
        )

    def dropped_searches(self, keys: set[bytes]) -> list[HookPass]:
        """Dropped packets of ARP and neighbour discovery that are about one of these addresses."""
        known = {octets for key in keys for octets in address_octets(key)}
        return [
            hook_pass
            for hook_pass in self._hook_passes
            if hook_pass.dropped and hook_pass.key is None and searched(hook_pass.entry) & known
        ]

    def _whole(self, hook_pass: HookPass) -> HookPass:
        """A first fragment, joined with the datagram that left the hook instead of it.

        Conntrack reassembles in PREROUTING and OUTPUT, after netlab's first chain; the datagram continues
        with the trace ID of the last fragment.
        """
        addresses = addresses_of(hook_pass.entry)
        for other in self._fragments:
            if (
                other.left is not None
                and other.node == hook_pass.node
                and other.hook == hook_pass.hook
                and other.order > hook_pass.order
                and addresses_of(other.entry) == addresses
            ):
                return hook_pass.whole(other)
        return hook_pass

    def trace_back(self, key: bytes, node: str, hosts: frozenset[str]) -> list[HookPass]:
        """The path of the packet that left a node's POSTROUTING with this key, if the node sent it itself."""
        for hook_pass in self.leaving(key):
            if hook_pass.hook != "postrouting" or hook_pass.family != "ip" or hook_pass.node != node:
                continue
            if hook_pass.key is None:
                continue
            for before in self.leaving(hook_pass.key):
                if (
                    before.hook == "output"
                    and before.key
                    and before.node == hook_pass.node
                    and before.order < hook_pass.order
                ):
                    return self.follow(before.key, hosts, node)
        return []

    def sent_from(self, key: bytes, node: str) -> bytes | None:
        """The key with which a packet left a POSTROUTING from the source and to the port of ``key``."""
        size = 4 if key[0] == 4 else 16
        for left, hook_passes in self._by_exit.items():
            alike = left[: 2 + size] == key[: 2 + size] and left[2 + 2 * size :] == key[2 + 2 * size :]
            if alike and any(one.hook == "postrouting" and one.node == node for one in hook_passes):
                return left
        return None

    def sent_with(self, payload: bytes, node: str) -> bytes | None:
        """The key of the datagram that the node sent with this payload (its first twelve octets)."""
        if self._by_payload is None:
            self._by_payload = {}
            for key, hook_passes in self._by_entry.items():
                for hook_pass in hook_passes:
                    if hook_pass.family == "ip" and hook_pass.hook == "output" and hook_pass.iif is None:
                        place = hook_pass.node, first_octets(hook_pass.entry)
                        self._by_payload.setdefault(place, []).append(key)
        found = self._by_payload.get((node, payload[:12]), ())
        return found[-1] if found else None

    def switched(self, keys: Iterable[bytes]) -> list[HookPass]:
        """The bridge-family hook passes of one packet, if a bridge passed it from port to port."""
        found: list[HookPass] = []
        for key in dict.fromkeys(keys):
            found += [hook_pass for hook_pass in self.entering(key) if hook_pass.family == "bridge"]
        found = [hook_pass for hook_pass in found if same_kind(found[0].entry, hook_pass.entry)]
        return found if any(hook_pass.hook == "forward" for hook_pass in found) else []


def _follows(last: HookPass | None, hook_pass: HookPass) -> bool:
    if last is None:
        return hook_pass.hook in ("prerouting", "output")
    if hook_pass.hook not in _NEXT.get(last.hook, ()):
        return False
    if hook_pass.node != last.node:
        return last.hook == "postrouting"
    return last.hook != "postrouting" or last.oif == LOOPBACK_INDEX


def split_by_node(passes: Sequence[HookPass]) -> list[list[HookPass]]:
    """A path through several hosts, cut into one run for each host."""
    runs: list[list[HookPass]] = []
    for hook_pass in passes:
        if runs and runs[-1][0].node == hook_pass.node:
            runs[-1].append(hook_pass)
        else:
            runs.append([hook_pass])
    return runs


def leg_of(passes: Sequence[HookPass], by: str | None, facts: Topology) -> Leg:
    """One leg, in words."""
    node = facts.traced.get(passes[0].node) or TracedNode(passes[0].node)
    visits = tuple(visit_of(hook_pass, node, facts) for hook_pass in passes)
    return Leg(passes[0].node, by, nat_of(passes), visits)


def packet_at(hook_pass: HookPass) -> Packet:
    """The packet's addresses as it entered a hook."""
    if hook_pass.key is not None:
        return packet_of(hook_pass.key)
    return addresses_of(hook_pass.entry) or Packet("?", "?")


def visit_of(hook_pass: HookPass, node: TracedNode, facts: Topology) -> HookVisit:
    """One hook pass, in words."""
    packet = packet_at(hook_pass)
    return HookVisit(
        hook_pass.hook,
        node.interface(hook_pass.iif),
        node.interface(hook_pass.oif),
        packet,
        _met(tuple(hook_pass.steps), node, facts),
    )


def _met(steps: tuple[Step, ...], node: TracedNode, facts: Topology) -> tuple[RuleHit, ...]:
    """Most packets at a hook meet the same rules: their words are put together once."""
    found = node.met.get(steps)
    if found is None:
        found = node.met[steps] = tuple(hit_of(step, node, facts) for step in steps)
    return found


def hit_of(step: Step, node: TracedNode, facts: Topology) -> RuleHit:
    """One rule that matched, or the policy."""
    hit = node.hits.get(step)
    if hit is None:
        hit = node.hits[step] = _hit_of(step, node, facts)
    return hit


def _hit_of(step: Step, node: TracedNode, facts: Topology) -> RuleHit:
    if step.kind is TraceKind.POLICY or step.handle is None:
        return RuleHit(step.family, step.table, step.chain, None, step.words)
    line = node.rules.get((step.family, step.table, step.chain, step.handle))
    reason = None
    if line is not None:
        reason = facts.reasons.get((node.name, step.family, step.table, step.chain, line))
    shown = line if line is not None else f"handle {step.handle}"
    return RuleHit(step.family, step.table, step.chain, shown, step.words, reason)


def nat_of(passes: Sequence[HookPass]) -> Nat:
    """What was rewritten between the first entry and the last exit."""
    first = passes[0].key
    last = passes[-1].left or passes[-1].key
    if first is None or last is None or first[:2] != last[:2]:
        return Nat()
    (src, sport), (dst, dport) = endpoints(first)
    (new_src, new_sport), (new_dst, new_dport) = endpoints(last)
    echo = first[1] in (1, 58)
    return Nat(
        _changed((dst, dport), (new_dst, new_dport), echo), _changed((src, sport), (new_src, new_sport), echo)
    )


def _changed(old: tuple[str, int], new: tuple[str, int], echo: bool) -> str | None:
    if echo:  # the "ports" of an echo are its identifier and number
        return new[0] if new[0] != old[0] else None
    return endpoint(*new) if new != old else None


def traced_tables(passes: Iterable[HookPass]) -> set[tuple[str, str, str]]:
    """(node, family, table) of all matched rules, which must be looked up to show them."""
    return {
        (hook_pass.node, step.family, step.table)
        for hook_pass in passes
        for step in hook_pass.steps
        if step.handle
    }
