"""Receive many trace messages with one system call.

recvmmsg(2) uses four buffers per message: the octets before the ID, the ID, the octets after it, and the rest
of a long message. The first and the third are adjacent, so the messages of all packets at one rule consist of
the same octets and can be looked up directly; the IDs of all messages are in one array. A message rarely has
more than 250 octets: one buffer for the longest message would mean four times as much to copy.
"""

from __future__ import annotations

import ctypes
import errno
import os
from struct import Struct
from typing import Any, Final

#: Where a trace message has its ID: after the headers of netlink and nfnetlink, nfproto, type, and the ID's
#: attribute header.
ID_AT: Final = 40
ID_SIZE: Final = 4
#: Messages received by one call.
COUNT: Final = 256
#: Room for a message without its id: four names of up to 256 octets are 1020 with all the rest.
SIZE: Final = 1148
#: So much of it lies in one piece.
USUAL: Final = 320
_PIECES: Final = 4
MSG_DONTWAIT: Final = 0x40
MSG_TRUNC: Final = 0x20


class _Vector(ctypes.Structure):  # struct iovec
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Message(ctypes.Structure):  # struct msghdr
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Header(ctypes.Structure):  # struct mmsghdr
    _fields_ = (("message", _Message), ("length", ctypes.c_uint))


class Batch:
    """Room for the messages of one call."""

    def __init__(self) -> None:
        self._room = bytearray(COUNT * USUAL)
        self._rest = bytearray(COUNT * (SIZE - USUAL))
        self._numbers = bytearray(COUNT * ID_SIZE)
        self._headers: Any = (_Header * COUNT)()
        room, rest, numbers = (
            ctypes.addressof(ctypes.c_char.from_buffer(some))
            for some in (self._room, self._rest, self._numbers)
        )
        self._vectors: Any = (_Vector * (_PIECES * COUNT))()
        for at in range(COUNT):
            slot = room + at * USUAL
            self._vectors[_PIECES * at : _PIECES * (at + 1)] = [
                _Vector(slot, ID_AT),
                _Vector(numbers + at * ID_SIZE, ID_SIZE),
                _Vector(slot + ID_AT, USUAL - ID_AT),
                _Vector(rest + at * (SIZE - USUAL), SIZE - USUAL),
            ]
            header = self._headers[at].message
            header.vectors = ctypes.addressof(self._vectors) + _PIECES * at * ctypes.sizeof(_Vector)
            header.vector_count = _PIECES
        self._view = memoryview(self._room)
        words = memoryview(self._headers).cast("B").cast("I")
        size = ctypes.sizeof(_Header) // 4
        self._lengths = words[_Header.length.offset // 4 :: size]
        self._flags = words[_Message.flags.offset // 4 :: size]
        self._receive = ctypes.CDLL(None, use_errno=True).recvmmsg

    def receive(self, fd: int) -> tuple[list[bytes], tuple[int, ...]]:
        """The waiting messages, at most :data:`COUNT`: messages without their IDs, and the IDs.

        A message that does not fit is empty. Raises OSError, for example ENOBUFS if the kernel has dropped
        messages. If both are empty, nothing waits.
        """
        count: int = self._receive(fd, self._headers, COUNT, MSG_DONTWAIT, None)
        if count < 0:
            number = ctypes.get_errno()
            if number == errno.EAGAIN:
                return [], ()
            raise OSError(number, os.strerror(number))
        octets = bytes(self._view[: count * USUAL])
        lengths = self._lengths[:count].tolist()
        bodies = [
            octets[at : at + length - ID_SIZE]
            for at, length in zip(range(0, count * USUAL, USUAL), lengths, strict=True)
        ]
        if count and (max(lengths) > USUAL or any(self._flags[:count].tolist())):
            self._mend(bodies, lengths)
        return bodies, _numbers(count).unpack_from(self._numbers)

    def _mend(self, bodies: list[bytes], lengths: list[int]) -> None:
        """Join the parts of long messages, and remove incomplete ones."""
        for at, length in enumerate(lengths):
            over = length - ID_SIZE - USUAL
            if self._flags[at] & MSG_TRUNC:
                bodies[at] = b""
            elif over > 0:
                start = at * (SIZE - USUAL)
                bodies[at] = bytes(
                    self._room[at * USUAL : (at + 1) * USUAL] + self._rest[start : start + over]
                )


def _numbers(count: int) -> Struct:
    known = _STRUCTS.get(count)
    if known is None:
        known = _STRUCTS[count] = Struct(f">{count}I")
    return known


_STRUCTS: dict[int, Struct] = {}
