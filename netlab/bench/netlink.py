"""Netlink messages packed by hand beside pyroute2: why bring-up and measuring do without the library."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

from pyroute2 import DiagSocket, IPRoute
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from netlab.bench.frame import Effort, Result, faster, interleaved, timed
from netlab.kernel import netns
from netlab.kernel.netlink import dump, message, sockdiag
from netlab.kernel.netlink.socket import RouteSocket
from netlab.model.family import FAMILIES

MESSAGES = 200
OURS = "from netlab.kernel.netlink import message"


def pack_by_hand() -> list[message.Message]:
    """The messages of as many veth pairs."""
    near, far = message.LinkEnd("veth0", 7, "02:42:00:00:00:01", 1500), message.LinkEnd("eth0", 2, None, 1500)
    return [message.veth(near, far, 9, master=4) for _ in range(MESSAGES)]


def pack_with_library() -> list[bytes]:
    """The same messages, encoded by pyroute2."""
    found = []
    for _ in range(MESSAGES):
        peer = {"attrs": [("IFLA_IFNAME", "eth0"), ("IFLA_MTU", 1500), ("IFLA_NET_NS_FD", 9)], "index": 2}
        info = [("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", {"attrs": [("VETH_INFO_PEER", peer)]})]
        one = ifinfmsg()
        one.update(index=7, flags=1, change=1)
        one["attrs"] = [
            ("IFLA_IFNAME", "veth0"),
            ("IFLA_ADDRESS", "02:42:00:00:00:01"),
            ("IFLA_MTU", 1500),
            ("IFLA_MASTER", 4),
            ("IFLA_LINKINFO", {"attrs": info}),
        ]
        one.encode()
        found.append(bytes(one.data))
    return found


def links_by_hand() -> list[dump.Link]:
    """The links of the calling thread's namespace."""
    with RouteSocket() as sock:
        return dump.links(sock)


def links_with_library() -> list[object]:
    """The same, by pyroute2."""
    with IPRoute() as kernel:
        return list(kernel.get_links())


def ports_with_library() -> set[int]:
    """The TCP ports that listen there, by pyroute2."""
    with DiagSocket() as diag:
        diag.bind()
        return {one["idiag_sport"] for f in FAMILIES for one in diag.get_sock_stats(f.af, 1 << 10)}


def run(effort: Effort) -> Iterator[Result]:
    """Packing, a dump of links, a list of listening sockets, and the library's import."""
    pairs = (
        (f"packing {MESSAGES} veth pairs", pack_by_hand, pack_with_library),
        ("a dump of a namespace's links", links_by_hand, links_with_library),
        (
            "the ports that listen in a namespace",
            lambda: sockdiag.listening_ports(None),
            ports_with_library,
        ),
    )
    namespace = netns.create()
    try:
        with netns.entered(namespace):
            for name, ours, theirs in pairs:
                yield interleaved(effort, timed(ours), timed(theirs)).result(name, "pyroute2", faster(5))
    finally:
        os.close(namespace)
    start = [sys.executable, "-I", "-c"]
    bare = timed(lambda: subprocess.run([*start, OURS], check=True))
    library = timed(lambda: subprocess.run([*start, "import pyroute2"], check=True))
    yield interleaved(effort, bare, library).result(
        "a process that has netlink", "import pyroute2", faster(2)
    )
