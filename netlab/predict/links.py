"""What is plugged into what: who answers on a link for an address, and by which port of a bridge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from netlab.model.family import Family
from netlab.model.plan import Interface
from netlab.predict.host import Namespace, link_local
from netlab.predict.packet import look_up
from netlab.predict.routes import LOCAL, Query


class InterfaceOf(NamedTuple):
    """An interface of a namespace."""

    space: str
    interface: str


@dataclass(slots=True)
class Links:
    """The links between the namespaces of a plan. ``homes``: node → namespace."""

    spaces: Mapping[str, Namespace]
    homes: Mapping[str, str]
    _ends: dict[InterfaceOf, tuple[InterfaceOf, ...]] = field(default_factory=dict)
    _behind: dict[InterfaceOf, dict[InterfaceOf, str]] = field(default_factory=dict)
    _owners: dict[tuple[InterfaceOf, Family], dict[int, InterfaceOf]] = field(default_factory=dict)

    def interface(self, end: InterfaceOf) -> Interface | None:
        """The interface itself."""
        space = self.spaces.get(end.space)
        return space.interfaces.get(end.interface) if space is not None else None

    def peer(self, end: InterfaceOf) -> InterfaceOf | None:
        """The other end of a veth, if both are up."""
        one = self.interface(end)
        if one is None or not one.up or one.peer is None:
            return None
        other = InterfaceOf(self.homes.get(one.peer[0], one.peer[0]), one.peer[1])
        found = self.interface(other)
        return other if found is not None and found.up else None

    def wire(self, end: InterfaceOf) -> Namespace | None:
        """The namespace in which a program takes what leaves an interface (that of a rootless container).

        It takes everything, whatever address is asked for.
        """
        own = self.interface(end)
        peer = self.peer(end) if own is not None and own.peer is not None else None
        port = self.interface(peer) if peer is not None else None
        if peer is None or port is None or port.master is not None:
            return None
        return self.spaces[peer.space] if self.spaces[peer.space].kind == "segment" else None

    def on_link(self, end: InterfaceOf) -> tuple[InterfaceOf, ...]:
        """Every interface with addresses of its own that shares a link with this one, which is left out."""
        if end not in self._ends:
            self._ends[end] = tuple(self._from(end, {end}))
        return self._ends[end]

    def _from(self, end: InterfaceOf, seen: set[InterfaceOf]) -> Iterator[InterfaceOf]:
        one = self.interface(end)
        if one is None:
            return
        if one.kind == "bridge":
            yield from self._through(end, seen)
            return
        peer = self.peer(end)
        if peer is not None:
            yield from self._arrive(peer, seen)

    def _through(self, bridge: InterfaceOf, seen: set[InterfaceOf]) -> Iterator[InterfaceOf]:
        """What is behind the ports of a bridge."""
        for port in self.spaces[bridge.space].ports(bridge.interface):
            end = InterfaceOf(bridge.space, port.name)
            if end not in seen:
                seen.add(end)
                peer = self.peer(end)
                if peer is not None:
                    yield from self._arrive(peer, seen)

    def _arrive(self, end: InterfaceOf, seen: set[InterfaceOf]) -> Iterator[InterfaceOf]:
        if end in seen:
            return
        seen.add(end)
        one = self.interface(end)
        if one is None:
            return
        if one.master is None:
            yield end
            return
        bridge = InterfaceOf(end.space, one.master)
        if bridge not in seen:
            seen.add(bridge)
            if self.spaces[end.space].kind != "segment":
                yield bridge
            yield from self._through(bridge, seen)

    def port_towards(self, bridge: InterfaceOf, target: InterfaceOf) -> str | None:
        """The port of a bridge behind which an interface is."""
        if bridge not in self._behind:
            found: dict[InterfaceOf, str] = {}
            for port in self.spaces[bridge.space].ports(bridge.interface):
                end = InterfaceOf(bridge.space, port.name)
                peer = self.peer(end)
                if peer is not None:
                    for other in self._arrive(peer, {end, bridge}):
                        found.setdefault(other, port.name)
            self._behind[bridge] = found
        return self._behind[bridge].get(target)

    def owner(self, end: InterfaceOf, address: int, family: Family) -> InterfaceOf | None:
        """Who answers on the link of ``end`` that it has an address (ARP, neighbour discovery).

        A node that routes every address to itself answers too, but one that has the address comes first.
        """
        key = end, family
        if key not in self._owners:
            self._owners[key] = self._addresses(end, family)
        found = look_up(self._owners[key], address)
        if found is not None or family is Family.IPV6:
            return found
        for other in self.on_link(end):
            space = self.spaces[other.space]
            if not space.routes[family].only_own_addresses():
                route = space.routes[family].lookup(Query(0, address))
                if route is not None and route.kind == "local":
                    return other
        return None

    def _addresses(self, end: InterfaceOf, family: Family) -> dict[int, InterfaceOf]:
        """Address → who has it, on the link of an interface."""
        found: dict[int, InterfaceOf] = {}
        for other in self.on_link(end):
            space = self.spaces[other.space]
            if family is Family.IPV6:
                if space.speaks_ipv6(other.interface):
                    for address in self._own(space, other.interface):
                        found.setdefault(address, other)
                continue
            for address in space.addresses(family):
                if self._answers(space, other, address):
                    found.setdefault(address, other)
        return found

    @staticmethod
    def _own(space: Namespace, interface: str) -> list[int]:
        found = list(space.addresses(Family.IPV6, interface))
        local = link_local(space, interface)
        routers = [
            route.start
            for route in space.routes[Family.IPV6].tables.get(LOCAL, ())
            if route.kind == "anycast" and route.interface == interface
        ]
        return [*found, *([] if local is None else [local]), *routers]

    @staticmethod
    def _answers(space: Namespace, end: InterfaceOf, address: int) -> bool:
        """Whether ARP is answered on any interface for any address (arp_ignore 0), or only for its own."""
        if space.strictest("arp_ignore", end.interface) == 0:
            return True
        return address in space.addresses(Family.IPV4, end.interface)
