"""Listening sockets with the options that Go's ``net`` package gives to docker-proxy's.

Sources: Go's ``net/sock_linux.go``, ``net/sockopt_linux.go`` and ``net/tcpsock_posix.go`` (SO_REUSEADDR on
stream listeners only, SO_BROADCAST on datagram sockets, IPV6_V6ONLY set explicitly, TCP_NODELAY and a 15 s
keep-alive on accepted connections), and moby's ``cmd/docker-proxy/main_linux.go`` (IP_PKTINFO since 28).
"""

from __future__ import annotations

import _socket

from netlab.proxy.spec import Spec

#: Keep-alive of accepted connections, seconds (Go's defaultTCPKeepAlive).
KEEPALIVE = 15

IPPROTO_SCTP = 132
SOL_TCP = _socket.IPPROTO_TCP
IP_PKTINFO = 8  # linux/in.h; the socket module has no name for it before Python 3.14
SockAddr = tuple[str, int] | tuple[str, int, int, int]


def family_of(address: str) -> int:
    """AF_INET or AF_INET6."""
    return _socket.AF_INET6 if ":" in address else _socket.AF_INET


def sockaddr(address: str, port: int) -> SockAddr:
    """What bind() and connect() take; an IPv6 address may name its interface (``fe80::1%eth0``)."""
    if ":" not in address:
        return address, port
    bare, _, zone = address.partition("%")
    index = 0 if not zone else int(zone) if zone.isdigit() else _socket.if_nametoindex(zone)
    return bare, port, 0, index


def shown(address: SockAddr) -> str:
    """An address and a port as people write them."""
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


def words(error: OSError) -> str:
    """The error in Go's words, which begin with a small letter."""
    text = str(error.strerror)
    return text[:1].lower() + text[1:]


def plain(address: str) -> str:
    """An address as packets carry it: IPv4 clients of a dual-stack socket lose their ``::ffff:``."""
    return address[7:] if address.startswith("::ffff:") and "." in address else address


def listen(spec: Spec) -> _socket.socket:
    """A bound (and, unless UDP, listening) non-blocking socket; raises OSError as the kernel does."""
    dual = spec.v6only is False
    address = "::" if dual and spec.address in ("0.0.0.0", "") else spec.address
    family = family_of(address)
    kind = _socket.SOCK_DGRAM if spec.protocol == "udp" else _socket.SOCK_STREAM
    protocol = IPPROTO_SCTP if spec.protocol == "sctp" else 0
    sock = _socket.socket(family, kind | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC, protocol)
    try:
        if family == _socket.AF_INET6:
            sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, not dual)
        if kind == _socket.SOCK_DGRAM:
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_BROADCAST, 1)
        else:
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        sock.bind(sockaddr(address, spec.port))
        adopt(sock, spec)
        if kind == _socket.SOCK_STREAM:
            sock.listen(spec.backlog)
    except OSError:
        sock.close()
        raise
    return sock


def adopt(sock: _socket.socket, spec: Spec) -> None:
    """Set the options that accepted connections inherit, or that replies to datagrams need."""
    if spec.backend is None:
        return
    if spec.protocol == "tcp":
        sock.setsockopt(SOL_TCP, _socket.TCP_NODELAY, 1)
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, 1)
        sock.setsockopt(SOL_TCP, _socket.TCP_KEEPIDLE, KEEPALIVE)
        sock.setsockopt(SOL_TCP, _socket.TCP_KEEPINTVL, KEEPALIVE)
    elif spec.protocol == "udp" and spec.passed:
        pktinfo(sock)


def pktinfo(sock: _socket.socket) -> None:
    """Make each datagram carry its destination address (ip(7) IP_PKTINFO, RFC 3542 IPV6_RECVPKTINFO)."""
    if sock.family == _socket.AF_INET6:
        sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(_socket.IPPROTO_IP, IP_PKTINFO, 1)
