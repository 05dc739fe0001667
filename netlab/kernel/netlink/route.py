"""Ask the routing table about a packet (RTM_GETROUTE, like ``ip route get``)."""

from __future__ import annotations

import os
import socket
import sys
from struct import Struct
from typing import Final

from netlab.kernel import netns as namespaces
from netlab.kernel.netlink import message as m
from netlab.kernel.netlink.message import attributes
from netlab.kernel.netlink.socket import NetlinkError, RouteSocket
from netlab.model.family import Family

_RTMSG = Struct("=BBBBBBBBI")
_RTA_DST, _RTA_SRC, _RTA_IIF, _RTA_OIF, _RTA_GATEWAY, _RTA_MARK = 1, 2, 3, 4, 5, 16
_RTA_IP_PROTO, _RTA_SPORT, _RTA_DPORT = 27, 28, 29
#: protocols that the kernel accepts in such a query (rtm_getroute_parse_ip_proto): TCP, UDP, ICMP, ICMPv6
_ASKED: Final = (6, 17, 1, 58)
#: enum of include/uapi/linux/rtnetlink.h, RTN_*
_TYPES: Final = {
    1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast",
    6: "blackhole", 7: "unreachable", 8: "prohibit",
}  # fmt: skip


def lookup(
    netns: int | None,
    src: str,
    dst: str,
    iif: tuple[int, str] | None,
    *,
    mark: int = 0,
    protocol: int = 0,
    ports: tuple[int, int] | None = None,
) -> str:
    """The answer for a packet that came in by ``iif`` (index, name), or that the namespace sends itself.

    In words: ``ip route get 127.0.0.1 from 198.51.100.3 iif ext0: Invalid cross-device link``, or the
    type of the route with its interface and next hop. Mark, protocol and ports count for policy rules.
    """
    family = Family.of(dst)
    question = f"ip route get {dst} from {src}" + (f" iif {iif[1]}" if iif else "")
    if mark:
        question += f" mark {mark:#x}"
    body = _RTMSG.pack(family.af, family.bits, family.bits, 0, 0, 0, 0, 0, 0)
    body += m.attribute(_RTA_DST, socket.inet_pton(family.af, dst))
    body += m.attribute(_RTA_SRC, socket.inet_pton(family.af, src))
    if iif is not None:
        body += m.attribute(_RTA_IIF, iif[0].to_bytes(4, sys.byteorder))
    if mark:
        body += m.attribute(_RTA_MARK, mark.to_bytes(4, sys.byteorder))
    if protocol in _ASKED:
        body += m.attribute(_RTA_IP_PROTO, bytes((protocol,)))
    if ports is not None and protocol in _ASKED[:2]:
        body += m.attribute(_RTA_SPORT, ports[0].to_bytes(2, "big"))
        body += m.attribute(_RTA_DPORT, ports[1].to_bytes(2, "big"))
    with namespaces.inside(netns):
        sock = RouteSocket()
        with sock:
            try:
                answer = sock.ask([m.Message(m.RTM_GETROUTE, 0, body, question)])[0]
            except NetlinkError as error:
                return f"{question}: {os.strerror(error.errno or 0)}"
            values = attributes(answer, _RTMSG.size)
            words = [_TYPES.get(answer[7], f"type {answer[7]}")]
            if _RTA_GATEWAY in values:
                words.append(f"via {socket.inet_ntop(family.af, values[_RTA_GATEWAY])}")
            if _RTA_OIF in values:
                words.append(f"dev {socket.if_indextoname(int.from_bytes(values[_RTA_OIF], sys.byteorder))}")
    return f"{question}: {' '.join(words)}"
