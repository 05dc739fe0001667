"""TCP with a container by frames, and a socket of the host's for each of its connections.

::

    SYN of the container ──▶ dialling ──the socket is connected, SYN-ACK──▶ answering ──ACK──▶ open
    a client is accepted ──SYN to the container──▶ calling ──SYN-ACK──▶ open

A connection is dialled before the container's is answered, so a refusal stays one. The link loses nothing but
what a full queue drops: one timer a connection sends again, from the last byte that was acknowledged; what
arrives out of order is not kept. Source: RFC 9293, 7323.
"""

from __future__ import annotations

import _socket
import errno
import os
import struct
import time
from typing import TYPE_CHECKING, Literal, NamedTuple

from netlab.proxy.loop import EDGE, GONE, IN, OUT
from netlab.proxy.sockets import SOL_TCP, SockAddr, plain
from netlab.proxy.usermode.frames import TCP, Packet
from netlab.proxy.usermode.link import Link, packed, text

if TYPE_CHECKING:
    from netlab.proxy.loop import Loop
    from netlab.proxy.pairs import Pairs

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
_HEADER = struct.Struct("!HHIIBBHHH")
_MASK = 0xFFFFFFFF
#: Bytes kept of a connection in each direction, and the shift of the window that says so.
ROOM, SHIFT = 256 * 1024, 7
#: The longest segment: that of a link with 65,520 bytes.
LONGEST = {4: 65480, 16: 65460}
#: Seconds until something is sent again, at first and at most, and until a silent container is given up.
AGAIN, AGAIN_MOST, PATIENCE = 0.3, 8.0, 60.0
#: The most connections; each costs a descriptor.
MOST = 4096
#: ICMP's net and host unreachable, for connect()'s errno: (IPv4, IPv6)
_NET, _HOST = ((3, 0), (1, 0)), ((3, 1), (1, 3))

State = Literal["dialling", "answering", "calling", "open"]
#: (container's address, its port, the other's address, its port)
Key = tuple[bytes, int, bytes, int]


class Segment(NamedTuple):
    """A TCP segment from the container."""

    seq: int
    ack: int
    flags: int
    window: int
    mss: int
    shift: int | None
    payload: bytes


