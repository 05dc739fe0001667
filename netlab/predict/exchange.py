"""One flow: its first packet, what answers it, the way of the answer, and what the sender sees of it.

The result has the form of a measurement's (:class:`ProbeResult`, :class:`PacketPaths`), so that the same code
makes the journey of both.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from typing import Final

from netlab.journey.evidence import PacketPaths, ProbeResult, silent_for_many
from netlab.journey.headers import ICMP, PROTOCOLS, TCP, UDP, make_key
from netlab.journey.hook_passes import HookPass
from netlab.model.family import Family, endpoint
from netlab.model.flow import Flow, FlowProtocol, Target
from netlab.model.journey import Icmp
from netlab.model.plan import Backend
from netlab.model.reply import Reply
from netlab.predict.answers import Asked, answer_lost, arrives
from netlab.predict.host import Namespace
from netlab.predict.links import InterfaceOf, Links
from netlab.predict.martians import stays_inside
from netlab.predict.packet import ACK, ECHO, PUSH, RST, SYN, Packet, address_number, address_text
from netlab.predict.routes import Query, RouteEntry
from netlab.predict.sockets import Receiver, listening, reply_of
from netlab.predict.sources import ipv6_source, source_for
from netlab.predict.stack import ERRORS, Stack, Trip, refusal

#: the source ports that a prediction shows, where the flow names none: of the flow, of a proxy's connection
SOURCE_PORT: Final = 40000
PROXY_PORT: Final = 50000
#: octets of data that fit one packet of any link that IPv6 may use
_FITS: Final = 1200
_BROADCAST_ECHO: Final = "net.ipv4.icmp_echo_ignore_broadcasts"


class NotPredicted(Exception):
    """The model does not know what decides here; the text says what that is."""


@dataclass(slots=True)
class Result:
    """What a probe would see, and the hooks that the packets pass."""

    probe: ProbeResult
    paths: PacketPaths = field(default_factory=PacketPaths)


class Exchange:
    """Predicts flows between the nodes of a plan."""

    def __init__(self, links: Links, stack: Stack) -> None:
        self._links = links
        self._stack = stack

    def predict(self, flow: Flow) -> Result:
        """The exchange of one flow; raises NotPredicted."""
        space = self._space(flow.origin)
        if flow.size is not None and flow.size > _FITS:
            raise NotPredicted(f"{flow.size} octets of data may not fit one packet of each link on the way")
        if flow.via is not None or self._forged(flow, space):
            return self._by_hand(flow, space)
        asked, errno = self.first(
            space,
            flow.family,
            flow.protocol,
            address_number(flow.address),
            flow.port,
            source=address_number(flow.source) if flow.source else None,
            source_port=flow.source_port or SOURCE_PORT,
            scope=flow.target.scope,
        )
        if asked is None:
            return Result(ProbeResult("no-route", errno=errno))
        trip = self._stack.send(space, asked.packet, asked.route)
        return self._outcome(flow, asked, trip)

    def _space(self, node: str) -> Namespace:
        return self._links.spaces[self._links.homes[node]]

    @staticmethod
    def _forged(flow: Flow, space: Namespace) -> bool:
        return flow.source is not None and not space.routes[flow.family].is_local(address_number(flow.source))

    # -- the first packet

    @staticmethod
    def first(
        space: Namespace,
        family: Family,
        protocol: FlowProtocol,
        destination: int,
        port: int | None,
        *,
        source: int | None = None,
        source_port: int,
        scope: str | None = None,
    ) -> tuple[Asked | None, str]:
        """The packet that a socket sends first, or the errno of a call that fails; raises NotPredicted."""
        route = space.routes[family].lookup(Query(source or 0, destination, oif=scope))
        if family is Family.IPV6 and source is None:
            interface = route.interface if route is not None else None
            if ipv6_source(space, interface or "lo", destination) is None:
                return None, "EADDRNOTAVAIL"
        errno = refusal(route)
        if route is None or errno:
            return None, errno
        if route.kind in ("broadcast", "multicast") or _is_multicast(family, destination):
            raise NotPredicted(f"{address_text(family, destination)} is an address of several machines")
        own = source if source is not None else source_for(space, family, destination, route)
        if own is None:
            return None, "EADDRNOTAVAIL"
        return Asked(space, first_packet(family, protocol, own, source_port, destination, port), route), ""

    # -- what comes of it

    def _outcome(self, flow: Flow, asked: Asked, trip: Trip) -> Result:
        paths = PacketPaths(forth=trip.forth, switched=trip.switched if _switched(trip) else [])
        probe = ProbeResult("timeout", *_sent(asked.packet))
        result = Result(probe, paths)
        if trip.fate == "lost":
            probe.route, probe.silence = trip.route or None, trip.why
            probe.lost_in = trip.forth[-1].node if trip.forth else asked.space.name
        elif trip.fate in ("reject", "error"):
            self._refusal(asked, trip, result)
        elif trip.fate == "delivered":
            self._arrived(flow, asked, trip, result)
        return result

    def _refusal(self, asked: Asked, trip: Trip, result: Result) -> None:
        """A rule or a route answers with an error, which has to find its way back."""
        probe, packet = result.probe, trip.packet
        if trip.reject is not None and trip.shared and packet.family is Family.IPV4:
            return  # no error answers a packet to a broadcast address (icmp_send, nf_send_reset)
        if trip.reject is not None and trip.reject.reset:
            if packet.protocol != TCP:
                return
            if self._comes_back(asked, trip, packet.answer(flags=RST | ACK), result.paths):
                probe.outcome, probe.errno = "refused", "ECONNREFUSED"
            return
        code = trip.icmp
        if trip.reject is not None:
            code = trip.reject.ipv4 if packet.family is Family.IPV4 else trip.reject.ipv6
            probe.route = None
        assert code is not None
        if trip.route:
            probe.route = trip.route
        self._error(asked, trip, code, result)

    def _error(self, asked: Asked, trip: Trip, code: tuple[int, int], result: Result) -> None:
        space, packet = trip.space, trip.packet
        assert space is not None
        tables = space.routes[packet.family]
        route = tables.lookup(Query(0, packet.src))
        if route is None or refusal(route):
            return
        taken = tables.kind_of(packet.dst) in ("local", "anycast")
        own = packet.dst if taken else source_for(space, packet.family, packet.src, route)
        if own is None:
            return
        error = packet.error(own, *code)
        if stays_inside(space, error, route):
            self._turned_away(trip, result)
            return
        back = self._stack.send(space, error, route)
        about = back.packet.about
        # What answers a packet made by hand counts as soon as it has left, whoever owns the source address.
        came = back.fate == "delivered" and back.space is asked.space
        if asked.by_hand:
            came = back.fate not in ("drop", "reject")
        if came and about is not None:
            if about.ends == asked.packet.ends:
                result.probe.outcome = "unreachable"
                result.probe.icmp = Icmp(*code, back.packet.source)
        elif back.fate in ("drop", "reject"):
            result.paths.errors = back.forth

    def _comes_back(self, asked: Asked, trip: Trip, answer: Packet, paths: PacketPaths) -> bool:
        """Send an answer; whether it reaches the socket that asked."""
        back = self._answer(trip.space, answer, paths)
        return back is not None and arrives(back, asked)

    def _answer(self, space: Namespace | None, answer: Packet, paths: PacketPaths) -> Trip | None:
        """Send an answer along its own route; None if there is none."""
        assert space is not None
        route = space.routes[answer.family].lookup(Query(answer.src, answer.dst))
        if route is None or refusal(route) or stays_inside(space, answer, route):
            return None
        back = self._stack.send(space, answer, route)
        paths.back = back.forth
        return back

    # -- arrived

    def _arrived(self, flow: Flow, asked: Asked, trip: Trip, result: Result) -> None:
        space, packet = trip.space, trip.packet
        assert space is not None
        if trip.shared:
            if datagram_of_many(trip) is not None:
                raise NotPredicted(f"{packet.destination} is an address of several machines")
            if packet.family is Family.IPV6 and packet.protocol == UDP:
                self._error(asked, trip, (1, 4), result)
                return
            result.probe.silence, result.probe.lost_in = unanswered(trip), space.name
            return
        if packet.is_icmp:
            if packet.kind == ECHO[packet.family][0] and not _ignores_echo(space, packet.family):
                self._ok_if_back(asked, trip, packet.answer(), result, None)
            return
        found = listening(space, packet)
        if found is None and space.programs:
            names = ", ".join(space.programs)
            raise NotPredicted(f"{names} runs a program of its own: what it listens on is not in the plan")
        if found is not None:
            refuse_inside(found)
        if found is None:
            self._closed_port(asked, trip, result)
        elif packet.protocol == UDP:
            self._datagram(flow, asked, trip, found, result)
        else:
            self._stream(flow, asked, trip, found, result)

    def _closed_port(self, asked: Asked, trip: Trip, result: Result) -> None:
        packet = trip.packet
        if packet.protocol == UDP:
            self._error(asked, trip, (3, 3) if packet.family is Family.IPV4 else (1, 4), result)
        else:
            back = self._answer(trip.space, packet.answer(flags=RST | ACK), result.paths)
            if back is None:
                self._turned_away(trip, result)
            elif arrives(back, asked):
                result.probe.outcome, result.probe.errno = "refused", "ECONNREFUSED"
            else:
                answer_lost(asked, back, result.probe)

    def _ok_if_back(
        self, asked: Asked, trip: Trip, answer: Packet, result: Result, reply: Reply | None
    ) -> bool:
        """The flow is ok if this answer reaches its sender; otherwise why it does not is noted."""
        back = self._answer(trip.space, answer, result.paths)
        if back is None:
            self._turned_away(trip, result)
            return False
        if arrives(back, asked):
            result.probe.outcome, result.probe.reply = "ok", reply
            return True
        answer_lost(asked, back, result.probe)
        return False

    def _turned_away(self, trip: Trip, result: Result) -> None:
        """The namespace that answers has no route to the sender."""
        packet, space = trip.packet, trip.space
        assert space is not None
        route = space.routes[packet.family].lookup(Query(packet.dst, packet.src))
        errno = refusal(route)
        if route is not None and stays_inside(space, packet.answer(), route):
            errno = "EINVAL"
        if errno:
            words = f"ip route get {packet.source} from {packet.destination}: {ERRORS[errno]}"
            result.probe.route, result.probe.answer_turned_away = words, True
            result.probe.lost_in = space.name

    def _datagram(self, flow: Flow, asked: Asked, trip: Trip, found: Receiver, result: Result) -> None:
        packet, space = trip.packet, trip.space
        assert space is not None
        if not found.answers:
            result.probe.silence = f"{found.process} of {space.name} holds the port and answers nobody"
            result.probe.lost_in = space.name
            return
        reply = reply_of(found, packet)
        inner: list[HookPass] | None = None
        if found.backend is not None:
            second = self._second_leg(space, "udp", found.backend, result)
            if second is None or second.probe.outcome != "ok":
                return
            reply, inner = second.probe.reply or reply, result.paths.back
        answer = packet.answer()
        if found.routed:
            route = space.routes[packet.family].lookup(Query(0, packet.src))
            own = source_for(space, packet.family, packet.src, route) if route is not None else None
            answer = replace(answer, src=own if own is not None else answer.src)
        arrived = self._ok_if_back(asked, trip, answer, result, reply)
        strays = answer.src != packet.dst
        if strays:
            result.paths.back = []
        if inner is not None:
            result.paths.back, result.paths.returned = inner, result.paths.back
        if strays and not arrived and not result.probe.route and not result.probe.silence:
            said = endpoint(address_text(packet.family, answer.src), answer.sport)
            to = endpoint(flow.address, flow.port or 0)
            result.probe.silence = f"{reply.node} answered from {said}, not from {to}"
            result.probe.lost_in = reply.node

    def _stream(self, flow: Flow, asked: Asked, trip: Trip, found: Receiver, result: Result) -> None:
        """A connection: SYN-ACK, then data both ways; through a proxy, with a connection of its own."""
        packet, space = trip.packet, trip.space
        assert space is not None
        accepted = packet.answer(flags=SYN | ACK)
        if not self._ok_if_back(asked, trip, accepted, result, reply_of(found, packet)):
            return
        probe = result.probe
        result.paths.back = []
        if asked.by_hand:
            probe.reply = None
            return
        data = self._stack.send(asked.space, replace(asked.packet, flags=PUSH | ACK), asked.route)
        if data.fate != "delivered" or data.space is not space:
            self._later_lost(data, result)
            return
        if not found.answers:
            probe.outcome, probe.reply = "closed", None
            what = f"only holds port {packet.dport} and accepts no connection"
            probe.silence, probe.lost_in = f"{found.process} of {space.name} {what}", space.name
            return
        if found.backend is not None:
            second = self._second_leg(space, flow.protocol, found.backend, result)
            if second is None or second.probe.outcome != "ok":
                probe.outcome, probe.reply = "closed", None
                return
            probe.reply = second.probe.reply
        back = self._answer(space, packet.answer(flags=PUSH | ACK), PacketPaths())
        if back is None or back.fate != "delivered":
            self._later_lost(back, result)

    @staticmethod
    def _later_lost(trip: Trip | None, result: Result) -> None:
        """The connection stands, and no data comes back."""
        result.probe.outcome, result.probe.reply = "closed", None
        if trip is not None:
            result.paths.lost = [visit for visit in (*trip.forth, *trip.switched) if visit.dropped]

    def connect(self, space: Namespace, protocol: FlowProtocol, backend: Backend) -> Result | None:
        """What becomes of the connection that a proxy makes to its backend; None if it cannot be begun."""
        return self._second_leg(space, protocol, backend, Result(ProbeResult("timeout")))

    def _second_leg(
        self, space: Namespace, protocol: FlowProtocol, backend: Backend, result: Result
    ) -> Result | None:
        """The proxy's own connection; None if it cannot even be begun."""
        family = Family.of(backend.address)
        asked, _ = self.first(
            space, family, protocol, address_number(backend.address), backend.port, source_port=PROXY_PORT
        )
        if asked is None:
            return None
        trip = self._stack.send(space, asked.packet, asked.route)
        inner = Flow("", _NO_TARGET, family, protocol, backend.port, backend.address)
        found = self._outcome(inner, asked, trip)
        result.paths.proxied = found.paths.forth
        result.paths.returned, result.paths.back = [], found.paths.back
        return found

    # -- packets made by hand

    def _by_hand(self, flow: Flow, space: Namespace) -> Result:
        """A frame sent to the MAC address of the node ``via``, whatever the routing table says."""
        if flow.via is None:
            raise NotPredicted("the model does not know where answers to a forged source go")
        mine, its = self._pair(space, self._space(flow.via), flow)
        source = (
            address_number(flow.source)
            if flow.source
            else next(iter(space.addresses(flow.family, mine)), None)
        )
        if source is None:
            raise NotPredicted(f"{flow.origin} has no {flow.family.word} address on the link to {flow.via}")
        number = flow.source_port or SOURCE_PORT
        target = address_number(flow.address)
        if _is_multicast(flow.family, target):
            raise NotPredicted(f"{flow.address} is an address of several machines")
        packet = first_packet(flow.family, flow.protocol, source, number, target, flow.port)
        asked = Asked(space, packet, RouteEntry(0, 0, interface=mine), by_hand=True)
        trip = self._stack.inject(
            InterfaceOf(self._links.homes[flow.via], its), packet, InterfaceOf(space.name, mine)
        )
        result = self._outcome(flow, asked, trip)
        result.probe.probe = "syn" if flow.protocol == "tcp" else None
        return result

    def _pair(self, space: Namespace, other: Namespace, flow: Flow) -> tuple[str, str]:
        """An interface of one namespace, and one of another on the same link; best one of the same prefix."""
        pairs = [
            (name, end.interface)
            for name in space.interfaces
            for end in self._links.on_link(InterfaceOf(space.name, name))
            if end.space == other.name
        ]
        if not pairs:
            raise NotPredicted(f"{flow.origin} and {flow.via} share no link")

        def apart(pair: tuple[str, str]) -> bool:
            mine, its = (
                [ipaddress.ip_interface(a) for a in one.interfaces[name].addresses]
                for one, name in zip((space, other), pair, strict=True)
            )
            return not any(
                b.ip in a.network for a in mine for b in its if a.version == b.version == flow.family
            )

        return min(pairs, key=apart)


