"""Read nftables trace events from netlink: the socket, and a decoder with a cache.

Messages: include/uapi/linux/netfilter/nf_tables.h (``NFTA_TRACE_*``; 18 to 21 are newer than Debian 12's
header); what they hold and in which order: net/netfilter/nf_tables_trace.c. The kernel puts nfproto, type and
ID first, at fixed positions, and the packet's attributes after the rule's. So all octets up to the packet's
part, except for the ID, are equal whenever a packet passes the same rule. They are the key of a cache, and
are decoded attribute by attribute only once.

A message that cannot be decoded neither raises an exception nor is ignored: it becomes a
:class:`~netlab.model.trace.TraceFault`, which makes the measurement unmeasured.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from struct import Struct
from typing import Final, Protocol

from netlab.kernel.netlink.nf_tables import NFNL_SUBSYS_NFTABLES, open_socket
from netlab.kernel.trace.batch import ID_AT, ID_SIZE, Batch
from netlab.model.trace import (
    Headers,
    Layout,
    Step,
    TraceEvent,
    TraceFault,
    TraceKind,
    VerdictCode,
    Whole,
)

NFNLGRP_NFTRACE: Final = 9
SOL_NETLINK: Final = 270
NETLINK_ADD_MEMBERSHIP: Final = 1
SO_RCVBUFFORCE: Final = 33

NFT_MSG_TRACE: Final = 17
TRACE_TYPE: Final = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_TRACE

#: The part of the receive buffer that one event takes, whatever its size (measured, kernel 6.18).
OCTETS_PER_EVENT: Final = 1280
WANTED_BUFFER: Final = 64 << 20

FAMILY_WORDS: Final = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}

_TABLE, _CHAIN, _HANDLE, _TYPE, _VERDICT, _ID, _LINK, _NETWORK, _TRANSPORT = range(1, 10)
_IIF, _IIFTYPE, _OIF, _OIFTYPE, _MARK, _NFPROTO, _POLICY, _PAD = range(10, 18)
_CT_ID, _CT_DIRECTION, _CT_STATUS, _CT_STATE = range(18, 22)
#: attributes of the packet, not of the rule: the key ends before the first of them
_OF_PACKET: Final = frozenset(
    (
        _LINK,
        _NETWORK,
        _TRANSPORT,
        _IIF,
        _IIFTYPE,
        _OIF,
        _OIFTYPE,
        _CT_ID,
        _CT_DIRECTION,
        _CT_STATUS,
        _CT_STATE,
    )
)

_NLA = Struct("=HH")
_NLMSG = Struct("=IH")
_U32 = Struct(">I")
_S32 = Struct(">i")
_U64 = Struct(">Q")
_FRONT: Final = ID_AT + ID_SIZE  #: headers of netlink and nfnetlink, nfproto, type, id
_CACHE_LIMIT: Final = 1 << 16


class _Malformed(ValueError):
    pass


class _Unknown(ValueError):
    pass


class Sink(Protocol):
    """A receiver of trace events, in the order in which the kernel created them."""

    def step(self, number: int, step: Step) -> None:
        """An event without headers: the id of its packet, and what happened."""

    def packet(self, number: int, step: Step, layout: Layout, body: bytes) -> None:
        """An event with headers, which ``layout`` reads from ``body``."""

    def fault(self, fault: TraceFault) -> None:
        """A message that was not understood, or lost ones."""


class Decoder:
    """Decodes netlink messages into trace events and faults. Pure; use one for each socket.

    A *body* is a message without its ID (the four octets of its value): the part that packets share.
    """

    def __init__(self) -> None:
        self._steps: dict[bytes, Step] = {}
        #: length of a body → its part before the packet's → its meaning, and where the packet's part is
        self._packets: dict[int, list[tuple[int, dict[bytes, tuple[Step, _Known]]]]] = {}
        self._remembered = 0
        #: attributes that were seen and are not known: number → how often it was decoded
        self.unknown: dict[int, int] = {}

    def decode(self, data: bytes) -> TraceEvent | TraceFault:
        """One whole message, netlink header included."""
        if len(data) < _FRONT:
            return self._decode(data)
        body, number = data[:ID_AT] + data[_FRONT:], _U32.unpack_from(data, ID_AT)[0]
        found: list[TraceEvent | TraceFault] = []
        self.read((body,), (number,), _Collector(found))
        return found[0]

    def read(self, bodies: Sequence[bytes], numbers: Sequence[int], sink: Sink) -> None:
        """Tell ``sink`` of messages, given as bodies and ids."""
        steps, packets, on_step, on_packet = self._steps, self._packets, sink.step, sink.packet
        for body, number in zip(bodies, numbers, strict=True):
            for prefix, known in packets.get(len(body), ()):
                found = known.get(body[:prefix])
                if found is not None and found[1].fits(body):
                    on_packet(number, found[0], found[1], body)
                    break
            else:
                step = steps.get(body)
                if step is not None:
                    on_step(number, step)
                else:
                    self._first_sight(body, number, sink)

    def _first_sight(self, body: bytes, number: int, sink: Sink) -> None:
        event = self._decode(body[:ID_AT] + _U32.pack(number) + body[ID_AT:])
        if isinstance(event, TraceFault):
            sink.fault(event)
        elif event.headers is None:
            sink.step(event.id, event.step)
        else:
            sink.packet(event.id, event.step, Whole(event.headers), b"")

    def _decode(self, data: bytes) -> TraceEvent | TraceFault:
        try:
            return self._decode_slowly(data)
        except _Unknown as problem:
            return TraceFault("unknown", str(problem))
        except (_Malformed, ValueError, IndexError) as problem:
            return TraceFault("malformed", f"{problem}: {data[:256].hex()}")

    def _decode_slowly(self, data: bytes) -> TraceEvent | TraceFault:
        if len(data) < 20:
            raise _Malformed(f"a message of {len(data)} octets")
        length, kind = _NLMSG.unpack_from(data)
        if kind == 2:  # NLMSG_ERROR
            raise _Malformed("an error message")
        if kind != TRACE_TYPE:
            raise _Unknown(f"message type {kind:#x} on the trace socket")
        if length != len(data):
            raise _Malformed(f"length {length} in a message of {len(data)} octets")
        places = _attributes(data, 20, length)
        for needed in (_TABLE, _CHAIN, _TYPE, _ID):
            if needed not in places:
                raise _Malformed(f"no attribute {needed}")
        step = self._step(data, places)
        number = _unsigned(data, places[_ID], 4)
        if _NETWORK not in places and _IIF not in places and _OIF not in places:
            if places[_ID][0] == ID_AT and not step.unknown:
                self._remember_step(data, step)
            return TraceEvent(number, step, None)
        headers = _headers(data, places)
        if places[_ID][0] == ID_AT:
            self._remember_packet(data, places, step)
        return TraceEvent(number, step, headers)

    def _step(self, data: bytes, places: dict[int, tuple[int, int]]) -> Step:
        unknown = tuple(sorted(number for number in places if number > _CT_STATE))
        for number in unknown:
            self.unknown[number] = self.unknown.get(number, 0) + 1
        kind = _unsigned(data, places[_TYPE], 4)
        if kind not in (1, 2, 3):
            raise _Unknown(f"trace type {kind}")
        target = None
        if kind == TraceKind.POLICY:
            code = _unsigned(data, places[_POLICY], 4) if _POLICY in places else -99
        elif _VERDICT in places:
            code, target = _verdict(data, places[_VERDICT])
        else:
            raise _Malformed("a rule event without verdict")
        if code not in _VERDICTS:
            raise _Unknown(f"verdict {code}")
        family = data[16]  # of the table; _NFPROTO is the packet's, which differs if the table is inet
        if family not in FAMILY_WORDS:
            raise _Unknown(f"family {family}")
        return Step(
            FAMILY_WORDS[family],
            _text(data, places[_TABLE]),
            _text(data, places[_CHAIN]),
            _unsigned(data, places[_HANDLE], 8) if _HANDLE in places else None,
            TraceKind(kind),
            VerdictCode(code),
            target,
            unknown,
        )

    def _remember_step(self, data: bytes, step: Step) -> None:
        if len(self._steps) >= _CACHE_LIMIT:
            self._steps.clear()
        self._steps[data[:ID_AT] + data[_FRONT:]] = step

    def _remember_packet(self, data: bytes, places: dict[int, tuple[int, int]], step: Step) -> None:
        """Store the position of the packet's part for this rule, if the message has the kernel's usual
        layout.
        """
        layout = _Known.of(data, places)
        if layout is None or step.unknown:
            return
        if self._remembered >= _CACHE_LIMIT:
            self._packets.clear()
            self._remembered = 0
        self._remembered += 1
        body = data[:ID_AT] + data[_FRONT:]
        alike = self._packets.setdefault(len(body), [])
        known = next((found for prefix, found in alike if prefix == layout.start), None)
        if known is None:
            known = {}
            alike.append((layout.start, known))
        known[body[: layout.start]] = (step, layout)


class _Collector:
    """A sink for those who want events."""

    def __init__(self, found: list[TraceEvent | TraceFault]) -> None:
        self._found = found

    def step(self, number: int, step: Step) -> None:
        self._found.append(TraceEvent(number, step, None))

    def packet(self, number: int, step: Step, layout: Layout, body: bytes) -> None:
        self._found.append(TraceEvent(number, step, layout.headers(body)))

    def fault(self, fault: TraceFault) -> None:
        self._found.append(fault)


class _Known:
    """Where the parts of the packet are in bodies of one length, after one rule's attributes.

    After the network header's attribute header come only values, with *seams* between them: the padding of
    one and the header of the next, which must be unchanged.
    """

    __slots__ = ("_link", "_mask", "_network", "_seams", "_transport", "iif", "mark", "oif", "start")

    def __init__(
        self, body: bytes, parts: dict[int, slice], iif: int | None, oif: int | None, mark: int = 0
    ) -> None:
        """``parts``: attribute → position of its value in ``body``."""
        self.start = parts[_NETWORK].start
        self.iif, self.oif, self.mark = iif, oif, mark
        mask = bytearray(b"\xff" * (len(body) - self.start))
        for place in parts.values():
            mask[place.start - self.start : place.stop - self.start] = bytes(place.stop - place.start)
        self._mask = int.from_bytes(mask, "big")
        self._seams = int.from_bytes(body[self.start :], "big") & self._mask
        self._network = parts[_NETWORK]
        self._transport = parts.get(_TRANSPORT, _NOWHERE)
        self._link = parts.get(_LINK, _NOWHERE)

    @classmethod
    def of(cls, data: bytes, places: dict[int, tuple[int, int]]) -> _Known | None:
        """The layout of a message with its interfaces before and its other parts after its header."""
        if _NETWORK not in places:
            return None
        start = places[_NETWORK][0]
        parts = {}
        for number, (at, length) in places.items():
            in_front = number not in _OF_PACKET or number in (_IIF, _IIFTYPE, _OIF, _OIFTYPE)
            if in_front != (at < start):
                return None
            if not in_front:
                parts[number] = slice(at - ID_SIZE, at - ID_SIZE + length)
        iif = _unsigned(data, places[_IIF], 4) if _IIF in places else None
        oif = _unsigned(data, places[_OIF], 4) if _OIF in places else None
        mark = _unsigned(data, places[_MARK], 4) if _MARK in places else 0
        return cls(data[:ID_AT] + data[_FRONT:], parts, iif, oif, mark)

    def fits(self, body: bytes) -> bool:
        """Whether a body of the right length and beginning has the same parts."""
        return int.from_bytes(body[self.start :], "big") & self._mask == self._seams

    def sections(self, body: bytes) -> tuple[bytes, bytes]:
        """As a :class:`~netlab.model.trace.Layout`."""
        return body[self._network], body[self._transport]

    def headers(self, body: bytes) -> Headers:
        """As a :class:`~netlab.model.trace.Layout`."""
        return Headers(self.iif, self.oif, body[self._link], *self.sections(body), self.mark)


_NOWHERE: Final = slice(0, 0)
_VERDICTS: Final = frozenset(int(code) for code in VerdictCode)


def _attributes(data: bytes, start: int, end: int) -> dict[int, tuple[int, int]]:
    """Attribute number → (where its value starts, its length); raises on any overlap or overrun."""
    places = {}
    while start + 4 <= end:
        length, kind = _NLA.unpack_from(data, start)
        if length < 4 or start + length > end:
            raise _Malformed(f"attribute {kind & 0x3FFF} of length {length} at {start}")
        places[kind & 0x3FFF] = (start + 4, length - 4)
        start += (length + 3) & ~3
    return places


def _unsigned(data: bytes, place: tuple[int, int], size: int) -> int:
    at, length = place
    if length != size:
        raise _Malformed(f"{length} octets where {size} belong")
    return int.from_bytes(data[at : at + size], "big")


def _text(data: bytes, place: tuple[int, int]) -> str:
    at, length = place
    text = data[at : at + length].rstrip(b"\0").decode("utf-8", "replace")
    if not text:
        raise _Malformed("an empty name")
    return text


def _verdict(data: bytes, place: tuple[int, int]) -> tuple[int, str | None]:
    at, length = place
    nest = _attributes(data, at, at + length)
    if 1 not in nest or nest[1][1] != 4:
        raise _Malformed("a verdict without a code")
    code: int = _S32.unpack_from(data, nest[1][0])[0]
    if code > 0xFF:  # NF_QUEUE carries the queue's number, NF_DROP an errno, above the verdict
        code &= 0xFF
    return code, _text(data, nest[2]) if 2 in nest else None


def _headers(data: bytes, places: dict[int, tuple[int, int]]) -> Headers:
    def octets(number: int) -> bytes:
        at, length = places.get(number, (0, 0))
        return data[at : at + length]

    def value(number: int, size: int) -> int | None:
        return _unsigned(data, places[number], size) if number in places else None

    return Headers(
        value(_IIF, 4),
        value(_OIF, 4),
        octets(_LINK),
        octets(_NETWORK),
        octets(_TRANSPORT),
        value(_MARK, 4) or 0,
    )


class TraceSocket:
    """The trace events of one network namespace.

    ``netns`` is a namespace's file descriptor, None for the caller's own. The kernel creates events only
    while such a socket is open. Raises OSError if nfnetlink is unavailable.
    """

    def __init__(self, netns: int | None = None, decoder: Decoder | None = None) -> None:
        self._socket = open_socket(netns, socket.SOCK_NONBLOCK)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTRACE)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, WANTED_BUFFER)
        except PermissionError:  # rootless: the initial user namespace alone may exceed rmem_max
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WANTED_BUFFER)
        self.decoder = decoder or Decoder()
        self._batch = Batch()

    @property
    def capacity(self) -> int:
        """How many events the receive buffer holds before the kernel drops some."""
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // OCTETS_PER_EVENT

    def fileno(self) -> int:
        """For a poll: readable when events wait."""
        return self._socket.fileno()

    def drain(self, sink: Sink) -> int:
        """Tell ``sink`` of all that waits; how many events there were."""
        receive, read = self._batch.receive, self.decoder.read
        count = 0
        while True:
            try:
                bodies, numbers = receive(self._socket.fileno())
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                sink.fault(TraceFault("lost", "the receive buffer ran over (ENOBUFS)"))
                continue
            if not bodies:  # not sooner: the next call reports an overrun after the last message
                return count
            read(bodies, numbers, sink)
            count += len(bodies)

    def close(self) -> None:
        """Stop listening; idempotent."""
        self._socket.close()
