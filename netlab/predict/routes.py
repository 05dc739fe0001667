"""A namespace's routing: its local addresses, connected networks, routes and policy rules, and a lookup.

Source: fib_lookup, ip_route_input_slow and ip_route_output_key_hash_rcu (net/ipv4), ip6_route_input and
rt6_score_route (net/ipv6) of Linux 6.18, as far as a lab's routes need them.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Literal

from netlab.model.family import Family

Kind = Literal[
    "unicast",
    "local",
    "broadcast",
    "multicast",
    "anycast",
    "blackhole",
    "unreachable",
    "prohibit",
    "throw",
    "none",
]
_MULTICAST = {Family.IPV4: (0xE0000000, 0xEFFFFFFF), Family.IPV6: (0xFF << 120, (1 << 128) - 1)}
_LIMITED_BROADCAST = 0xFFFFFFFF
#: ip rule's own tables
LOCAL, MAIN, DEFAULT = 255, 254, 253
TABLES = {"local": LOCAL, "main": MAIN, "default": DEFAULT}


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """One route: everything in the network ``start`` / ``length``. ``source``: the preferred one."""

    start: int
    length: int
    kind: Kind = "unicast"
    interface: str | None = None
    via: int | None = None
    source: int | None = None
    metric: int = 0


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """A line of ``ip rule``: a condition, and the table that it leads to (None: an error of ``kind``)."""

    priority: int
    table: int | None
    kind: Kind = "unicast"
    source: tuple[int, int] | None = None
    destination: tuple[int, int] | None = None
    iif: str | None = None
    oif: str | None = None
    mark: tuple[int, int] | None = None
    negated: bool = False

    def applies(self, query: Query, family: Family) -> bool:
        """Whether it is about this packet."""
        found = (
            (self.source is None or _within(query.src, self.source, family))
            and (self.destination is None or _within(query.dst, self.destination, family))
            and (self.iif is None or self.iif == (query.iif or "lo"))
            and (self.oif is None or self.oif == query.oif)
            and (self.mark is None or query.mark & self.mark[1] == self.mark[0])
        )
        return found != self.negated


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked up: a packet that came in by ``iif``, or (None) that the namespace sends itself."""

    src: int
    dst: int
    iif: str | None = None
    oif: str | None = None
    mark: int = 0


def _within(address: int, network: tuple[int, int], family: Family) -> bool:
    start, length = network
    return address >> (family.bits - length) == start >> (family.bits - length) if length else True


def standard_rules() -> list[PolicyRule]:
    """What every namespace begins with."""
    return [PolicyRule(0, LOCAL), PolicyRule(32766, MAIN), PolicyRule(32767, DEFAULT)]


@dataclass(slots=True)
class RoutingTables:
    """The tables of one family in one namespace; every one is sorted when it is asked."""

    family: Family
    tables: dict[int, list[RouteEntry]] = field(default_factory=dict)
    rules: list[PolicyRule] = field(default_factory=standard_rules)

    def add(self, route: RouteEntry, table: int = MAIN, *, own: bool = False) -> None:
        """Add a route.

        IPv4 puts a user's before those to the same network with the same metric (fib_table_insert), and the
        kernel's ``own`` behind them (fib_magic).
        """
        routes = self.tables.setdefault(table, [])
        place, newest_first = (-route.length, route.metric), self.family is Family.IPV4 and not own
        at = next(
            (
                number
                for number, one in enumerate(routes)
                if (there := (-one.length, one.metric)) > place or (newest_first and there == place)
            ),
            len(routes),
        )
        routes.insert(at, route)

    def remove(self, route: RouteEntry, table: int = MAIN) -> None:
        """Remove the first route to the same network, by the same hop and interface where those are given."""
        for other in self.tables.get(table, []):
            if (
                (other.start, other.length) == (route.start, route.length)
                and route.interface in (None, other.interface)
                and route.via in (None, other.via)
            ):
                self.tables[table].remove(other)
                return

    def add_address(
        self, interface: str, address: str, *, up: bool = True, metric: int = 0, anycast: bool = False
    ) -> None:
        """What the kernel adds for an address: it is local, and its network is on the link.

        ``anycast``: the namespace forwards IPv6, so it has the routers' address of the network, too.
        """
        found = ipaddress.ip_interface(address)
        own, net, bits = int(found.ip), found.network, self.family.bits
        self.add(RouteEntry(own, bits, "local", interface, source=own), LOCAL, own=True)
        if not up:
            return
        if net.prefixlen < bits:
            start = int(net.network_address)
            source = own if self.family is Family.IPV4 else None
            link = RouteEntry(start, net.prefixlen, "unicast", interface, source=source, metric=metric)
            self.add(link, own=True)
            if self.family is Family.IPV4 and net.prefixlen < 31:
                last = int(net.broadcast_address)
                self.add(RouteEntry(last, bits, "broadcast", interface, source=own), LOCAL, own=True)
            elif anycast and net.prefixlen < 127:
                self.add(RouteEntry(start, bits, "anycast", interface), LOCAL)

    def only_own_addresses(self) -> bool:
        """Whether no address is local but single ones and loopback's: then ARP answers for no other."""
        if [(rule.table, rule.kind) for rule in self.rules] != [
            (one.table, one.kind) for one in standard_rules()
        ]:
            return False
        return not any(
            route.kind == "local" and route.length < self.family.bits and route.interface != "lo"
            for routes in self.tables.values()
            for route in routes
        )

    def is_local(self, address: int) -> bool:
        """Whether the namespace has this address itself, by the table ``local``."""
        return self.kind_of(address) == "local"

    def kind_of(self, address: int, interface: str | None = None) -> Kind:
        """What addrtype and ``fib … type`` say; ``interface``: local only if it is one of that interface.

        Source: __inet_dev_addr_type, nft_fib4_eval_type, ipt_addrtype.
        """
        low, high = _MULTICAST[self.family]
        if low <= address <= high:
            return "multicast"
        if self.family is Family.IPV4 and (address == _LIMITED_BROADCAST or address >> 24 == 0):
            return "broadcast"
        found = self._in_table(LOCAL, Query(0, address, oif=interface))
        if found is not None:
            return found.kind
        found = self.lookup(Query(0, address))
        if found is None:
            return "unreachable" if self.family is Family.IPV6 else "unicast"
        return "unicast" if found.kind in ("unicast", "local") else found.kind

    def lookup(self, query: Query) -> RouteEntry | None:
        """The route of a packet: the first that a policy rule leads to; None: there is none."""
        for rule in sorted(self.rules, key=lambda rule: rule.priority):
            if not rule.applies(query, self.family):
                continue
            if rule.table is None:
                return RouteEntry(0, 0, rule.kind)
            found = self._in_table(rule.table, query)
            if found is not None and found.kind != "throw":
                return found
        return None

    def _in_table(self, table: int, query: Query) -> RouteEntry | None:
        bits = self.family.bits
        for route in self.tables.get(table, ()):
            if query.dst >> (bits - route.length) == route.start >> (bits - route.length) and (
                query.oif is None or route.interface in (None, query.oif)
            ):
                return route
        return None
