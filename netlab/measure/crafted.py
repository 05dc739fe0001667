"""Probes with hand-made packets, for what no socket would send.

One :class:`CraftedProbes` a round keeps a packet socket for each origin, and hands each packet that arrives
to the probe that it answers.
"""

from __future__ import annotations

import ipaddress
import select
from collections.abc import Mapping
from typing import Final

from netlab.journey.evidence import ProbeResult
from netlab.journey.headers import ICMP, PROTOCOLS, key_of_sections, make_key, reverse
from netlab.kernel.netlink import interfaces
from netlab.kernel.netlink.interfaces import KernelInterface
from netlab.kernel.packet import PacketSocket, template
from netlab.measure.probes import errno_word
from netlab.model.errors import UsageError
from netlab.model.family import Family
from netlab.model.flow import Flow
from netlab.model.journey import Icmp
from netlab.model.outcome import OutcomeName
from netlab.model.shape import Shape

#: the chunk with which SCTP refuses an INIT
_ABORT: Final = 6
#: the types of ICMP and ICMPv6 that answer an echo
_ECHO_REPLIES: Final = (0, 129)


class CraftedProbe:
    """One packet by hand, and what comes back. A SYN is answered when a SYN-ACK comes."""

    token = ""
    ambiguous = False
    lasted = 0.0

    def __init__(self, flow: Flow, source: tuple[str, int], shape: Shape) -> None:
        self.flow = flow
        self.shape = shape
        self.source = source
        self.result: ProbeResult | None = None
        number = ICMP[flow.family] if flow.protocol == "icmp" else PROTOCOLS[flow.protocol]
        self.ports = (source[1], 1 if flow.port is None else flow.port)
        self.key = make_key(number, source[0], self.ports[0], flow.address, self.ports[1])
        self.deadline = 0.0

    def packets(self) -> list[bytes]:
        """The octets to send: one packet, or its fragments."""
        made = template(self.shape)
        packet = made.fill(self.source[0], self.ports[0], self.flow.address, self.ports[1], self.source[1])
        return made.fragments(packet, self.source[1])

    def answered(self, packet: bytes) -> None:
        """A packet came back with the reversed addresses."""
        start = (packet[0] & 15) * 4 if packet[0] >> 4 == 4 else 40
        if self.flow.protocol == "sctp":
            refused = packet[start + 12] == _ABORT
            self.finish("refused" if refused else "ok", "ECONNREFUSED" if refused else None)
            return
        if self.flow.protocol == "icmp" and packet[start] not in _ECHO_REPLIES:
            return  # the request, which was sent to its own sender
        if self.flow.protocol != "tcp":
            self.finish("ok")
            return
        flags = packet[start + 13]
        if flags & 0x04:
            self.finish("refused", "ECONNREFUSED")
        elif flags & 0x12 == 0x12:
            self.finish("ok")

    def failed(self, error: OSError) -> None:
        """The packet could not be sent."""
        self.finish("no-route", errno_word(error))

    def finish(self, outcome: OutcomeName, word: str | None = None) -> None:
        """The end."""
        if self.result is None:
            probe = None
            if self.flow.protocol == "tcp":
                probe = "syn" if "S" in self.shape.flags else "segment"
            key = None if outcome == "no-route" else self.key
            self.result = ProbeResult(outcome, self.source, key, errno=word, probe=probe)

    def expire(self) -> None:
        """Nobody answered in time, or the trace showed a drop."""
        self.finish("timeout")

    def unreachable(self, icmp: Icmp) -> None:
        """An ICMP error about this packet came back."""
        self.finish("unreachable")
        if self.result is not None:
            self.result.icmp = icmp

    def close(self) -> None:
        """There is nothing to close: the sockets are those of :class:`CraftedProbes`."""


