"""A namespace as if nobody had asked anything: no connections, and none that conntrack remembers.

A kernel sends again what a rule dropped, long after the flow: that would count as the next one's. Packed by
hand, because it happens several times for each set of rules, in every node.
"""

from __future__ import annotations

import contextlib
import socket
from struct import Struct
from typing import Final

from netlab.kernel import netns as namespaces
from netlab.kernel.netlink.nf_tables import messages, open_socket
from netlab.kernel.netlink.sockdiag import request
from netlab.model.family import FAMILIES

_SOCK_DIAG: Final = 4
_SOCK_DESTROY: Final = 21
_CT_DELETE: Final = 1 << 8 | 2  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE: without a tuple all entries
_REQUEST_ACK: Final = 5
_NLMSG = Struct("=IHHII")
_EVERY_STATE_BUT_LISTEN: Final = 0xFFF & ~(1 << 10) | 1 << 12
#: struct inet_diag_req_v2 before its id, and where struct inet_diag_msg has it
_DESTROY = Struct("=BBBxI")
_ID: Final = slice(4, 52)


def hush(netns: int) -> None:
    """End every TCP connection of a namespace without a word, and forget all that conntrack knows."""
    with namespaces.entered(netns):
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG)
    with sock:
        for family in FAMILIES:
            sock.send(request(family.af, _EVERY_STATE_BUT_LISTEN))
            for found in list(messages(sock)):
                body = _DESTROY.pack(family.af, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + found[_ID]
                sock.send(_NLMSG.pack(16 + len(body), _SOCK_DESTROY, _REQUEST_ACK, 0, 0) + body)
                with contextlib.suppress(OSError):  # gone meanwhile, or in a state that ends by itself
                    list(messages(sock))
    with open_socket(netns) as conntrack:
        conntrack.send(_NLMSG.pack(20, _CT_DELETE, _REQUEST_ACK, 0, 0) + bytes(4))
        list(messages(conntrack))
