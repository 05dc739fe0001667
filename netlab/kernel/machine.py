"""What this machine offers: privileges, tools, limits.

Nothing here changes anything. :mod:`netlab.kernel.features` tries the kernel itself.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from netlab.kernel.process import SYSTEM_FOLDERS

Status = Literal["ok", "limited", "missing"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report.

    ``missing``: netlab cannot work. ``limited``: it works, except for ``use``. ``remedy`` is a command or a
    sentence, empty if all is well.
    """

    group: str
    name: str
    status: Status
    found: str
    use: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that netlab calls, with the oldest version that will do."""

    name: str
    package: str
    use: str
    version: tuple[str, ...] = ()  #: the arguments that make it say its version
    least: tuple[int, ...] = ()
    needed: bool = True


TOOLS = (
    Tool("iptables", "iptables", "the engine's IPv4 rules", ("--version",), (1, 8, 0)),
    Tool("iptables-restore", "iptables", "IPv4 rules in one transaction", ("--version",), (1, 8, 0)),
    Tool(
        "iptables-save",
        "iptables",
        "showing IPv4 rules as their author wrote them",
        ("--version",),
        (1, 8, 0),
    ),
    Tool("ip6tables", "iptables", "the engine's IPv6 rules", ("--version",), (1, 8, 0)),
    Tool("ip6tables-restore", "iptables", "IPv6 rules in one transaction", ("--version",), (1, 8, 0)),
    Tool(
        "ip6tables-save",
        "iptables",
        "showing IPv6 rules as their author wrote them",
        ("--version",),
        (1, 8, 0),
    ),
    Tool("nft", "nftables", "native nftables rules, and naming traced rules", ("--version",), (1, 0, 1)),
    Tool("ip", "iproute2", "netlab exec, and rules of scenarios", ("-V",)),
    Tool("ss", "iproute2", "ss inside of nodes", ("-V",), needed=False),
    Tool("sysctl", "procps", "sysctl lines in the rules of a scenario", ("--version",), needed=False),
    Tool("docker-proxy", "docker.io", "x-netlab.host.proxy with Docker's own proxy", needed=False),
)

CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_ADMIN": 21}
"""Bits of CapEff (linux/capability.h) without which root is root in name only."""

USERNS_KNOBS = (
    ("kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"),
    ("user/max_net_namespaces", "0", "sysctl -w user.max_net_namespaces=15000"),
)
"""Sysctls that forbid user namespaces to a plain user: name, forbidding value, remedy."""


def find_tool(name: str) -> str | None:
    """The path of a program: by PATH, then in root's folders; None if it is nowhere."""
    folders = [*os.environ.get("PATH", os.defpath).split(os.pathsep), *SYSTEM_FOLDERS]
    return shutil.which(name, path=os.pathsep.join(folders))


def parse_version(text: str) -> tuple[int, ...]:
    """The first dotted number in a tool's version output: ``nftables v1.0.6 (…)`` → (1, 0, 6)."""
    match = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(map(int, match[0].split("."))) if match else ()


def _said_version(path: str, arguments: Sequence[str]) -> str:
    try:
        result = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not run: {error}"
    lines = (result.stdout or result.stderr).splitlines()
    return lines[0].strip() if lines else ""


def _judged(tool: Tool, said: str) -> tuple[Status, str]:
    """Whether an installed tool is suitable: (status, remedy)."""
    worst: Status = "missing" if tool.needed else "limited"
    version = parse_version(said)
    if tool.least and version < tool.least:
        least = ".".join(map(str, tool.least))
        return worst, f"netlab needs {tool.name} {least} or later: apt-get install {tool.package}"
    if tool.package == "iptables" and "nf_tables" not in said:
        stem = tool.name.partition("-")[0]
        return worst, (
            f"the legacy variant gives no trace events: update-alternatives --set {stem} /usr/sbin/{stem}-nft"
        )
    return "ok", ""


def check_tools(tools: Sequence[Tool] = TOOLS) -> Iterator[Finding]:
    """Each tool: whether it is installed, new enough, and of the right kind."""
    for tool in tools:
        path = find_tool(tool.name)
        if path is None:
            status: Status = "missing" if tool.needed else "limited"
            yield Finding(
                "tools", tool.name, status, "not found", tool.use, f"apt-get install {tool.package}"
            )
            continue
        said = _said_version(path, tool.version) if tool.version else path
        status, remedy = _judged(tool, said)
        yield Finding("tools", tool.name, status, said, tool.use, remedy)


def effective_capabilities(status_file: Path = Path("/proc/self/status")) -> int:
    """CapEff of this process, as a bit set."""
    for line in status_file.read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def check_privileges(user_namespace_error: str | None, sysctls: Path = Path("/proc/sys")) -> Finding:
    """Root with its capabilities, or else user namespaces.

    ``user_namespace_error``: the error of an attempt, None if it succeeded or was unnecessary.
    """
    use = "namespaces, links and rules of the lab"
    if os.geteuid() == 0:
        have = effective_capabilities()
        lacking = [name for name, bit in CAPABILITIES.items() if not have >> bit & 1]
        if not lacking:
            return Finding("privileges", "root", "ok", "root with its capabilities", use)
        remedy = "this is a restricted container: start it with " + " ".join(
            f"--cap-add {name.removeprefix('CAP_')}" for name in lacking
        )
        return Finding("privileges", "root", "missing", f"root without {', '.join(lacking)}", use, remedy)
    if user_namespace_error is None:
        return Finding("privileges", "user namespace", "ok", "a plain user, with user namespaces", use)
    for name, forbidding, remedy in USERNS_KNOBS:
        knob = sysctls / name
        if knob.exists() and knob.read_text().strip() == forbidding:
            dotted = name.replace("/", ".")
            return Finding(
                "privileges",
                "user namespace",
                "missing",
                f"a plain user, and {dotted} is {forbidding}: {user_namespace_error}",
                use,
                f"run netlab with sudo, or: sudo {remedy}",
            )
    return Finding(
        "privileges",
        "user namespace",
        "missing",
        f"a plain user, without user namespaces: {user_namespace_error}",
        use,
        "run netlab with sudo",
    )


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except FileNotFoundError:
        return None


def check_limits(sysctls: Path = Path("/proc/sys")) -> Iterator[Finding]:
    """Limits that big labs meet: open files, neighbours, namespaces."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    enough = hard == resource.RLIM_INFINITY or hard >= 16384
    yield Finding(
        "limits",
        "open files",
        "ok" if enough else "limited",
        files,
        "four descriptors a container: 16384 for 4000",
        "" if enough else "raise the hard limit: ulimit -Hn 16384",
    )
    for family, word in (("ipv4", "IPv4"), ("ipv6", "IPv6")):
        value = _number(sysctls / f"net/{family}/neigh/default/gc_thresh3")
        if value is None:
            continue
        enough = value >= 4096
        yield Finding(
            "limits",
            f"{word} neighbours",
            "ok" if enough else "limited",
            str(value),
            "one table for all namespaces: about two entries a container that talks",
            "" if enough else f"above 500 containers: sysctl -w net.{family}.neigh.default.gc_thresh3=16384",
        )
    value = _number(sysctls / "user/max_net_namespaces")
    if value is not None:
        enough = value >= 5000
        yield Finding(
            "limits",
            "network namespaces",
            "ok" if enough else "limited",
            str(value),
            "one a container, host and client",
            "" if enough else "sysctl -w user.max_net_namespaces=15000",
        )
