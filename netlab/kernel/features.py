"""Try kernel features in throw-away namespaces.

A child process enters new namespaces (in a new user namespace if it is not root), tries each feature there,
and reports; everything disappears with it. Rules use modules that the kernel loads on first use, as for any
``iptables`` call; br_netfilter is never loaded, because it would affect every bridge on the machine.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import select
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from netlab.kernel import libc, libraries
from netlab.kernel.machine import Finding, Status, check_limits, check_privileges, check_tools, find_tool
from netlab.kernel.netlink import conntrack
from netlab.kernel.trace.nftrace import Decoder
from netlab.model.family import Family
from netlab.model.trace import TraceFault

NETLINK_NETFILTER, SOL_NETLINK = 12, 270
NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTRACE = 1, 9
IPPROTO_SCTP = 132
SYS_OPEN_TREE, SYS_PIDFD_OPEN, SYS_MOUNT_SETATTR = 428, 434, 442  # the common table of linux/unistd.h

PATIENCE = 2.0
"""Seconds that an answer may take before it counts as missing."""
INTERRUPTED = 128 + signal.SIGINT
"""What a child ends with that was interrupted, as a shell says it."""


class Lacking(Exception):
    """A feature that did not work; the text says what was tried and what came back."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing to try. ``attempt`` returns what was seen, or raises :class:`Lacking` or OSError."""

    name: str
    use: str
    remedy: str
    attempt: Callable[[], str]
    needed: bool = True


def try_link(kind: str) -> str:
    """Create a link of that kind; raises Lacking if that fails."""
    with libraries.IPRoute() as kernel:
        try:
            kernel.link("add", ifname=f"nl{kind}"[:15], kind=kind)
        except libraries.NetlinkError as error:
            raise Lacking(f"a link of kind {kind} could not be made: {os.strerror(error.code)}") from error
    return "made"


def _run(tool: str, arguments: Sequence[str], text: str) -> None:
    path = find_tool(tool)
    if path is None:
        raise Lacking(f"{tool} is not there to try it with")
    result = subprocess.run(
        [path, *arguments], input=text, capture_output=True, text=True, timeout=10, check=False
    )
    if result.returncode:
        words = (result.stderr or result.stdout).strip().splitlines()
        raise Lacking(f"{tool} answered: {words[0] if words else f'exit code {result.returncode}'}")


def try_nft(ruleset: str) -> str:
    """Load a ruleset with nft, in one transaction."""
    _run("nft", ("-f", "-"), ruleset)
    return "loaded"


def chain(family: str, hook: str, *rules: str) -> str:
    """A table with one base chain, as nft reads it."""
    inside = "\n".join([f"type {hook};", *rules])
    return f"table {family} netlab_doctor {{\nchain {hook.split()[2]} {{\n{inside}\n}}\n}}\n"


def try_iptables(tool: str, table: str, rules: Sequence[str]) -> str:
    """Load rules with iptables-restore or ip6tables-restore."""
    _run(tool, ("--noflush",), "\n".join([f"*{table}", *rules, "COMMIT", ""]))
    return "loaded"


def loopback_up() -> str:
    """Bring the namespace's ``lo`` up."""
    with libraries.IPRoute() as kernel:
        try:
            kernel.link("set", index=socket.if_nametoindex("lo"), state="up")
        except libraries.NetlinkError as error:
            raise Lacking(f"lo could not be brought up: {os.strerror(error.code)}") from error
    return "up"


def _send_to_self(address: str = "127.0.0.1") -> None:
    family = Family.of(address).af
    with (
        socket.socket(family, socket.SOCK_DGRAM) as server,
        socket.socket(family, socket.SOCK_DGRAM) as client,
    ):
        server.settimeout(PATIENCE)
        server.bind((address, 0))
        client.sendto(b"netlab", server.getsockname())
        server.recv(16)


def try_trace() -> str:
    """Trace one datagram over loopback: the kernel must report its path (NFNLGRP_NFTRACE)."""
    rule = "meta l4proto udp meta nftrace set 1"
    try_nft(chain("ip", "filter hook output priority -500", rule))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as wire:
        wire.bind((0, 0))  # before joining: an unbound socket joins without an error but receives nothing
        wire.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTRACE)
        _send_to_self()
        messages: list[bytes] = []
        while select.select([wire], [], [], 0 if messages else PATIENCE)[0]:
            messages.append(wire.recv(65536))
    if not messages:
        raise Lacking("a traced datagram gave no event")
    return describe_trace(messages)


