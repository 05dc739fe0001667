"""Join hook passes to legs: find the same packet at the next hook.

A packet enters a hook with the addresses with which it left the previous one: netlab's last chain at a hook
sees what NAT did there. This works across changing trace IDs (bridges, loopback), without conntrack, and for
answers; see :mod:`netlab.journey.hook_passes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    """The stations of a measurement, found by the addresses with which a packet came or left."""

    def __init__(self, stations: Iterable[HookPass], facts: Topology | None = None) -> None:
        self._facts = facts
        self._stations = list(stations)
        self._by_entry: dict[bytes, list[HookPass]] = {}
        self._by_payload: dict[tuple[str, bytes], list[bytes]] | None = None
        by_entry = self._by_entry
        for station in self._stations:
            key = station.key
            if key is not None:
                if key in by_entry:
                    by_entry[key].append(station)
                else:
                    by_entry[key] = [station]

    @cached_property
    def _by_exit(self) -> dict[bytes, list[HookPass]]:
        found: dict[bytes, list[HookPass]] = {}
        for station in self._stations:
            if station.left is not None:
                found.setdefault(station.left, []).append(station)
        return found

    @cached_property
    def _fragments(self) -> list[HookPass]:
        return [station for station in self._stations if station.fragment]

    @cached_property
    def _errors(self) -> dict[bytes, list[tuple[HookPass, Icmp]]]:
        found: dict[bytes, list[tuple[HookPass, Icmp]]] = {}
        for station in self._stations:
            if station.key is None and station.family == "ip":
                error = icmp_error(station.entry)
                if error is not None:
                    found.setdefault(error[1], []).append((station, error[0]))
        return found

    def errors(self, way: Sequence[HookPass]) -> list[tuple[HookPass, Icmp]]:
        """The ICMP error about a packet that ended on this path, at each hook that showed it."""
        if not way or not self._errors:
            return []
        ends = [headers for headers in (way[-1].exit, way[-1].entry) if headers is not None]
        return next((found for end in ends if (found := self._errors.get(error_key(end)))), [])

    def entering(self, key: bytes) -> Sequence[HookPass]:
        """Stations that a packet with this key entered, in order; the first fragment of one counts."""
        found = self._by_entry.get(key)
        if found is None and key[0] == 6:
            found = self._by_entry.get(as_fragment(key)) or [
                station for station in self._fragments if echo_of_fragment(station.entry) == key
            ]
        return found or ()

    def leaving(self, key: bytes) -> Sequence[HookPass]:
        """Stations that a packet with this key left."""
        return self._by_exit.get(key, ())

    def follow(
        self, key: bytes, hosts: frozenset[str], start: str | None = None, *, passed: bool = False
    ) -> list[HookPass]:
        """The path of the first packet with this key, through the IP hooks of ``hosts``.

        ``start``: the host in which it began, if known. ``passed``: it is known to have arrived, so it is not
        one of the dropped copies.
        """
        way: list[HookPass] = []
        last: HookPass | None = None
        seen: bytes | None = key
        while seen is not None:
            station = self._next(seen, last, hosts, start, passed=passed)
            if station is None:
                break
            seen, last = station.left, station
            if seen is None and not station.dropped and station.fragment:
                last = self._whole(station)
                seen = last.left
            way.append(last)
        return way

    def _next(
        self, key: bytes, last: HookPass | None, hosts: frozenset[str], start: str | None, *, passed: bool
    ) -> HookPass | None:
        """Where the packet came next: of several copies the one with its id, or to its receiver's port."""
        found: list[HookPass] = []
        for station in self.entering(key):
            if station.family != "ip" or station.node not in hosts or not _follows(last, station):
                continue
            if last is None:
                if station.node == start or start is None:
                    return station
            elif station.id == last.id and station.node == last.node:
                return station
            found.append(station)
        if len(found) > 1 and last is not None:
            found = [one for one in found if self.meant(one)] or found
            if passed:
                found = [one for one in found if not one.dropped] or found
        return found[0] if found else None

    def meant(self, station: HookPass) -> bool:
        """Whether this is surely the one of a bridge's copies that goes to the port of its receiver."""
        if self._facts is None or station.key is None:
            return False
        node = self._facts.traced.get(station.node)
        before = [
            other
            for other in self.entering(station.key)
            if (other.family, other.hook, other.node) == ("bridge", "forward", station.node)
            and other.order < station.order
        ]
        if node is None or not before:
            return False
        port = self._facts.port(station.node, before[-1].entry.link[:6])
        return port is not None and port == node.interface(before[-1].oif)

    def copies(self, station: HookPass) -> bool:
        """Whether a packet may be a copy of another one: then its drop does not end the other.

        A copy that a rule made (TEE) leaves by OUTPUT with the addresses of one that came in before. A bridge
        that floods gives each port a copy.
        """
        if station.key is None:
            return False
        for other in self.entering(station.key):
            if other.node != station.node or other.family != station.family or other.id == station.id:
                continue
            elsewhere = other.hook == station.hook and other.hook in ("forward", "postrouting")
            if elsewhere and not other.dropped and alike(other.entry, station.entry):
                return True
        return self.teed(station)

    def teed(self, station: HookPass) -> bool:
        """Whether a packet was sent by this machine as a copy of one that it was handling."""
        same = self.entering(station.key) if station.key is not None else ()
        begun = next((s for s in same if s.node == station.node and s.id == station.id), station)
        return begun.hook == "output" and any(
            other.node == begun.node
            and other.id != begun.id
            and other.order < begun.order
            and other.hook in ("prerouting", "output", "forward")
            and alike(other.entry, begun.entry)
            for other in same
        )

    def same_packet(self, station: HookPass, but: set[str]) -> HookPass | None:
        """Where another node first saw the packet that left ``station``, with any addresses."""
        if station.exit is None:
            return None
        mark = identity(station.exit)
        return next(
            (
                other
                for other in self._stations
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
            station
            for station in self._stations
            if station.dropped and station.key is None and searched(station.entry) & known
        ]

    def _whole(self, station: HookPass) -> HookPass:
        """A first fragment, joined with the datagram that left the hook instead of it.

        Conntrack reassembles in PREROUTING and OUTPUT, after netlab's first chain; the datagram continues
        with the trace ID of the last fragment.
        """
        addresses = addresses_of(station.entry)
        for other in self._fragments:
            if (
                other.left is not None
                and other.node == station.node
                and other.hook == station.hook
                and other.order > station.order
                and addresses_of(other.entry) == addresses
            ):
                return station.whole(other)
        return station

    def trace_back(self, key: bytes, node: str, hosts: frozenset[str]) -> list[HookPass]:
        """The path of the packet that left a node's POSTROUTING with this key, if the node sent it itself."""
        for station in self.leaving(key):
            if station.hook != "postrouting" or station.family != "ip" or station.node != node:
                continue
            if station.key is None:
                continue
            for before in self.leaving(station.key):
                if (
                    before.hook == "output"
                    and before.key
                    and before.node == station.node
                    and before.order < station.order
                ):
                    return self.follow(before.key, hosts, node)
        return []

    def sent_from(self, key: bytes, node: str) -> bytes | None:
        """The key with which a packet left a POSTROUTING from the source and to the port of ``key``."""
        size = 4 if key[0] == 4 else 16
        for left, stations in self._by_exit.items():
            alike = left[: 2 + size] == key[: 2 + size] and left[2 + 2 * size :] == key[2 + 2 * size :]
            if alike and any(one.hook == "postrouting" and one.node == node for one in stations):
                return left
        return None

    def sent_with(self, payload: bytes, node: str) -> bytes | None:
        """The key of the datagram that the node sent with this payload (its first twelve octets)."""
        if self._by_payload is None:
            self._by_payload = {}
            for key, stations in self._by_entry.items():
                for station in stations:
                    if station.family == "ip" and station.hook == "output" and station.iif is None:
                        place = station.node, first_octets(station.entry)
                        self._by_payload.setdefault(place, []).append(key)
        found = self._by_payload.get((node, payload[:12]), ())
        return found[-1] if found else None

    def switched(self, keys: Iterable[bytes]) -> list[HookPass]:
        """The bridge-family stations of one packet, if a bridge passed it from port to port."""
        found: list[HookPass] = []
        for key in dict.fromkeys(keys):
            found += [station for station in self.entering(key) if station.family == "bridge"]
        return found if any(station.hook == "forward" for station in found) else []


def _follows(last: HookPass | None, station: HookPass) -> bool:
    if last is None:
        return station.hook in ("prerouting", "output")
    if station.hook not in _NEXT.get(last.hook, ()):
        return False
    if station.node != last.node:
        return last.hook == "postrouting"
    if station.order <= last.order:
        return False
    return last.hook != "postrouting" or last.oif == LOOPBACK_INDEX


def split_by_node(way: Sequence[HookPass]) -> list[list[HookPass]]:
    """A path through several hosts, cut into one run for each host."""
    runs: list[list[HookPass]] = []
    for station in way:
        if runs and runs[-1][0].node == station.node:
            runs[-1].append(station)
        else:
            runs.append([station])
    return runs


def leg_of(way: Sequence[HookPass], by: str | None, facts: Topology) -> Leg:
    """One leg, in words."""
    node = facts.traced.get(way[0].node) or TracedNode(way[0].node)
    visits = tuple(visit_of(station, node, facts) for station in way)
    return Leg(way[0].node, by, nat_of(way), visits)


def packet_at(station: HookPass) -> Packet:
    """The packet's addresses as it entered a hook."""
    if station.key is not None:
        return packet_of(station.key)
    return addresses_of(station.entry) or Packet("?", "?")


def visit_of(station: HookPass, node: TracedNode, facts: Topology) -> HookVisit:
    """One station, in words."""
    packet = packet_at(station)
    return HookVisit(
        station.hook,
        node.interface(station.iif),
        node.interface(station.oif),
        packet,
        _met(tuple(station.steps), node, facts),
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


def nat_of(way: Sequence[HookPass]) -> Nat:
    """What was rewritten between the first entry and the last exit."""
    first = way[0].key
    last = way[-1].left or way[-1].key
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


def traced_tables(way: Iterable[HookPass]) -> set[tuple[str, str, str]]:
    """(node, family, table) of all matched rules, which must be looked up to show them."""
    return {
        (station.node, step.family, step.table) for station in way for step in station.steps if step.handle
    }
