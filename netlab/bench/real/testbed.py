"""A testbed for a real daemon: a host, and the network around it, as a scenario describes them.

::

    client ────┐            ┌─── host (the testbed's own namespace) ───
               ├── ext ─────┤ ext0                       bridges …
 neighbour ────┘            └────────────────────────────────────────

Every other node is a namespace that ``ip netns`` named inside the testbed. The machine sees none of them, and
all end with the testbed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

INIT = Path(__file__).with_name("testbed_init.py")
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


class CommandError(Exception):
    """A command in a testbed failed; the text holds its words."""


def sysctl_path(key: str) -> str:
    """``net.ipv4.conf.eth0/1.forwarding`` -> the path below /proc/sys, as sysctl(8) reads it."""
    return key.translate(str.maketrans("./", "/."))


class Testbed:
    """A testbed that runs; ``pid`` is its init's, as the machine sees it."""

    def __init__(self, lower: str = "/") -> None:
        self._begun: list[subprocess.Popen[str]] = []
        self._unshare = subprocess.Popen(
            [
                *("unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child"),
                *(sys.executable, "-I", "-S", str(INIT), lower),
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
            raise CommandError(f"the testbed did not start: {words.strip()}")
        self.pid = int(said[0])
        self.run(["hostname", "host"])
        self.sysctls(
            {f"net.ipv4.conf.{who}.{k}": v for k, v in FRESH_IPV4.items() for who in ("all", "default")}
        )

    @property
    def root(self) -> Path:
        """The testbed's root directory, seen from the machine."""
        return Path(f"/proc/{self.pid}/root")

    def namespace(self, node: str = "") -> str:
        """The path by which the machine opens the network namespace of a node outside, or of the host."""
        return f"{self.root}/run/netns/{node}" if node else f"/proc/{self.pid}/ns/net"

    def argv(self, argv: Sequence[str], node: str = "") -> list[str]:
        """The command that runs ``argv`` in the testbed (and in that node's namespace)."""
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
        """Start a program of the machine's that ends with the testbed; returns its first line."""
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
        """End the testbed and wait until the kernel has taken its processes."""
        assert self._unshare.stdin
        self._unshare.stdin.close()
        self._unshare.wait(timeout=60)
        for process in self._begun:
            process.wait(timeout=60)
        for stream in (self._unshare.stdout, self._unshare.stderr, *(p.stdout for p in self._begun)):
            if stream:
                stream.close()

    def __enter__(self) -> Testbed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


#: Every daemon's cgroups stand below one of this name, with its owner's and its testbed's PID behind it.
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
