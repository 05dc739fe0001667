"""A namespace as data: everything that decides what becomes of a packet in it, read from a plan's nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from netlab.model.family import FAMILIES, Family, bare
from netlab.model.plan import Interface, Listener, Node, Responder
from netlab.predict.packet import address_number
from netlab.predict.routes import LOCAL, MAIN, Kind, RouteEntry, RoutingTables
from netlab.predict.rules import ModelChain, ModelTable

#: the metric of what the kernel itself adds for IPv6 (IP6_RT_PRIO_ADDRCONF), of what people add
_KERNEL6, _USER6 = 256, 1024
_LINK_LOCAL = (0xFE80 << 112, 64)


@dataclass(slots=True)
class Namespace:
    """One network namespace. ``nodes`` are those that share it; the first one gives it its name.

    ``programs``: those of its nodes on which real programs run, so that nobody knows what listens.
    """

    name: str
    kind: str
    nodes: tuple[str, ...] = ()
    interfaces: dict[str, Interface] = field(default_factory=dict)
    indexes: dict[str, int] = field(default_factory=dict)
    routes: dict[Family, RoutingTables] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=dict)
    tables: list[ModelTable] = field(default_factory=list)
    listeners: tuple[Listener, ...] = ()
    responders: tuple[tuple[str, Responder], ...] = ()
    resolvers: tuple[tuple[str, str, str, int], ...] = ()
    programs: tuple[str, ...] = ()
    #: what of it the model does not know, in words; a flow that passes here is not predicted
    unknown: list[str] = field(default_factory=list)
    #: protocol → what listens, by port, once somebody has asked (:mod:`netlab.predict.sockets`)
    sockets: dict[str, dict[int, Any]] = field(default_factory=dict)
    _tracks: dict[Family, bool] = field(default_factory=dict)
    _hooks: dict[tuple[str, str], list[tuple[ModelTable, ModelChain]]] = field(default_factory=dict)

    # -- settings

    def setting(self, key: str, otherwise: str = "0") -> str:
        """The value of a sysctl."""
        return self.sysctls.get(key, otherwise)

    def forwards(self, family: Family, interface: str) -> bool:
        """Whether packets that come in by an interface are forwarded."""
        word = family.word
        if family is Family.IPV6:
            return self.setting("net.ipv6.conf.all.forwarding") != "0"
        own = self.sysctls.get(f"net.{word}.conf.{_key(interface)}.forwarding")
        whole = self.sysctls.get("net.ipv4.ip_forward", self.setting("net.ipv4.conf.all.forwarding"))
        return (own or whole) != "0"

    def conf(self, name: str, interface: str) -> bool:
        """An IPv4 setting that is on if it is so for all interfaces, or for this one."""
        return any(self._conf(name, where) != "0" for where in ("all", interface))

    def strictest(self, name: str, interface: str) -> int:
        """An IPv4 setting of which the larger value counts: that for all, or for this interface."""
        return max(int(self._conf(name, where)) for where in ("all", interface))

    def _conf(self, name: str, where: str) -> str:
        own = self.sysctls.get(f"net.ipv4.conf.{_key(where)}.{name}")
        if own is None and where != "all":
            own = self.sysctls.get(f"net.ipv4.conf.default.{name}")
        return own or "0"

    def speaks_ipv6(self, interface: str) -> bool:
        """Whether IPv6 is on for an interface."""
        names = (_key(interface), "default", "all")
        key = "net.ipv6.conf.{}.disable_ipv6"
        return next((v == "0" for n in names if (v := self.sysctls.get(key.format(n))) is not None), True)

    @property
    def bridge_calls(self) -> dict[Family, bool]:
        """Whether the IP hooks see what a bridge switches (br_netfilter): on, unless a setting says no."""
        return {
            family: self.setting(f"net.bridge.bridge-nf-call-{family.iptables}", "1") != "0"
            for family in FAMILIES
        }

    # -- links and addresses

    def ports(self, bridge: str) -> Iterator[Interface]:
        """The interfaces that are ports of a bridge."""
        return (one for one in self.interfaces.values() if one.master == bridge)

    def addresses(self, family: Family, interface: str | None = None) -> Iterator[int]:
        """Addresses of an interface, or of all, in order."""
        for name, one in self.interfaces.items():
            if interface not in (None, name):
                continue
            if family is Family.IPV4 or self.speaks_ipv6(name):
                for address in one.addresses:
                    if Family.of(address) is family:
                        yield address_number(bare(address))

    # -- rules

    def tracks(self, family: Family) -> bool:
        """Whether the kernel tracks connections of a family here: only if a rule needs it."""
        if family not in self._tracks:
            self._tracks[family] = any(table.sees(family) and table.tracks for table in self.tables)
        return self._tracks[family]

    def hook(self, family: Family, hook: str) -> list[tuple[ModelTable, ModelChain]]:
        """The base chains of a hook that see packets of this family, in the order in which they run."""
        return self._chains(family.nft, hook)

    def bridge_hook(self, hook: str) -> list[tuple[ModelTable, ModelChain]]:
        """The base chains of the bridge family at a hook."""
        return self._chains("bridge", hook)

    def _chains(self, family: str, hook: str) -> list[tuple[ModelTable, ModelChain]]:
        place = (family, hook)
        if place not in self._hooks:
            found = [
                (table, chain)
                for table in self.tables
                if table.family == family or (table.family == "inet" and family in ("ip", "ip6"))
                for chain in table.chains.values()
                if chain.hook == hook
            ]
            # The kernel puts a chain before those of the same priority that are there (nf_hook_entries_grow).
            newest = list(reversed(found))
            self._hooks[place] = sorted(newest, key=lambda pair: pair[1].priority)
        return self._hooks[place]


def _key(interface: str) -> str:
    """An interface in a sysctl's key."""
    return interface.replace(".", "/")