class Connection:
    """One connection of the container's and the host's socket that stands for it."""

    def __init__(self, tcp: GuestTcp, key: Key, sock: _socket.socket, state: State) -> None:
        self._tcp = tcp
        self._key = key
        self.sock = sock
        self.state = state
        self.label = ""  #: the listener's key, if a client came by one
        start = int.from_bytes(os.urandom(4))
        self._una = self._nxt = start  #: of what we send: not acknowledged yet, next
        self._rcv = 0  #: next expected of the container
        self._window, self._shift, self._scaled = 0, 0, False
        self._mss = LONGEST[len(key[0])]
        self._to_guest = bytearray()  #: from ``_una`` on
        self._to_host = bytearray()
        self._readable, self._ended = False, False  #: of the socket
        self._fin_sent = False
        self._guest_ended, self._shut = False, False
        self._since = time.monotonic()
        self.due = 0.0  #: when to send again; 0: nothing waits for an answer
        self._patience = AGAIN

    # -- the container's side

    def begin(self, segment: Segment) -> None:
        """The container's SYN, or SYN-ACK."""
        self._rcv = (segment.seq + 1) & _MASK
        self._mss = min(self._mss, segment.mss)
        self._scaled = segment.shift is not None
        self._shift = segment.shift or 0
        self._window = segment.window  # that of a SYN is not scaled

    def call(self) -> None:
        """Send our SYN."""
        self._send(SYN, options=self._options(), seq=self._una)
        self._nxt = (self._una + 1) & _MASK
        self._wait()

    def answer(self) -> None:
        """The host's socket is connected: send SYN-ACK."""
        self.state = "answering"
        self._send(SYN | ACK, options=self._options(), seq=self._una)
        self._nxt = (self._una + 1) & _MASK
        self._wait()

    def take(self, segment: Segment) -> None:
        """One segment of the container's."""
        if segment.flags & RST:
            self._tcp.drop(self, reset=True)
            return
        if self.state == "calling":
            if segment.flags & (SYN | ACK) == SYN | ACK and segment.ack == self._nxt:
                self.begin(segment)
                self._una, self.state, self.due = self._nxt, "open", 0.0
                self._send(ACK)
                self._tcp.watch(self)
            return
        if self.state == "dialling":
            return
        if segment.flags & SYN:  # our answer was lost
            self._send(SYN | ACK, options=self._options(), seq=self._una)
            return
        if not self._acknowledged(segment):
            return
        self._receive(segment)
        self.pump()

    def _acknowledged(self, segment: Segment) -> bool:
        """Note what the container has; False for a segment of another time."""
        gone = (segment.ack - self._una) & _MASK
        if gone > (self._nxt - self._una) & _MASK:
            return False
        self._window = segment.window << self._shift if self._scaled else segment.window
        if gone and self.state == "answering":  # our SYN counts as a byte
            self.state = "open"
            gone -= 1
            self._una = (self._una + 1) & _MASK
        if gone or self._una == self._nxt:
            del self._to_guest[:gone]
            self._una = (self._una + gone) & _MASK
            self._patience, self._since = AGAIN, time.monotonic()
            self.due = self._since + AGAIN if self._una != self._nxt else 0.0
        return True

    def _receive(self, segment: Segment) -> None:
        """Take what is next of the container's bytes, and acknowledge what there is."""
        payload = segment.payload
        ahead = (segment.seq - self._rcv) & _MASK
        if ahead:
            behind = (self._rcv - segment.seq) & _MASK
            if behind > len(payload) + 1 or ahead < behind:
                if payload or segment.flags & FIN:
                    self._send(ACK)
                return
            payload = payload[behind:]
        fits = payload[: max(0, ROOM - len(self._to_host))]
        self._to_host += fits
        self._rcv = (self._rcv + len(fits)) & _MASK
        if segment.flags & FIN and len(fits) == len(payload) and not self._guest_ended:
            self._guest_ended = True
            self._rcv = (self._rcv + 1) & _MASK
        if segment.payload or segment.flags & FIN:
            self._flush()
            self._send(ACK)

    # -- the host's side

    def event(self, events: int) -> None:
        """Something happened at the socket."""
        if self.state == "dialling":
            self._dialled()
            return
        if events & (IN | GONE):
            self._readable = True
        if events & OUT:
            full = len(self._to_host)
            self._flush()
            if full >= ROOM > len(self._to_host):
                self._send(ACK)  # the window was shut
        self.pump()

    def _dialled(self) -> None:
        if self.sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR):
            self.reset()
            return
        try:
            self.sock.getpeername()
        except OSError:  # not connected yet
            return
        self.answer()

    def pump(self) -> None:
        """Read from the socket what fits, and send to the container what it takes."""
        if self.sock.fileno() < 0:
            return
        while self._readable and not self._ended and len(self._to_guest) < ROOM:
            try:
                data = self.sock.recv(ROOM)
            except BlockingIOError:
                self._readable = False
                break
            except OSError:
                self.reset()
                return
            if not data:
                self._ended = True
            self._to_guest += data
        self._push()
        self._flush()
        if self._over():
            self._tcp.drop(self, reset=False)

    def _push(self) -> None:
        if self.state != "open":
            return
        while not self._fin_sent:
            sent = (self._nxt - self._una) & _MASK
            size = min(self._mss, self._window - sent, len(self._to_guest) - sent)
            if size <= 0:
                break
            self._send(PSH | ACK, bytes(self._to_guest[sent : sent + size]))
            self._nxt = (self._nxt + size) & _MASK
        sent = (self._nxt - self._una) & _MASK
        if self._ended and not self._fin_sent and sent == len(self._to_guest):
            self._send(FIN | ACK)
            self._nxt = (self._nxt + 1) & _MASK
            self._fin_sent = True
        if self._una != self._nxt or self._to_guest:
            self._wait()

    def _flush(self) -> None:
        """Hand on to the socket."""
        while self._to_host:
            try:
                count = self.sock.send(self._to_host)
            except BlockingIOError:
                return
            except OSError:
                self.reset()
                return
            del self._to_host[:count]
        if self._guest_ended and not self._shut and self.sock.fileno() >= 0:
            self._shut = True
            try:
                self.sock.shutdown(_socket.SHUT_WR)
            except OSError:  # the other side has gone
                self.reset()

    def _over(self) -> bool:
        return self._shut and self._fin_sent and self._una == self._nxt

    def reset(self) -> None:
        """End it, with a reset for the container."""
        self._send(RST | ACK, seq=self._nxt)
        self._tcp.drop(self, reset=True)

    # -- time

    def _wait(self) -> None:
        if not self.due:
            self._since = time.monotonic()
            self.due = self._since + self._patience
        self._tcp.remind(self.due)

    def again(self, now: float) -> None:
        """Send what was not acknowledged once more, or give up."""
        if now - self._since > PATIENCE:
            self.reset()
            return
        self._patience = min(2 * self._patience, AGAIN_MOST)
        self.due = now + self._patience
        if self.state == "calling":
            self._send(SYN, options=self._options(), seq=self._una)
        elif self.state == "answering":
            self._send(SYN | ACK, options=self._options(), seq=self._una)
        elif self._to_guest:
            self._nxt, self._fin_sent = self._una, False
            if not self._window:  # ask whether it is still shut
                self._send(ACK, bytes(self._to_guest[:1]))
                self._nxt = (self._una + 1) & _MASK
            self._push()
        elif self._fin_sent:
            self._send(FIN | ACK, seq=self._una)

    # -- segments

    def _options(self) -> bytes:
        mss = struct.pack("!BBH", 2, 4, LONGEST[len(self._key[0])])
        return mss + (b"\1\3\3" + bytes((SHIFT,)) if self._scaled or self.state == "calling" else b"")

    def _send(
        self, flags: int, payload: bytes = b"", *, options: bytes = b"", seq: int | None = None
    ) -> None:
        room = max(0, ROOM - len(self._to_host))
        window = min(0xFFFF, room if flags & SYN or not self._scaled else room >> SHIFT)
        number = self._nxt if seq is None else seq
        ack = self._rcv if flags & ACK else 0
        self._tcp.send(self._key, (number, ack, flags, window), payload, options)


