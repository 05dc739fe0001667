"""List the listening sockets of a network namespace with pyroute2."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Final, NamedTuple

from pyroute2 import DiagSocket, NetlinkError
from pyroute2.netlink.diag import SOCK_DIAG_BY_FAMILY, inet_diag_msg
from pyroute2.netlink.nlsocket import Marshal

from netlab.model.family import FAMILIES

#: Protocol → (number, the states to list: TCP_LISTEN; for UDP TCP_CLOSE, a bound socket without a peer)
_PROTOCOLS: Final = {"tcp": (6, 1 << 10), "udp": (17, 1 << 7), "sctp": (132, 1 << 10)}


class ListeningSocket(NamedTuple):
    """One socket: on which address and port it waits, and its inode."""

    protocol: str
    address: str
    port: int
    inode: int


class _ByMessageType(Marshal):  # type: ignore[misc]
    """Decodes by the type of a message, so that an error is one.

    pyroute2's own (0.9.7) decodes by the family that the payload begins with, and has errors switched off: a
    dump that the kernel refuses reads as one of no sockets.
    """

    msg_map = {SOCK_DIAG_BY_FAMILY: inet_diag_msg}  # noqa: RUF012


def listening() -> Iterator[ListeningSocket]:
    """Every listening socket in the calling thread's network namespace; raises OSError.

    A protocol that this kernel lacks, or cannot list, has none.
    """
    with DiagSocket() as diag:
        diag.set_marshal(_ByMessageType())
        diag.bind()
        for protocol, (number, states) in _PROTOCOLS.items():
            for family in FAMILIES:
                try:
                    found = diag.get_sock_stats(family.af, states, number)
                except NetlinkError as error:
                    if error.code in (errno.ENOENT, errno.EOPNOTSUPP):
                        continue
                    words = f"listing {protocol} sockets: {os.strerror(error.code)}"
                    raise OSError(error.code, words) from error
                for one in found:
                    yield ListeningSocket(protocol, one["idiag_src"], one["idiag_sport"], one["idiag_inode"])
