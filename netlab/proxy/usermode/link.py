"""The link to a container: its frames on a packet socket, and which address stands for which.

The container's interface is one end of a veth pair; the other one lies in a namespace of its own, where this
socket takes every frame and the kernel answers none. Real pasta and slirp4netns have a tap device in its
place, which needs /dev/net/tun.
"""

from __future__ import annotations

import _socket
import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from netlab.proxy.usermode import frames
from netlab.proxy.usermode.frames import Packet

#: linux/if_ether.h, linux/if_packet.h; the socket module has no name for the last one
ETH_P_ALL = 3
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
#: The longest frame, and frames until others have their turn.
LONGEST = 1 << 17
TURN = 64
#: Bytes of frames that may wait: several windows of TCP.
QUEUE = 4 << 20
#: What the queue of an interface says when it is full: the frame is lost, as on any link.
_FULL = (errno.ENOBUFS, errno.EAGAIN, errno.ENETDOWN)


@dataclass(frozen=True, slots=True)
class Settings:
    """How the program behaves. Addresses are text; MACs are bytes.

    ``guests`` are the container's addresses, at most one a family. ``seen_as``: the host's address that a
    client has → the one that the container sees in its place. ``leads_to``: where the container sends → where
    that is on the host. ``unreachable``: where nothing leads. ``echoes``: the addresses at which the
    program itself answers pings. ``answers_for``: the addresses for which the
    program answers as a neighbour; None: for all but the container's own. ``splices``: what comes from the
    host's loopback goes straight into the container's namespace. ``keeps_ports``: a datagram leaves the host
    from the port that it had in the container. ``errors_from``: the sender of ICMP errors, by family (4, 6);
    without one it is the address that was asked. ``reset_always``: whatever keeps a connection from being
    made, the container gets a reset.
    """

    interface: str
    mac: bytes
    guest_mac: bytes
    guests: tuple[str, ...]
    seen_as: Mapping[str, str]
    leads_to: Mapping[str, str]
    unreachable: tuple[str, ...]
    echoes: tuple[str, ...]
    answers_for: tuple[str, ...] | None
    splices: bool
    keeps_ports: bool
    errors_from: Mapping[int, str]
    reset_always: bool


def packed(address: str) -> bytes:
    """The bytes of an address."""
    return _socket.inet_pton(_socket.AF_INET6 if ":" in address else _socket.AF_INET, address)


def text(address: bytes) -> str:
    """The address as text."""
    return _socket.inet_ntop(_socket.AF_INET6 if len(address) == 16 else _socket.AF_INET, address)


class Link:
    """A packet socket and the container at its other end."""

    def __init__(self, settings: Settings) -> None:
        """Open the socket in the thread's namespace; raises OSError."""
        self.settings = settings
        self._own = {packed(address) for address in settings.guests}
        answers = settings.answers_for
        self._neighbours = None if answers is None else {packed(address) for address in answers}
        self._seen_as = {packed(one): packed(other) for one, other in settings.seen_as.items()}
        self._leads_to = {packed(one): packed(other) for one, other in settings.leads_to.items()}
        self._unreachable = {packed(address) for address in settings.unreachable}
        self.sock = _socket.socket(_socket.AF_PACKET, _socket.SOCK_RAW | _socket.SOCK_NONBLOCK, 0)
        self.sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, QUEUE)
        self.sock.bind((settings.interface, ETH_P_ALL))

    def guest(self, family: int) -> bytes | None:
        """The container's address of a family (4 or 6), if it has one."""
        length = 4 if family == 4 else 16
        return next((one for one in map(packed, self.settings.guests) if len(one) == length), None)

    def seen_as(self, client: bytes) -> bytes:
        """The address that the container sees of a client."""
        return self._seen_as.get(client, client)

    def leads_to(self, address: bytes) -> bytes | None:
        """Where an address of the container's leads on the host; None: nowhere."""
        return None if address in self._unreachable else self._leads_to.get(address, address)

    def send(self, packet: Packet) -> None:
        """Send a packet to the container; it may be lost."""
        kind = frames.IPV6 if len(packet.src) == 16 else frames.IPV4
        self._send(
            frames.ethernet(self.settings.guest_mac, self.settings.mac, kind) + frames.ip_packet(packet)
        )

    def refuse(self, about: Packet, code: tuple[int, int]) -> None:
        """Send an ICMP error about a packet of the container's."""
        sender = self.settings.errors_from.get(6 if len(about.src) == 16 else 4)
        self.send(frames.unreachable(about, packed(sender) if sender else about.dst, code))

    def receive(self, take: Callable[[Packet], None]) -> None:
        """Hand on the packets that wait; questions about neighbours are answered here."""
        for _ in range(TURN):
            try:
                frame = self.sock.recv(LONGEST)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ENETDOWN:
                    return
                raise
            found = frames.parse(frame)
            if isinstance(found, frames.ArpQuestion):
                if self._is_neighbour(found.target):
                    self._send(frames.arp_answer(found, self.settings.mac))
            elif found is not None and (target := frames.solicited(found)) is not None:
                if self._is_neighbour(target):
                    self.send(frames.advertisement(found, target, self.settings.mac))
            elif found is not None and found.src in self._own:
                take(found)

    def _is_neighbour(self, address: bytes) -> bool:
        if self._neighbours is not None:
            return address in self._neighbours
        return address not in self._own and any(address)

    def _send(self, frame: bytes) -> None:
        try:
            self.sock.send(frame)
        except OSError as error:
            if error.errno not in _FULL:
                raise
