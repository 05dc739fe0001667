"""A cell and the network around its host, in the words of a scenario.

::

    client ────┐            ┌─── host (the cell's own namespace) ───
               ├── ext ─────┤ ext0                       bridges …
 neighbour ────┘            └────────────────────────────────────────

Everything but the host is a namespace that ``ip netns`` named inside the cell. Nothing of it is visible on,
or outlives, the cell.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from netlab.model.family import FAMILIES, Family, bare
from netlab.model.scenario import Host, Scenario

CELL = Path(__file__).with_name("cell.py")
#: A fresh kernel's values. A new namespace copies IPv4's from the machine's own (devconf_inherit_init_net=0).
FRESH_IPV4 = {
    "accept_redirects": "1",
    "arp_filter": "0",
    "arp_ignore": "0",
    "forwarding": "0",
    "log_martians": "0",
    "proxy_arp": "0",
    "route_localnet": "0",
    "rp_filter": "0",
    "secure_redirects": "1",
    "send_redirects": "1",
    "src_valid_mark": "0",
}
#: For flows: errors would otherwise be lost to the rate limit, and a packet's fate with them.
UNLIMITED = {"net.ipv4.icmp_ratelimit": "0", "net.ipv6.icmp.ratelimit": "0"}


class CommandError(Exception):
    """A command in a world failed; the text holds its words."""


def sysctl_path(key: str) -> str:
    """``net.ipv4.conf.eth0/1.forwarding`` -> the path below /proc/sys, as sysctl(8) reads it."""
    return key.translate(str.maketrans("./", "/."))


class World:
    """A cell that runs; ``pid`` is its init's, as the machine sees it."""

    def __init__(self, lower: str = "/") -> None:
        self._begun: list[subprocess.Popen[str]] = []
        self._unshare = subprocess.Popen(
            [
                *("unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child"),
                *(sys.executable, "-I", "-S", str(CELL), lower),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._unshare.stdout
        assert self._unshare.stderr
        said = [self._unshare.stdout.readline().strip() for _ in range(2)]
        if said[1] != "ready":
            words = self._unshare.stderr.read()
            self.close()
            raise CommandError(f"the cell did not start: {words.strip()}")
        self.pid = int(said[0])
        self.run(["hostname", "host"])
        self.sysctls(
            {f"net.ipv4.conf.{who}.{k}": v for k, v in FRESH_IPV4.items() for who in ("all", "default")}
        )

    @property
    def root(self) -> Path:
        """The cell's root directory, seen from the machine."""
        return Path(f"/proc/{self.pid}/root")

    def namespace(self, node: str = "") -> str:
        """The path by which the machine opens the network namespace of a node outside, or of the host."""
        return f"{self.root}/run/netns/{node}" if node else f"/proc/{self.pid}/ns/net"

    def argv(self, argv: Sequence[str], node: str = "") -> list[str]:
        """The command that runs ``argv`` in the cell (and in that node's namespace)."""
        net = self.namespace(node)
        return [
            "nsenter",
            f"--target={self.pid}",
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            f"--net={net}",
            *argv,
        ]

    def run(self, argv: Sequence[str], node: str = "", stdin: str = "", *, check: bool = True) -> str:
        """Run a command to its end and return its output; CommandError if it failed."""
        done = subprocess.run(
            self.argv(argv, node), input=stdin, capture_output=True, text=True, check=False, timeout=60
        )
        if check and done.returncode:
            raise CommandError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def begin(self, argv: Sequence[str]) -> str:
        """Start a program of the machine's that ends with the cell; returns its first line."""
        process = subprocess.Popen(
            ["nsenter", f"--target={self.pid}", "--pid", *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._begun.append(process)
        assert process.stdout
        return process.stdout.readline()

    def ip(self, lines: Sequence[str], node: str = "") -> None:
        """Lines of ``ip -batch``."""
        self.run(["ip", "-batch", "-"], node, "".join(line + "\n" for line in lines))

    def sysctls(self, values: Mapping[str, str], node: str = "") -> None:
        """Write sysctls of one namespace."""
        for key, value in values.items():
            self.run(["tee", f"/proc/sys/{sysctl_path(key)}"], node, value)

    def has(self, key: str) -> bool:
        """Whether the host's namespace knows this sysctl yet."""
        return bool(self.run(["find", f"/proc/sys/{sysctl_path(key)}", "-maxdepth", "0"], check=False))

    def close(self) -> None:
        """End the cell and wait until the kernel has taken its processes."""
        assert self._unshare.stdin
        self._unshare.stdin.close()
        self._unshare.wait(timeout=60)
        for process in self._begun:
            process.wait(timeout=60)
        for stream in (self._unshare.stdout, self._unshare.stderr, *(p.stdout for p in self._begun)):
            if stream:
                stream.close()

    def __enter__(self) -> World:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def lay_out(world: World, scenario: Scenario, host: Host) -> None:
    """Make what stands before the engine starts: segments, nodes outside, the host's links and settings."""
    early = {key: value for key, value in host.sysctls.items() if world.has(key)}
    # as at boot: what goes for all links is set before there are any
    world.sysctls(early)
    world.ip(["link set lo up"])
    segments = sorted({i.segment for i in host.interfaces})
    for segment in segments:
        name = f"seg-{segment}"
        world.run(["ip", "netns", "add", name])
        world.sysctls({f"net.ipv6.conf.{who}.disable_ipv6": "1" for who in ("all", "default")}, name)
        world.ip(["link add br0 type bridge", "link set br0 up"], name)
        # A frame that is switched between neighbours is no business of a host's iptables.
        tools = ("iptables", "ip6tables", "arptables")
        world.sysctls({f"net.bridge.bridge-nf-call-{tool}": "0" for tool in tools}, name)
    for interface in host.interfaces:
        _plug(world, "", interface.name, interface.segment, interface.addresses)
    for node in scenario.outside:
        if not any(i.segment in segments for i in node.interfaces):
            continue
        world.run(["ip", "netns", "add", node.name])
        world.ip(["link set lo up"], node.name)
        for interface in node.interfaces:
            _plug(world, node.name, interface.name, interface.segment, interface.addresses)
        if node.routes == "host":
            for family in FAMILIES:
                via = [bare(a) for i in host.interfaces for a in i.addresses if Family.of(a) is family]
                has = [a for i in node.interfaces for a in i.addresses if Family.of(a) is family]
                if via and has:
                    world.ip([f"route add default via {via[0]}"], node.name)
        elif node.routes != "none":
            world.ip([f"route add {to} via {via}" for to, via in node.routes], node.name)
    for number, bridge in enumerate(host.bridges):
        world.ip(
            [
                f"link add {bridge.name} type bridge",
                f"link set {bridge.name} address 02:00:5e:00:53:{number:02x}",
                f"link set {bridge.name} up",
            ]
            + [f"addr add {a} dev {bridge.name} {given(a)}" for a in bridge.addresses]
        )
    world.sysctls({key: value for key, value in host.sysctls.items() if key not in early})


def given(address: str) -> str:
    """How an administrator's tools add an address: with its broadcast address, or ready at once."""
    return "brd +" if Family.of(address) is Family.IPV4 else "nodad"


def _plug(world: World, node: str, name: str, segment: str, addresses: Sequence[str]) -> None:
    """A veth from a node to a segment's bridge; addresses without duplicate detection."""
    seg, port = f"seg-{segment}", f"{node or 'host'}-{name}"[:15]
    peer = ["ip", "link", "add", port, "type", "veth", "peer", "name", name]
    world.run([*peer, "netns", node or str(1)], seg)
    world.ip([f"link set {port} master br0", f"link set {port} up"], seg)
    world.ip(
        [f"link set {name} up"] + [f"addr add {a} dev {name} {given(a)}" for a in addresses],
        node,
    )


#: Every daemon's cgroups stand below one of this name, with its owner's and its cell's PID behind it.
CGROUP = "netlab-conformance"


def cgroup_roots() -> list[Path]:
    """The cgroup hierarchies of this machine: one (v2), or one a controller (v1)."""
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.procs").exists():
        return [root]
    return sorted({p.resolve() for p in root.iterdir() if (p / "cgroup.procs").exists()})


def sweep_cgroups(parent: str) -> None:
    """Remove a dead daemon's empty cgroups; those still busy raise OSError."""
    for root in cgroup_roots():
        top = root / parent.lstrip("/")
        if top.is_dir():
            for folder, _, _ in os.walk(top, topdown=False):
                Path(folder).rmdir()


def sweep_stale() -> None:
    """Remove the cgroups of runs that were killed: nothing else of a cell outlives its owner."""
    names = {path.name for root in cgroup_roots() for path in root.glob(f"{CGROUP}-*-*")}
    for name in names:
        if not Path("/proc", name.split("-")[-2]).exists():
            sweep_cgroups(name)