class GuestTcp:
    """All connections of one container."""

    def __init__(self, loop: Loop, link: Link, pairs: Pairs) -> None:
        self._loop = loop
        self._link = link
        self._pairs = pairs
        self._known: dict[Key, Connection] = {}
        self._watched: set[Connection] = set()

    def take(self, packet: Packet) -> None:
        """A TCP segment of the container's."""
        segment, sport, dport = _parse(packet.segment)
        if segment is None:
            return
        key = (packet.src, sport, packet.dst, dport)
        known = self._known.get(key)
        if known is not None:
            known.take(segment)
        elif segment.flags & (SYN | ACK | RST) == SYN:
            self._dial(packet, key, segment)
        elif not segment.flags & RST:
            self._refuse(key, segment)

    def _dial(self, packet: Packet, key: Key, segment: Segment) -> None:
        """The container opens a connection: so does the host."""
        target = self._link.leads_to(key[2])
        if target is None:
            self._fail(packet, key, segment, errno.ENETUNREACH)
            return
        if len(self._known) >= MOST:
            self._refuse(key, segment)
            return
        six = len(target) == 16
        sock = _socket.socket(
            _socket.AF_INET6 if six else _socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK, 0
        )
        sock.setsockopt(SOL_TCP, _socket.TCP_NODELAY, 1)
        where: SockAddr = (text(target), key[3], 0, 0) if six else (text(target), key[3])
        code = sock.connect_ex(where)
        if code not in (0, errno.EINPROGRESS):
            sock.close()
            self._fail(packet, key, segment, code)
            return
        self._pairs.add("tcp", (text(key[0]), key[1]), (text(key[2]), key[3]), sock.getsockname(), where)
        connection = self._known[key] = Connection(self, key, sock, "dialling")
        connection.begin(segment)
        self.watch(connection)

    def _fail(self, packet: Packet, key: Key, segment: Segment, code: int) -> None:
        """connect() failed at once."""
        if self._link.settings.reset_always or code == errno.ECONNREFUSED:
            self._refuse(key, segment)
            return
        kinds = _HOST if code == errno.EHOSTUNREACH else _NET
        self._link.refuse(packet, kinds[len(packet.src) == 16])

    def call(self, client: _socket.socket, address: SockAddr, label: str, port: int) -> None:
        """A client of the host's was accepted: open a connection to the container for it."""
        source = packed(plain(address[0]).partition("%")[0])
        guest = self._link.guest(4 if len(source) == 4 else 6)
        if guest is None or len(self._known) >= MOST:
            client.close()
            return
        seen = self._link.seen_as(source)
        key = (guest, port, seen, address[1])
        old = self._known.get(key)
        if old is not None:
            self.drop(old, reset=True)
        self._pairs.add("tcp", address, client.getsockname(), (text(seen), address[1]), (text(guest), port))
        connection = self._known[key] = Connection(self, key, client, "calling")
        connection.label = label
        connection.call()

    def watch(self, connection: Connection) -> None:
        """Have the events of its socket, once the container can have its bytes."""
        if connection not in self._watched and connection.sock.fileno() >= 0:
            self._watched.add(connection)
            self._loop.watch(connection.sock.fileno(), connection.event, EDGE)

    def drop(self, connection: Connection, *, reset: bool) -> None:
        """Forget a connection; ``reset``: its socket ends with one."""
        if connection.sock.fileno() < 0 or self._known.get(connection._key) is not connection:
            return
        del self._known[connection._key]
        if reset:
            linger = struct.pack("ii", 1, 0)
            connection.sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, linger)
        self._watched.discard(connection)
        connection.due = 0.0
        self._loop.discard(connection.sock)

    def cut(self, label: str) -> None:
        """End the connections that came by a listener."""
        for connection in [one for one in self._known.values() if one.label == label]:
            connection.reset()

    def send(self, key: Key, numbers: tuple[int, int, int, int], payload: bytes, options: bytes) -> None:
        """Send a segment; ``numbers`` are sequence, acknowledgement, flags and window."""
        seq, ack, flags, window = numbers
        offset = (5 + len(options) // 4) << 4
        header = _HEADER.pack(key[3], key[1], seq & _MASK, ack & _MASK, offset, flags, window, 0, 0)
        self._link.send(Packet(key[2], key[0], TCP, header + options + payload))

    def _refuse(self, key: Key, segment: Segment) -> None:
        """A reset for a segment that belongs to no connection."""
        if segment.flags & ACK:
            self.send(key, (segment.ack, 0, RST, 0), b"", b"")
            return
        length = len(segment.payload) + bool(segment.flags & SYN) + bool(segment.flags & FIN)
        self.send(key, (0, segment.seq + length, RST | ACK, 0), b"", b"")

    def remind(self, when: float) -> None:
        """See to what must be sent again at ``when``."""
        self._loop.at(when, self._tick)

    def _tick(self, now: float) -> float | None:
        for connection in [one for one in self._known.values() if 0 < one.due <= now]:
            connection.again(now)
        return min((one.due for one in self._known.values() if one.due), default=None)


def _parse(data: bytes) -> tuple[Segment | None, int, int]:
    """A segment with its ports; None if it is cut off."""
    if len(data) < _HEADER.size:
        return None, 0, 0
    sport, dport, seq, ack, offset, flags, window, _, _ = _HEADER.unpack_from(data)
    end = (offset >> 4) * 4
    mss, shift = _options(data[_HEADER.size : end])
    return Segment(seq, ack, flags, window, mss, shift, data[end:]), sport, dport


def _options(data: bytes) -> tuple[int, int | None]:
    """The longest segment that the container takes, and the shift of its window."""
    mss, shift = 536, None
    at = 0
    while at < len(data):
        kind = data[at]
        if kind == 0:
            break
        if kind == 1:
            at += 1
            continue
        length = data[at + 1] if at + 1 < len(data) else 0
        if length < 2:
            break
        if kind == 2 and length == 4:
            mss = int.from_bytes(data[at + 2 : at + 4])
        elif kind == 3 and length == 3:
            shift = data[at + 2]
        at += length
    return mss, shift