class CraftedProbes:
    """Makes, sends and receives hand-made packets. Its sockets last: the kernel is slow to close one."""

    def __init__(
        self, namespaces: Mapping[str, int], segments: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        """``segments``: node → interface → the link that it is on; without it prefixes must do."""
        self._namespaces = namespaces
        self._segments = segments or {}
        self._sockets: dict[tuple[str, Family], PacketSocket] = {}
        self._answers: dict[bytes, CraftedProbe] = {}
        self._interfaces: dict[str, Mapping[int, KernelInterface]] = {}
        self._addresses: dict[tuple[str, Family], str | None] = {}

    def begin(self) -> list[int]:
        """A new round of flows: forget the last one's. The sockets that are open already, for a poll."""
        self._answers.clear()
        self._interfaces.clear()
        self._addresses.clear()
        for sock in self._sockets.values():
            while sock.received() is not None:
                pass
        return [sock.fileno() for sock in self._sockets.values()]

    def probe(self, flow: Flow, home: str, port: int, shape: Shape | None) -> CraftedProbe:
        """A probe of ``flow`` from the namespace ``home``; raises UsageError without a source address."""
        source = flow.source or self._near_address(flow, home) or self._own_address(flow, home)
        if source is None:
            raise UsageError(f"{flow.origin} has no {flow.family.word} address to send {flow} from")
        made = shape or Shape(flow.family, flow.protocol)
        return CraftedProbe(flow, (source, port), made)

    def launch(self, probe: CraftedProbe, home: str, via: str | None, poll: select.epoll) -> None:
        """Send the probe's packets."""
        place = (home, probe.flow.family)
        sock = self._sockets.get(place)
        if sock is None:
            sock = self._sockets[place] = PacketSocket(self._namespaces[home], probe.flow.family)
            poll.register(sock.fileno(), select.EPOLLIN)
        self._answers[reverse(probe.key)] = probe
        try:
            for packet in probe.packets():
                if via is None:
                    sock.send_routed(packet, probe.flow.address, self.scope(probe.flow, home))
                else:
                    link, mac = self._next_hop(probe.flow, home, via)
                    sock.send_frame(packet, link.name, mac)
        except PermissionError:
            return  # a rule of OUTPUT: the trace shows it
        except OSError as error:
            probe.failed(error)

    def owns(self, fd: int) -> bool:
        """Whether ``fd`` is one of these sockets."""
        return any(sock.fileno() == fd for sock in self._sockets.values())

    def read(self, fd: int) -> None:
        """Hand what arrived to the probes."""
        for sock in self._sockets.values():
            if sock.fileno() != fd:
                continue
            while (packet := sock.received()) is not None:
                key = _key(packet)
                if key is not None:
                    probe = self._answers.get(key)
                    if probe is not None:
                        probe.answered(packet)
                    continue
                quoted = _quoted(packet)
                if quoted is not None:
                    probe = self._answers.get(reverse(quoted[0]))
                    if probe is not None:
                        probe.unreachable(quoted[1])

    def close(self) -> None:
        """Close all sockets."""
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()
        self._answers.clear()

    # -- addresses and links

    def scope(self, flow: Flow, home: str) -> int:
        """The index of the origin's interface on whose link a link-local address is; 0 for other addresses.

        Raises UsageError if there is none, or may be several.
        """
        if not ipaddress.ip_address(flow.address).is_link_local or flow.family is Family.IPV4:
            return 0
        links = [
            link
            for link in self._links(home).values()
            if any(ipaddress.ip_address(address).is_link_local for address in link.addresses)
        ]
        found = [link for link in links if flow.target.scope in (None, link.name)]
        if len(found) == 1:
            return found[0].index
        names = ", ".join(link.name for link in links) or "none"
        raise UsageError(
            f"{flow.origin} -> {flow.to}: the link of {flow.address} must be said, as in"
            f" [{flow.address}%eth0]; interfaces of {home} with link-local addresses: {names}"
        )

    def _links(self, home: str) -> Mapping[int, KernelInterface]:
        found = self._interfaces.get(home)
        if found is None:
            found = self._interfaces[home] = interfaces.read(self._namespaces[home])
        return found

    def _own_address(self, flow: Flow, home: str) -> str | None:
        place = (home, flow.family)
        if place not in self._addresses:
            found = (a for link in self._links(home).values() for a in link.addresses if _usable(a, flow))
            self._addresses[place] = next(found, None)
        return self._addresses[place]

    def _near_address(self, flow: Flow, home: str) -> str | None:
        """The origin's address on the link that it shares with the flow's next hop."""
        if flow.via is None or flow.via not in self._namespaces:
            return None
        link, _ = self._next_hop(flow, home, flow.via)
        return next((address for address in link.addresses if _usable(address, flow)), None)

    def _on_one_link(self, home: str, mine: KernelInterface, via: str, its: KernelInterface) -> bool:
        if self._segments:
            segment = self._segments.get(home, {}).get(mine.name)
            return segment is not None and segment == self._segments.get(via, {}).get(its.name)
        return any(_near(mine, its, family) for family in Family)

    def _next_hop(self, flow: Flow, home: str, via: str) -> tuple[KernelInterface, bytes]:
        """The origin's interface towards ``via``, and the MAC that ``via`` has there. Raises UsageError."""
        if via not in self._namespaces:
            raise UsageError(f"there is no node {via!r} to send the frame to")
        pairs = [
            (mine, its)
            for mine in self._links(home).values()
            for its in self._links(via).values()
            if its.mac and self._on_one_link(home, mine, via, its)
        ]
        for mine, its in sorted(pairs, key=lambda pair: not _near(pair[0], pair[1], flow.family)):
            return mine, its.mac
        raise UsageError(
            f"{flow.origin} and {via} share no segment, so no frame can go from one to the other"
        )


def _near(mine: KernelInterface, its: KernelInterface, family: Family) -> bool:
    """Whether both have addresses of one prefix: of several links that one is taken."""
    for prefix in mine.prefixes:
        whole = ipaddress.ip_interface(prefix).network
        if whole.version != family or whole.is_loopback or whole.is_link_local:
            continue
        if any(ipaddress.ip_address(address) in whole for address in its.addresses):
            return True
    return False


def _usable(address: str, flow: Flow) -> bool:
    one = ipaddress.ip_address(address)
    return one.version == flow.family and not one.is_loopback and not one.is_link_local


def _key(packet: bytes) -> bytes | None:
    if len(packet) < 28:
        return None
    start = (packet[0] & 15) * 4 if packet[0] >> 4 == 4 else 40
    return key_of_sections(packet[:start][:40], packet[start : start + 20])


def _quoted(packet: bytes) -> tuple[bytes, Icmp] | None:
    """The key of the packet that an ICMP error quotes, and the error."""
    headers = _sections(packet)
    if headers is None:
        return None
    sender, kind, code, inner = headers
    # No redirect (5), and no source quench (4): the packet that they quote went on its way.
    errors = (3, 11, 12) if packet[0] >> 4 == 4 else (1, 2, 3, 4)
    key = _key(inner.ljust(60, b"\0")) if kind in errors and inner else None
    return None if key is None else (key, Icmp(kind, code, sender))


def _sections(packet: bytes) -> tuple[str, int, int, bytes] | None:
    v4 = packet[0] >> 4 == 4
    start = (packet[0] & 15) * 4 if v4 else 40
    if len(packet) < start + 8 or packet[9 if v4 else 6] != (1 if v4 else 58):
        return None
    sender = str(ipaddress.ip_address(packet[12:16] if v4 else packet[8:24]))
    return sender, packet[start], packet[start + 1], packet[start + 8 :]