_NO_TARGET: Final = Target(name="")


def first_packet(family: Family, protocol: str, src: int, sport: int, dst: int, port: int | None) -> Packet:
    """The first packet of a flow."""
    if protocol == "icmp":
        return Packet(family, ICMP[family], src, dst, sport, 1, kind=ECHO[family][0])
    number = PROTOCOLS[protocol]
    return Packet(family, number, src, dst, sport, port or 0, flags=SYN if number == TCP else 0)


def refuse_inside(found: Receiver) -> None:
    """Raise NotPredicted for a proxy that leads into a rootless container."""
    if found.inside:
        how = f"{found.process} leads it into {found.inside}"
        raise NotPredicted(f"{how} by a way of its own, which only a running lab shows")


def datagram_of_many(trip: Trip) -> Receiver | None:
    """The socket that takes a datagram to an address of several machines: one on every address has it, too.

    Raises NotPredicted. Source: __udp4_lib_mcast_deliver, __udp6_lib_mcast_deliver.
    """
    packet, space = trip.packet, trip.space
    assert space is not None
    if packet.protocol != UDP:
        return None
    found = listening(space, packet)
    if found is None and space.programs:
        names = ", ".join(space.programs)
        raise NotPredicted(f"{names} runs a program of its own: what it listens on is not in the plan")
    return found


