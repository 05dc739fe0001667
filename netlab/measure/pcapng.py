"""Packets as a pcapng file (draft-ietf-opsawg-pcapng): named interfaces, nanoseconds, comments.

Blocks are returned as octets; who writes them writes whole blocks, so that a file is good at any moment.
"""

from __future__ import annotations

import struct
from typing import Final

from netlab.model.shown import shown

ETHERNET: Final = 1  #: LINKTYPE_ETHERNET
RAW_IP: Final = 101  #: LINKTYPE_RAW: begins with the IPv4 or IPv6 header
_SECTION, _INTERFACE, _ENHANCED = 0x0A0D0D0A, 1, 6
_BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
_UNKNOWN_LENGTH: Final = 0xFFFFFFFFFFFFFFFF
_OPT_END, _OPT_COMMENT, _IF_NAME, _IF_TSRESOL, _SHB_USERAPPL, _EPB_FLAGS = 0, 1, 2, 9, 4, 2
INBOUND, OUTBOUND = 1, 2  #: the direction bits of epb_flags


def section(application: str = "netlab") -> bytes:
    """The section header block that a file begins with."""
    body = struct.pack("<IHHQ", _BYTE_ORDER_MAGIC, 1, 0, _UNKNOWN_LENGTH)
    return _block(_SECTION, body + _options((_SHB_USERAPPL, application.encode())))


def interface(name: str, link_type: int = ETHERNET, snap_length: int = 0) -> bytes:
    """An interface description block; interfaces are numbered from 0 in the order of their blocks."""
    body = struct.pack("<HHI", link_type, 0, snap_length)
    return _block(_INTERFACE, body + _options((_IF_NAME, shown(name).encode()), (_IF_TSRESOL, b"\x09")))


def packet(
    number: int,
    when: int,
    octets: bytes,
    *,
    length: int | None = None,
    direction: int = 0,
    comments: tuple[str, ...] = (),
) -> bytes:
    """An enhanced packet block.

    ``number`` of the interface, ``when`` in ns since the epoch; ``length`` is what it had on the wire, if the
    octets are only its beginning; ``direction`` is INBOUND, OUTBOUND or 0 for unknown.
    """
    head = struct.pack("<IIIII", number, when >> 32, when & 0xFFFFFFFF, len(octets), length or len(octets))
    options = [(_OPT_COMMENT, shown(comment).encode()) for comment in comments]
    if direction:
        options.insert(0, (_EPB_FLAGS, struct.pack("<I", direction)))
    return _block(_ENHANCED, head + _padded(octets) + _options(*options))


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)


def _options(*options: tuple[int, bytes]) -> bytes:
    if not options:
        return b""
    parts = [struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options]
    return b"".join(parts) + struct.pack("<HH", _OPT_END, 0)
