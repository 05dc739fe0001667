"""A packet's way from namespace to namespace: hooks, routes, neighbours and bridges, until it ends.

Source: ip_rcv, ip_route_input_slow, ip_forward, ip_output, br_nf_pre_routing_finish, br_nf_forward_ip (Linux
6.18), and their IPv6 counterparts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from netlab.journey.hook_passes import HookPass
from netlab.model.family import Family
from netlab.model.plan import Interface
from netlab.predict.connections import Tracked
from netlab.predict.evaluate import Passage
from netlab.predict.hooks import BridgePart, Crossed, Hooks
from netlab.predict.host import Namespace
from netlab.predict.incoming import OWN, input_route
from netlab.predict.links import InterfaceOf, Links
from netlab.predict.packet import Packet, address_text, one_answer
from netlab.predict.routes import Query, RouteEntry
from netlab.predict.rules import Reject

Fate = Literal["delivered", "drop", "reject", "error", "lost", "no-route"]
#: what an error number says, in Linux's words
ERRORS: Final = {
    "ENETUNREACH": "Network is unreachable", "EHOSTUNREACH": "No route to host",
    "EACCES": "Permission denied",
    "EINVAL": "Invalid argument", "EXDEV": "Invalid cross-device link",
    "EADDRNOTAVAIL": "Cannot assign requested address",
}  # fmt: skip
_OF_KIND: Final = {
    "unreachable": "EHOSTUNREACH",
    "prohibit": "EACCES",
    "blackhole": "EINVAL",
    "none": "ENETUNREACH",
}
#: the ICMP error for a packet that is not forwarded, by the errno of its route
_ICMP4: Final = {"ENETUNREACH": (3, 0), "EHOSTUNREACH": (3, 1), "EACCES": (3, 13)}
_ICMP6: Final = {"ENETUNREACH": (1, 0), "EHOSTUNREACH": (1, 0), "EACCES": (1, 1)}
_MOST_HOPS: Final = 64
#: the first ten bits of link-local addresses
_LINK_LOCAL: Final = 0x3FA
_LOOPBACK_ADDRESS: Final = "IPv6 takes no packet from or to ::1 from another machine"


@dataclass(slots=True)
class Trip:
    """One packet's way. ``forth`` are its IP hooks, ``switched`` those of bridges, both in order.

    ``fate`` is how it ended, in the namespace ``space``: ``delivered`` (came by ``iif``), dropped or rejected
    by a rule, ``error`` (a route refuses it with an ICMP error), ``lost`` (no answer will come; ``why`` or
    ``route`` says so), ``no-route`` (it never left).
    """

    packet: Packet
    forth: list[HookPass] = field(default_factory=list)
    switched: list[HookPass] = field(default_factory=list)
    fate: Fate = "delivered"
    space: Namespace | None = None
    iif: str | None = None
    reject: Reject | None = None
    icmp: tuple[int, int] | None = None
    route: str = ""
    why: str = ""
    errno: str = ""
    shared: bool = False  #: it arrived at an address of several machines: a broadcast or anycast one


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame at a bridge: the port by which it came, its sender's MAC address, and its hops so far."""

    space: Namespace
    port: Interface
    mac: int
    hops: int


def refusal(found: RouteEntry | None) -> str:
    """The errno of a route that leads nowhere; empty for one that leads somewhere."""
    return "ENETUNREACH" if found is None else _OF_KIND.get(found.kind, "")