def unanswered(trip: Trip) -> str:
    """Why a namespace does not answer a packet to an address of several machines; raises NotPredicted.

    Source: icmp_rcv, icmp_send, tcp_v4_conn_request, tcp_v4_send_reset and sctp_v4_addr_valid.
    """
    packet, space = trip.packet, trip.space
    assert space is not None
    if packet.is_icmp and space.setting(_BROADCAST_ECHO, "1") == "0":
        raise NotPredicted(f"{packet.destination} is an address of several machines")
    return silent_for_many(space.name)


def _is_multicast(family: Family, address: int) -> bool:
    return address >> 28 == 0xE if family is Family.IPV4 else address >> 120 == 0xFF


def _sent(packet: Packet) -> tuple[tuple[str, int], bytes]:
    """The source of a probe, and the key of its packet."""
    key = make_key(packet.protocol, packet.source, packet.sport, packet.destination, packet.dport)
    return (packet.source, packet.sport), key


def _switched(trip: Trip) -> bool:
    return any(visit.hook == "forward" for visit in trip.switched)


def _ignores_echo(space: Namespace, family: Family) -> bool:
    key = "net.ipv4.icmp_echo_ignore_all" if family is Family.IPV4 else "net.ipv6.icmp.echo_ignore_all"
    return space.setting(key) != "0"