def link_local(space: Namespace, interface: str) -> int | None:
    """The address that the kernel makes of an interface's MAC address."""
    mac = space.interfaces[interface].mac if interface in space.interfaces else None
    if mac is None or not space.speaks_ipv6(interface):
        return None
    return link_local_of(mac)


def link_local_of(mac: str) -> int:
    """The link-local address of a MAC address (``02:00:00:00:00:01``), as a number."""
    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes((octets[0] ^ 2,)) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return (0xFE80 << 112) + int.from_bytes(identifier, "big")


def namespace_of(nodes: list[Node]) -> Namespace:
    """The namespace that these nodes share, without its rules; the first one is its own node."""
    first = nodes[0]
    space = Namespace(
        first.namespace,
        first.kind,
        tuple(node.name for node in nodes),
        sysctls={sysctl.key: sysctl.value for node in nodes for sysctl in node.sysctls},
        listeners=tuple(listener for node in nodes for listener in node.listeners),
        responders=tuple((node.name, one) for node in nodes for one in node.responders),
        programs=tuple(node.name for node in nodes if node.command),
    )
    space.interfaces["lo"] = Interface("lo", "bridge", index=1)
    for node in nodes:
        for interface in node.interfaces:
            space.interfaces[interface.name] = interface
    _number(space)
    for family in FAMILIES:
        space.routes[family] = _tables(space, family, nodes)
    return space


def _number(space: Namespace) -> None:
    """Give each interface an index; which one does not matter but where the plan fixes it."""
    taken = {one.index for one in space.interfaces.values() if one.index is not None}
    free = iter(range(2, 1 << 20))
    for name, one in space.interfaces.items():
        space.indexes[name] = (
            one.index if one.index is not None else next(number for number in free if number not in taken)
        )


def _tables(space: Namespace, family: Family, nodes: Iterable[Node]) -> RoutingTables:
    tables = RoutingTables(family)
    loopback = address_number(family.loopback)
    if family is Family.IPV4:
        tables.add(RouteEntry(loopback, 32, "local", "lo", source=loopback), LOCAL)
        tables.add(RouteEntry(127 << 24, 8, "local", "lo", source=loopback), LOCAL)
        tables.add(RouteEntry((127 << 24) + 0xFFFFFF, 32, "broadcast", "lo", source=loopback), LOCAL)
    elif space.speaks_ipv6("lo"):
        tables.add(RouteEntry(loopback, 128, "local", "lo", source=loopback), LOCAL)
    for name, one in space.interfaces.items():
        if name == "lo" or (family is Family.IPV6 and not space.speaks_ipv6(name)):
            continue
        for address in one.addresses:
            if Family.of(address) is family:
                six = family is Family.IPV6
                anycast = six and space.forwards(family, name)
                tables.add_address(name, address, up=one.up, metric=_KERNEL6 if six else 0, anycast=anycast)
        if family is Family.IPV6 and one.up and one.master is None:
            start, length = _LINK_LOCAL
            tables.add(RouteEntry(start, length, "unicast", name, metric=_KERNEL6))
            if space.forwards(family, name):  # the routers' address of a network, as of each other one
                tables.add(RouteEntry(start, 128, "anycast", name), LOCAL)
            own = link_local(space, name)
            if own is not None:
                tables.add(RouteEntry(own, 128, "local", name, source=own), LOCAL)
    for node in nodes:
        for route in node.routes:
            if Family.of(route.via or route.source or route.destination) is family:
                add_route(
                    space,
                    tables,
                    route.destination,
                    route.via,
                    route.interface,
                    route.source,
                    metric=route.metric,
                )
    return tables


def add_route(
    space: Namespace,
    tables: RoutingTables,
    destination: str,
    via: str | None,
    interface: str | None,
    source: str | None,
    table: int = MAIN,
    kind: Kind = "unicast",
    metric: int | None = None,
) -> None:
    """Add a route as the kernel does: by the interface on whose link its next hop is.

    One that the kernel would refuse (its gateway is on no link, because IPv6 is off) is left out.
    """
    family = tables.family
    start, length = 0, 0
    if destination not in ("default", "any", "all"):
        text, _, size = destination.partition("/")
        length = int(size) if size else family.bits
        start = address_number(text) >> (family.bits - length) << (family.bits - length)
    hop = address_number(via) if via else None
    if hop is not None and interface is None:
        found = next(
            (r for r in tables.tables.get(MAIN, ()) if r.via is None and _holds(r, hop, family)), None
        )
        interface = found.interface if found is not None else None
    if kind in ("unicast", "local") and interface is None:
        return
    if interface is not None and (
        interface not in space.interfaces or (family is Family.IPV6 and not space.speaks_ipv6(interface))
    ):
        return
    if not metric:
        metric = _USER6 if family is Family.IPV6 else 0
    entry = RouteEntry(
        start,
        length,
        kind,
        interface,
        hop,
        address_number(source) if source else None,
        metric,
    )
    tables.add(entry, table)


def _holds(route: RouteEntry, address: int, family: Family) -> bool:
    return address >> (family.bits - route.length) == route.start >> (family.bits - route.length)