def describe_trace(messages: Sequence[bytes]) -> str:
    """What the decoder makes of trace messages; raises Lacking if this kernel's are not understood."""
    decoder = Decoder()
    for message in messages:
        answer = decoder.decode(message)
        if isinstance(answer, TraceFault):
            raise Lacking(f"a trace event of this kernel is not understood: {answer}")
    seen = f"{len(messages)} events for one datagram"
    if decoder.unknown:
        seen += f", with attributes that netlab ignores: {', '.join(map(str, sorted(decoder.unknown)))}"
    return seen


def try_conntrack() -> str:
    """A stateful rule, a datagram, and conntrack's table read over netlink (IPCTNL_MSG_CT_GET)."""
    try_nft(chain("ip", "filter hook input priority 0", "ct state new,established accept"))
    _send_to_self()
    try:
        found = conntrack.entries(None, Family.IPV4)
    except OSError as error:
        raise Lacking(f"conntrack's table could not be read: {error.strerror}") from error
    if not found:
        raise Lacking("a datagram under a stateful rule left no conntrack entry")
    return "tracks, and can be read"


def try_bridge_netfilter(sysctls: Path = Path("/proc/sys")) -> str:
    """Whether br_netfilter is loaded: its sysctls then exist in every namespace."""
    knob = sysctls / "net/bridge/bridge-nf-call-iptables"
    try:
        value = knob.read_text().strip()
    except FileNotFoundError:
        raise Lacking("br_netfilter is not loaded") from None
    return f"there, bridge-nf-call-iptables={value} in a new namespace"


def try_socket(family: int, kind: int, protocol: int = 0) -> str:
    """Open a socket of that sort."""
    socket.socket(family, kind, protocol).close()
    return "opens"


def try_ipv6() -> str:
    """A datagram to ``::1``."""
    _send_to_self("::1")
    return "works"


def try_system_calls() -> str:
    """Calls by which a process is shut in and watched: open_tree, mount_setattr (5.12), pidfd_open."""
    library = ctypes.CDLL(None, use_errno=True)
    for name, number in (
        ("open_tree", SYS_OPEN_TREE),
        ("mount_setattr", SYS_MOUNT_SETATTR),
        ("pidfd_open", SYS_PIDFD_OPEN),
    ):
        ctypes.set_errno(0)
        library.syscall(ctypes.c_long(number), -1, 0, -1, 0, 0)
        if ctypes.get_errno() == errno.ENOSYS:
            raise Lacking(f"the kernel has no {name}")
    return f"Linux {os.uname().release}"


def try_namespaces() -> str:
    """PID, mount and UTS namespaces, for the processes of a lab."""
    libc.unshare(libc.CLONE_NEWPID | libc.CLONE_NEWNS | libc.CLONE_NEWUTS)
    return "made"


_MODPROBE = "load it with modprobe {0}, or boot a kernel that has it"
_IPTABLES_NAT = (
    "-A POSTROUTING -s 192.0.2.0/24 ! -o lo -j MASQUERADE",
    "-A PREROUTING -m addrtype --dst-type LOCAL -p tcp -m tcp --dport 80 -j DNAT --to-destination {0}:80",
)