class Stack:
    """Moves packets through the namespaces of a plan."""

    def __init__(self, links: Links, hooks: Hooks, visited: Callable[[Namespace], None]) -> None:
        self._links = links
        self._hooks = hooks
        self._visited = visited

    # -- leaving

    def send(
        self, space: Namespace, packet: Packet, route: RouteEntry, tracked: Tracked | None = None
    ) -> Trip:
        """A packet that a namespace sends itself, by this route."""
        trip = Trip(packet, space=space)
        self._visited(space)
        oif = "lo" if route.kind == "local" else route.interface or "lo"
        wire = self._links.wire(InterfaceOf(space.name, oif))
        if wire is not None:
            self._visited(wire)
        passage = Passage(space, "output", packet, oif=oif, tracked=tracked, hop=route.via)
        crossed = self._cross(passage, trip)
        if crossed is None:
            return trip
        new = crossed.packet
        if (new.src, new.dst, new.mark) != (packet.src, packet.dst, packet.mark):
            found = space.routes[new.family].lookup(Query(new.src, new.dst, mark=new.mark))
            errno = refusal(found)
            if found is None or errno:
                return self._lost(trip, new, route=self._route_words(new, None, errno))
            route = found
            oif = "lo" if route.kind == "local" else route.interface or "lo"
        return self._out(space, crossed, None, oif, route, trip)

    def inject(self, frame_to: InterfaceOf, packet: Packet, came_by: InterfaceOf) -> Trip:
        """A frame that leaves an interface by hand, for another one on its link."""
        trip = Trip(packet, space=self._links.spaces[came_by.space])
        self._travel(came_by, frame_to, packet, trip)
        return trip

    def enter(self, space: Namespace, interface: str, packet: Packet) -> Trip:
        """A frame that comes in by an interface from its link, addressed to the namespace itself."""
        trip = Trip(packet, space=space)
        bridge = space.interfaces[interface].master
        self._arrive(
            InterfaceOf(space.name, interface),
            InterfaceOf(space.name, bridge or interface),
            packet,
            trip,
            0,
            0,
        )
        return trip

    def _out(
        self,
        space: Namespace,
        crossed: Crossed,
        iif: str | None,
        oif: str,
        route: RouteEntry,
        trip: Trip,
        hops: int = 0,
    ) -> Trip:
        passage = Passage(space, "postrouting", crossed.packet, iif, oif, crossed.tracked, hop=route.via)
        left = self._cross(passage, trip)
        if left is None:
            return trip
        packet = left.packet
        if oif == "lo":
            return self._receive(space, packet, "lo", trip, tracked=left.tracked, routed=True, hops=hops)
        if (wire := self._links.wire(InterfaceOf(space.name, oif))) is not None:  # a rootless engine forwards
            self._visited(wire)
        hop = route.via if route.via is not None else packet.dst
        target = self._links.owner(InterfaceOf(space.name, oif), hop, packet.family)
        if target is None:
            who = address_text(packet.family, hop)
            return self._lost(trip, packet, why=f"no neighbour of {space.name} has the address {who}")
        self._travel(InterfaceOf(space.name, oif), target, packet, trip, hops)
        return trip

    # -- on the link

    def _travel(
        self, start: InterfaceOf, target: InterfaceOf, packet: Packet, trip: Trip, hops: int = 0
    ) -> None:
        """From one interface to another on its link, through the bridges between them."""
        space = self._links.spaces[start.space]
        port = start.interface
        one = space.interfaces[port]
        if one.kind == "bridge":
            found = self._links.port_towards(start, target)
            if found is None:
                self._lost(trip, packet, why=f"no port of {port} leads to {target.space}")
                return
            port = found
        peer = self._links.peer(InterfaceOf(space.name, port))
        if peer is None:
            self._lost(trip, packet, why=f"the link {port} of {space.name} is down")
            return
        self._arrive(peer, target, packet, trip, self._mac(start), hops)

    def _mac(self, end: InterfaceOf) -> int:
        one = self._links.interface(end)
        return int(one.mac.replace(":", ""), 16) if one is not None and one.mac else 0

    def _link(self, target: InterfaceOf) -> bytes:
        """The destination's octets of the frame, as a trace shows them."""
        one = self._links.interface(target)
        return bytes.fromhex(one.mac.replace(":", "")) if one is not None and one.mac else b""

    def _arrive(
        self, end: InterfaceOf, target: InterfaceOf, packet: Packet, trip: Trip, mac: int, hops: int
    ) -> None:
        """A frame comes in by an interface, on its way to ``target``."""
        space = self._links.spaces[end.space]
        one = space.interfaces[end.interface]
        if one.master is None:
            self._receive(space, packet, end.interface, trip, link=self._link(target), mac=mac, hops=hops)
        elif space.kind == "segment":
            out = self._port(space, one, target, packet, trip)
            if out is not None:
                self._onward(space, out, target, packet, trip, mac, hops)
        else:
            self._bridge(_Frame(space, one, mac, hops), target, packet, trip)

    def _port(
        self, space: Namespace, one: Interface, target: InterfaceOf, packet: Packet, trip: Trip
    ) -> Interface | None:
        """The port by which a bridge sends a frame on; None if it does not."""
        port = self._links.port_towards(InterfaceOf(space.name, str(one.master)), target)
        out = space.interfaces.get(port) if port is not None else None
        if out is None or (out.name == one.name and not out.hairpin):
            why = f"the bridge {one.master} of {space.name} does not send a frame back by the port it came in"
            self._lost(trip, packet, why=why)
            return None
        return out

    def _onward(
        self,
        space: Namespace,
        out: Interface,
        target: InterfaceOf,
        packet: Packet,
        trip: Trip,
        mac: int,
        hops: int,
    ) -> None:
        peer = self._links.peer(InterfaceOf(space.name, out.name))
        if peer is None:
            self._lost(trip, packet, why=f"the link {out.name} of {space.name} is down")
            return
        self._arrive(peer, target, packet, trip, mac, hops)

    def _bridge(self, frame: _Frame, target: InterfaceOf, packet: Packet, trip: Trip) -> None:
        """A frame comes to a host's bridge: up to the host itself, or on to another port.

        With br_netfilter, IP's PREROUTING comes first for both, and may change the destination.
        """
        space, one = frame.space, frame.port
        bridge = str(one.master)
        here = InterfaceOf(space.name, bridge)
        self._visited(space)
        seen: list[HookPass] = []
        calls = space.bridge_calls[packet.family]
        if not self._at_bridge(frame, "prerouting", packet, trip, seen, "before" if calls else "all"):
            return
        if not calls:
            if target == here and self._taken_up(frame, packet, trip, seen):
                self._receive(
                    space, packet, bridge, trip, link=self._link(target), mac=frame.mac, hops=frame.hops
                )
            elif target != here and (out := self._port(space, one, target, packet, trip)) is not None:
                self._forward_frame(frame, out, target, Crossed(packet, None, "passed"), trip, seen)
            return
        if packet.family is Family.IPV6 and 1 in (packet.src, packet.dst):
            self._lost(trip, packet, why=_LOOPBACK_ADDRESS)
            return
        passage = Passage(space, "prerouting", packet, bridge, physin=one.name, mac=frame.mac)
        crossed = self._cross(passage, trip, self._link(target))
        if crossed is None or not self._at_bridge(frame, "prerouting", crossed.packet, trip, seen, "after"):
            return
        new = crossed.packet
        if new.dst != packet.dst:
            found = space.routes[new.family].lookup(Query(new.src, new.dst, iif=bridge, mark=new.mark))
            if found is None or found.kind != "unicast" or found.interface != bridge:
                target = here
            else:
                hop = found.via if found.via is not None else new.dst
                owner = self._links.owner(here, hop, new.family)
                if owner is None:
                    who = address_text(new.family, hop)
                    self._lost(trip, new, why=f"no neighbour of {space.name} has the address {who}")
                    return
                target = owner
        if target == here and self._taken_up(frame, new, trip, seen):
            self._routed(space, crossed, bridge, trip, physin=one.name, mac=frame.mac, hops=frame.hops)
        elif target != here and (out := self._port(space, one, target, new, trip)) is not None:
            self._forward_frame(frame, out, target, crossed, trip, seen)

    def _at_bridge(
        self,
        frame: _Frame,
        hook: Literal["prerouting", "forward"],
        packet: Packet,
        trip: Trip,
        seen: list[HookPass],
        part: BridgePart,
        out: str | None = None,
    ) -> bool:
        """Whether a frame passes a hook of the bridge family, or a part of it."""
        passage = Passage(frame.space, hook, packet, frame.port.name, out, mac=frame.mac)
        passes = self._hooks.bridge(passage, seen, part)
        if not passes:
            trip.switched += seen
            self._end(trip, "drop", packet, frame.space)
        return passes

    def _taken_up(self, frame: _Frame, packet: Packet, trip: Trip, seen: list[HookPass]) -> bool:
        """A bridge hands a frame to its own host; whether no rule of the bridge family drops it there."""
        passage = Passage(frame.space, "input", packet, frame.port.name, mac=frame.mac)
        passes = self._hooks.bridge(passage, seen)
        trip.switched += seen
        if not passes:
            self._end(trip, "drop", packet, frame.space)
        return passes

    def _forward_frame(
        self,
        frame: _Frame,
        out: Interface,
        target: InterfaceOf,
        crossed: Crossed,
        trip: Trip,
        seen: list[HookPass],
    ) -> None:
        """A bridge passes a frame from port to port, with br_netfilter's IP hooks or without."""
        space, calls = frame.space, frame.space.bridge_calls[crossed.packet.family]
        part: BridgePart = "before" if calls else "all"
        if not self._at_bridge(frame, "forward", crossed.packet, trip, seen, part, out.name):
            return
        if calls:
            passed = self._called(frame, "forward", out.name, crossed, trip)
            if passed is None:
                trip.switched += seen
                return
            crossed = passed
            if not self._at_bridge(frame, "forward", crossed.packet, trip, seen, "after", out.name):
                return
        trip.switched += seen
        after: list[HookPass] = []
        passage = Passage(space, "postrouting", crossed.packet, None, out.name, mac=frame.mac)
        passes = self._hooks.bridge(passage, after)
        trip.switched += after
        if not passes:
            self._end(trip, "drop", crossed.packet, space)
            return
        # br_netfilter's POSTROUTING is the last of the bridge's.
        last = self._called(frame, "postrouting", out.name, crossed, trip) if calls else crossed
        if last is not None:
            self._onward(space, out, target, last.packet, trip, frame.mac, frame.hops)

    def _called(
        self, frame: _Frame, hook: Literal["forward", "postrouting"], out: str, crossed: Crossed, trip: Trip
    ) -> Crossed | None:
        """IP's hooks of a frame that a bridge passes on, as br_netfilter calls them."""
        bridge, one = str(frame.port.master), frame.port.name
        iif = bridge if hook == "forward" else None
        passage = Passage(
            frame.space, hook, crossed.packet, iif, bridge, crossed.tracked, one, out, True, frame.mac
        )
        return self._cross(passage, trip)

    # -- arriving

    def _receive(
        self,
        space: Namespace,
        packet: Packet,
        iif: str,
        trip: Trip,
        *,
        tracked: Tracked | None = None,
        routed: bool = False,
        link: bytes = b"",
        mac: int = 0,
        physin: str | None = None,
        hops: int = 0,
    ) -> Trip:
        """A packet comes in by an interface, addressed to this namespace's own MAC address."""
        self._visited(space)
        if hops > _MOST_HOPS:
            return self._lost(trip, packet, why="it goes round in a circle until its time to live is over")
        if packet.family is Family.IPV6 and not routed and 1 in (packet.src, packet.dst):
            return self._lost(trip, packet, why=_LOOPBACK_ADDRESS)
        passage = Passage(space, "prerouting", packet, iif, tracked=tracked, physin=physin, mac=mac)
        crossed = self._cross(passage, trip, link)
        if crossed is None:
            return trip
        if routed and crossed.packet.dst == packet.dst:
            return self._input(space, crossed, iif, trip)
        return self._routed(space, crossed, iif, trip, physin=physin, mac=mac, hops=hops)

    def _routed(
        self,
        space: Namespace,
        crossed: Crossed,
        iif: str,
        trip: Trip,
        *,
        physin: str | None,
        mac: int,
        hops: int,
    ) -> Trip:
        """Routing after PREROUTING: to the namespace itself, onward, or nowhere."""
        packet = crossed.packet
        found, wrong = one_answer(
            ("input route", space.name, packet.family, iif, packet.mark),
            lambda: input_route(space, packet, iif),
            packet.src,
            packet.dst,
        )
        if wrong:
            return self._lost(trip, packet, route=self._route_words(packet, iif, wrong))
        if found is not None and found.kind in OWN:
            trip.shared = found.kind != "local"
            return self._input(space, crossed, iif, trip, physin=physin, mac=mac)
        errno = refusal(found)
        if not space.forwards(packet.family, iif):
            return self._not_forwarded(packet, iif, found, trip)
        if found is None or errno:
            return self._refused(space, packet, iif, errno, trip)
        oif = found.interface or "lo"
        if packet.family is Family.IPV6 and packet.src >> 118 == _LINK_LOCAL and oif != iif:
            self._end(trip, "error", packet, space)
            trip.icmp, trip.route = (1, 2), self._question(packet, iif) + ": beyond the scope of its source"
            return trip
        forwarded = replace(packet, ttl=packet.ttl - 1)
        passage = Passage(
            space, "forward", forwarded, iif, oif, crossed.tracked, physin, mac=mac, hop=found.via
        )
        passed = self._cross(passage, trip)
        if passed is None:
            return trip
        return self._out(space, passed, iif, oif, found, trip, hops + 1)

    def _not_forwarded(self, packet: Packet, iif: str, found: RouteEntry | None, trip: Trip) -> Trip:
        if packet.family is Family.IPV4:
            return self._lost(trip, packet, route=self._route_words(packet, iif, "EHOSTUNREACH"))
        errno = refusal(found)
        if found is None or errno:
            return self._refused(trip.space, packet, iif, errno or "ENETUNREACH", trip)
        words = f"{self._question(packet, iif)}: unicast"
        if found.via is not None:
            words += f" via {address_text(packet.family, found.via)}"
        words += f" dev {found.interface}, but net.ipv6.conf.all.forwarding is 0"
        return self._lost(trip, packet, route=words)

    def _refused(self, space: Namespace | None, packet: Packet, iif: str, errno: str, trip: Trip) -> Trip:
        """The routing table refuses to forward: an ICMP error, or silence for a black hole."""
        words = self._route_words(packet, iif, errno)
        icmp = (_ICMP4 if packet.family is Family.IPV4 else _ICMP6).get(errno)
        if icmp is None:
            return self._lost(trip, packet, route=words)
        self._end(trip, "error", packet, space)
        trip.icmp, trip.route = icmp, words
        return trip

    def _input(
        self,
        space: Namespace,
        crossed: Crossed,
        iif: str,
        trip: Trip,
        *,
        physin: str | None = None,
        mac: int = 0,
    ) -> Trip:
        passage = Passage(space, "input", crossed.packet, iif, None, crossed.tracked, physin, mac=mac)
        arrived = self._cross(passage, trip)
        if arrived is None:
            return trip
        self._end(trip, "delivered", arrived.packet, space)
        trip.iif = iif
        return trip

    # -- how it ends

    def _cross(self, passage: Passage, trip: Trip, link: bytes = b"") -> Crossed | None:
        """Take the packet through a hook; None if it ended there."""
        crossed = self._hooks.cross(passage, trip.forth, link)
        trip.space, trip.packet = passage.space, crossed.packet
        if crossed.word == "passed":
            return crossed
        trip.fate = "reject" if crossed.word == "reject" else "drop"
        trip.reject, trip.iif = crossed.reject, passage.iif
        return None

    @staticmethod
    def _end(trip: Trip, fate: Fate, packet: Packet, space: Namespace | None) -> None:
        trip.fate, trip.packet, trip.space = fate, packet, space

    @staticmethod
    def _lost(trip: Trip, packet: Packet, *, why: str = "", route: str = "") -> Trip:
        trip.fate, trip.packet, trip.why, trip.route = "lost", packet, why, route
        return trip

    @staticmethod
    def _question(packet: Packet, iif: str | None) -> str:
        words = f"ip route get {packet.destination} from {packet.source}" + (f" iif {iif}" if iif else "")
        return words + (f" mark {packet.mark:#x}" if packet.mark else "")

    def _route_words(self, packet: Packet, iif: str | None, errno: str) -> str:
        return f"{self._question(packet, iif)}: {ERRORS.get(errno, errno)}"
