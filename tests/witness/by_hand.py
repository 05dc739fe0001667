"""Flows that a program does not ask with ``connect`` alone: ping, another next hop, a forged source.

* **icmp**: a raw socket that sends one echo request, as ping does.
* **via**: a route of its own, which only sockets with a mark take.
* **from**: a socket bound to an address that the node does not have (IP_TRANSPARENT).
"""

from __future__ import annotations

import ipaddress
import itertools
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import netlab
from netlab.kernel import netns
from netlab.measure.probes import patience
from netlab.model.flow import Flow
from witness.plain import Asking, PlainAnswer, wait_for
from witness.rules import CommandFailed, run

#: the mark of sockets that send through another node, and the table with its route
MARK = 0x4D71
_TABLE = "19825"
_SO_IPV6_TRANSPARENT = 75
#: (request, reply), by version
_ECHO = {4: (8, 0), 6: (128, 129)}
_ERRORS = {4: (3, 11, 12), 6: (1, 2, 3, 4)}
_NUMBERS = itertools.count(os.getpid() & 0x7FFF)


def is_by_hand(flow: Flow) -> bool:
    """Whether ordinary sockets ask a flow only with one of these."""
    return flow.protocol == "icmp" or flow.via is not None or flow.source is not None


def prepare(sock: socket.socket, flow: Flow) -> None:
    """Have a socket send through another node, or from a forged address; raises OSError."""
    if flow.via is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
    if flow.source is not None:
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, _SO_IPV6_TRANSPARENT, 1)
        else:
            sock.setsockopt(socket.SOL_IP, getattr(socket, "IP_TRANSPARENT", 19), 1)
        sock.bind((flow.source, 0))


@contextmanager
def routed(lab: netlab.Lab, flows: list[Flow]) -> Iterator[None]:
    """Routes through the next hops that the flows name, for marked sockets; at most one for each node."""
    made: list[tuple[int, list[str]]] = []
    try:
        for origin, version, hop, link in dict.fromkeys(_hops(lab, flows)):
            place = lab.namespaces[lab.plan.node(origin).namespace]
            # A redirect of the next hop's would have the kernel send past it.
            for where in ("all", link):
                key = f"net.ipv{version}.conf.{where}.accept_redirects"
                run(place, ["sysctl", "-qw", f"{key}=0"])
                made.append((place, ["sysctl", "-qw", f"{key}=1"]))
            tool = ["ip", f"-{version}"]
            rule = ["rule", "add", "fwmark", str(MARK), "lookup", _TABLE, "prio", "5"]
            for words in (rule, ["route", "add", "default", "via", hop, "dev", link, "table", _TABLE]):
                run(place, [*tool, *words])
                made.append((place, [*tool, *("del" if word == "add" else word for word in words)]))
        yield
    finally:
        for place, words in reversed(made):
            with suppress(CommandFailed):
                run(place, words)


def _hops(lab: netlab.Lab, flows: list[Flow]) -> Iterator[tuple[str, int, str, str]]:
    """(origin, IP version, address of the next hop, the origin's interface towards it)."""
    for flow in flows:
        if flow.via is None:
            continue
        theirs = [
            ipaddress.ip_interface(address).ip
            for interface in lab.plan.node(flow.via).interfaces
            for address in interface.addresses
        ]
        home = lab.plan.node(lab.plan.node(flow.origin).namespace)
        for interface in home.interfaces:
            for address in map(ipaddress.ip_interface, interface.addresses):
                found = [one for one in theirs if one in address.network and one.version == flow.family]
                if found and not address.is_loopback:
                    yield flow.origin, address.version, str(found[0]), interface.name
                    break


class Pinging(Asking):
    """One echo request, sent by a raw socket as ping does."""

    def __init__(self, namespace: int, flow: Flow, *, patiently: bool = False) -> None:
        self.found = None
        self._flow = flow
        self._version = int(flow.family)
        self._patience = patience() * (3 if patiently else 1)
        self._began = time.monotonic()
        self._data = b""
        self._connected = False
        self._id = next(_NUMBERS) & 0xFFFF
        v6 = self._version == 6
        with netns.entered(namespace):
            self.sock = socket.socket(
                socket.AF_INET6 if v6 else socket.AF_INET,
                socket.SOCK_RAW | socket.SOCK_NONBLOCK,
                socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP,
            )
            prepare(self.sock, flow)
            body = struct.pack("!BBHHH", _ECHO[self._version][0], 0, 0, self._id, 1) + b"witness"
            if not v6:  # the kernel fills in ICMPv6's
                body = body[:2] + struct.pack("!H", _checksum(body)) + body[4:]
            try:
                self.sock.sendto(body, (flow.address, 0))
            except OSError as error:
                self._failed(error)

    def look(self) -> PlainAnswer | None:
        """Take in what has come; the answer once there is one."""
        while self.found is None:
            try:
                packet = self.sock.recv(65536)
            except BlockingIOError:
                return self._late()
            except OSError as error:
                self._failed(error)
                break
            start = (packet[0] & 15) * 4 if self._version == 4 else 0
            self._take(packet[start:])
        return self.found

    def _take(self, icmp: bytes) -> None:
        if len(icmp) < 8:
            return
        if icmp[0] == _ECHO[self._version][1] and icmp[4:6] == self._id.to_bytes(2, "big"):
            self.found = PlainAnswer("ok")
        elif icmp[0] in _ERRORS[self._version]:
            quoted = icmp[8:]
            start = (quoted[0] & 15) * 4 if self._version == 4 else 40
            inner = quoted[start : start + 8]
            if (
                len(inner) == 8
                and inner[4:6] == self._id.to_bytes(2, "big")
                and inner[0] == _ECHO[self._version][0]
            ):
                self.found = PlainAnswer("unreachable", error=f"type {icmp[0]} code {icmp[1]}")


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def asking(namespaces: Mapping[str, int], flow: Flow, *, patiently: bool = False) -> Asking:
    """Ask one flow by ordinary sockets."""
    place = namespaces[flow.origin]
    if flow.protocol == "icmp":
        return Pinging(place, flow, patiently=patiently)
    ready = prepare if is_by_hand(flow) else None
    return Asking(place, flow, patiently=patiently, prepare=ready)


def ask(
    namespaces: Mapping[str, int], flows: Sequence[Flow], *, patiently: bool = False
) -> list[PlainAnswer]:
    """Every flow at the same time; ``namespaces``: origin → descriptor."""
    return wait_for([asking(namespaces, flow, patiently=patiently) for flow in flows])


def unlike_sockets(flow: Flow, nodes: set[str]) -> bool:
    """Whether a socket cannot tell what netlab tells; ``nodes``: those that have rules of the witness.

    The sender of a forged source gets no answer, so netlab says what the answer was. A frame to another
    node's MAC passes no hook of its sender.
    """
    return flow.source is not None or (flow.via is not None and flow.origin in nodes)