FEATURES = (
    Feature("bridge", "the engine's networks", _MODPROBE.format("bridge"), lambda: try_link("bridge")),
    Feature("veth", "containers and outside nodes", _MODPROBE.format("veth"), lambda: try_link("veth")),
    Feature(
        "nf_tables",
        "every rule",
        _MODPROBE.format("nf_tables"),
        lambda: try_nft(chain("inet", "filter hook forward priority 0", "accept")),
    ),
    Feature(
        "IPv4 nat, masquerade, addrtype",
        "published ports",
        _MODPROBE.format("-a nf_nat nft_compat xt_MASQUERADE xt_addrtype"),
        lambda: try_iptables("iptables-restore", "nat", [r.format("192.0.2.2") for r in _IPTABLES_NAT]),
    ),
    Feature(
        "IPv6 nat, masquerade, addrtype",
        "published ports of engines with ip6tables",
        _MODPROBE.format("-a nf_nat nft_compat xt_MASQUERADE xt_addrtype"),
        lambda: try_iptables(
            "ip6tables-restore",
            "nat",
            [r.format("[2001:db8::2]").replace("192.0.2.0/24", "2001:db8::/64") for r in _IPTABLES_NAT],
        ),
    ),
    Feature(
        "iptables conntrack match",
        "the engine's filter chains",
        _MODPROBE.format("xt_conntrack"),
        lambda: try_iptables(
            "iptables-restore",
            "filter",
            ["-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"],
        ),
    ),
    Feature(
        "native nat",
        "engines that write nftables rules themselves",
        _MODPROBE.format("-a nft_nat nft_masq nft_fib_inet"),
        lambda: try_nft(
            chain("ip", "nat hook postrouting priority 100", "ip saddr 192.0.2.0/24 masquerade")
            + chain(
                "ip",
                "nat hook prerouting priority -100",
                "fib daddr type local tcp dport 80 dnat to 192.0.2.2:80",
            )
        ),
    ),
    Feature(
        "conntrack", "showing address translation", _MODPROBE.format("nf_conntrack_netlink"), try_conntrack
    ),
    Feature(
        "trace events",
        "every path that netlab reports",
        "a kernel with CONFIG_NF_TABLES and its tracing",
        try_trace,
    ),
    Feature(
        "bridge-family rules",
        "frames that are switched, not routed",
        _MODPROBE.format("nf_tables_bridge"),
        lambda: try_nft(chain("bridge", "filter hook prerouting priority -300", "accept")),
        needed=False,
    ),
    Feature(
        "owner tables",
        "netlab trace --host, --netns: the table goes with netlab",
        "Linux 5.12 or later, nft 1.0.1 or later",
        # Accepted is enough: nft cannot keep the table beyond its own life, which is the point of it.
        lambda: try_nft("table inet netlab_owned { flags owner; }"),
        needed=False,
    ),
    Feature(
        "packet sockets",
        "probes",
        "a kernel with CONFIG_PACKET",
        lambda: try_socket(socket.AF_PACKET, socket.SOCK_RAW),
    ),
    Feature("IPv6", "every IPv6 flow", "boot without ipv6.disable=1", try_ipv6),
    Feature(
        "SCTP",
        "published ports of kind sctp",
        _MODPROBE.format("sctp"),
        lambda: try_socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_SCTP),
        needed=False,
    ),
    Feature(
        "br_netfilter",
        "iptables rules between containers of one bridge",
        "sudo modprobe br_netfilter (it makes iptables see the frames of every bridge of this machine)",
        try_bridge_netfilter,
        needed=False,
    ),
    Feature(
        "pidfd, mount_setattr",
        "cleaning up, and shutting programs in",
        "Linux 5.12 or later",
        try_system_calls,
    ),
    Feature(
        "PID and mount namespaces",
        "nothing outlives a lab",
        "a kernel with CONFIG_PID_NS and CONFIG_UTS_NS",
        try_namespaces,
    ),
)
"""In this order; the last leaves for other namespaces, so it stays last."""


def judge(feature: Feature) -> Finding:
    """Try one feature in its own network namespace, without the rules of other attempts."""
    try:
        libc.unshare(libc.CLONE_NEWNET)
        loopback_up()
        return Finding("kernel", feature.name, "ok", feature.attempt(), feature.use)
    except (Lacking, OSError) as error:
        status: Status = "missing" if feature.needed else "limited"
        return Finding("kernel", feature.name, status, _words(error), feature.use, feature.remedy)


def _words(error: Exception) -> str:
    return str((isinstance(error, OSError) and error.strerror) or error)


def enter_namespaces() -> None:
    """Enter a new mount namespace, within a new user namespace if not root."""
    if os.geteuid() == 0:
        libc.unshare(libc.CLONE_NEWNS)
    else:
        uid, gid = os.geteuid(), os.getegid()
        libc.unshare(libc.CLONE_NEWUSER | libc.CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def in_child(work: Callable[[], object]) -> object:
    """What ``work`` returns (JSON's types), run in a child process.

    Raises Lacking if the child died, KeyboardInterrupt if it was interrupted.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            with os.fdopen(writer, "w") as report:
                json.dump(work(), report)
            status = 0
        except KeyboardInterrupt:
            status = INTERRUPTED
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as report:
        text = report.read()
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) == INTERRUPTED:
        raise KeyboardInterrupt
    if status:
        raise Lacking(f"the child that tried it ended with status {os.waitstatus_to_exitcode(status)}")
    return json.loads(text)


def check_kernel(features: Sequence[Feature] = FEATURES) -> tuple[str | None, list[Finding]]:
    """Try every feature: (why no namespace could be made, or None; the findings)."""

    def work() -> object:
        try:
            enter_namespaces()
        except OSError as error:
            return {"error": str(error)}
        return {"error": None, "findings": [_as_list(judge(feature)) for feature in features]}

    answer = in_child(work)
    assert isinstance(answer, dict)
    if answer["error"] is not None:
        return answer["error"], []
    return None, [Finding(*values) for values in answer["findings"]]


def _as_list(finding: Finding) -> list[str]:
    return [finding.group, finding.name, finding.status, finding.found, finding.use, finding.remedy]


def examine() -> Iterator[Finding]:
    """Everything, in the order of the report: privileges, tools, kernel, limits."""
    error, findings = check_kernel()
    yield check_privileges(error)
    yield from check_tools()
    yield from findings
    yield from check_limits()
