"""Why a socket failed: an ICMP error, a reset, or this machine.

``ECONNREFUSED`` means a RST as well as an ICMP port unreachable; with IP_RECVERR the kernel keeps the
difference in the socket's error queue (``struct sock_extended_err``, include/uapi/linux/errqueue.h).
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from struct import Struct
from typing import Final

from netlab.model.family import Family
from netlab.model.journey import Icmp

_SOL_IP, _IP_RECVERR = 0, 11
_SOL_IPV6, _IPV6_RECVERR = 41, 25
_MSG_ERRQUEUE: Final = 0x2000
_EXTENDED = Struct("=IBBBxII")
_LOCAL, _ICMP, _ICMP6 = 1, 2, 3


@dataclass(frozen=True, slots=True)
class QueuedError:
    """One entry of the queue: an errno, and the ICMP error that caused it, if one did."""

    errno: int
    icmp: Icmp | None


def enable(sock: socket.socket, family: Family) -> None:
    """Enable the error queue; dual-stack addresses do not matter here."""
    if family is Family.IPV4:
        sock.setsockopt(_SOL_IP, _IP_RECVERR, 1)
    else:
        sock.setsockopt(_SOL_IPV6, _IPV6_RECVERR, 1)


def read(sock: socket.socket) -> QueuedError | None:
    """The oldest entry, taken out; None if the queue is empty."""
    try:
        _, ancillary, _, _ = sock.recvmsg(1024, 512, _MSG_ERRQUEUE)
    except OSError:
        return None
    for level, kind, data in ancillary:
        if (level, kind) not in ((_SOL_IP, _IP_RECVERR), (_SOL_IPV6, _IPV6_RECVERR)):
            continue
        number, origin, icmp_type, code, _, _ = _EXTENDED.unpack_from(data)
        if origin not in (_ICMP, _ICMP6):
            return QueuedError(number, None)
        return QueuedError(number, Icmp(icmp_type, code, _offender(data[_EXTENDED.size :], origin)))
    return None


def _offender(data: bytes, origin: int) -> str:
    if origin == _ICMP:
        return socket.inet_ntop(socket.AF_INET, data[4:8])
    return socket.inet_ntop(socket.AF_INET6, data[8:24])
