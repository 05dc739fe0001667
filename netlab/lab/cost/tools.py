"""Loads by real tools, in the place of netlab's own: wrk for connections and requests, iperf3 for throughput.

wrk asks the receiver for ``/load``; iperf3 has a server of its own, which has the receiver's ports meanwhile.
Both count in whole seconds. They raise OSError as the loads of :mod:`netlab.lab.cost.loads` do.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from netlab.kernel import netns
from netlab.kernel.machine import find_tool, parse_version
from netlab.lab.cost.loads import FOR_P99, FOR_P999
from netlab.lab.cost.receiver import PATIENCE
from netlab.model.errors import MachineError

#: Which loads a tool makes.
LOADS_OF = {"wrk": ("connections", "requests"), "iperf3": ("up", "down")}
#: What is asked for a tool's version.
_VERSION = {"wrk": "-v", "iperf3": "--version"}
#: Seconds that a tool runs at least.
SHORTEST = 1.0
_SCRIPT = b"""
done = function(summary, latency, requests)
    local e = summary.errors
    io.write(string.format("netlab %d %d %d %d %d %d\\n", summary.requests, summary.duration,
        e.connect + e.read + e.write + e.status + e.timeout,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of this machine."""

    name: str
    path: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({', '.join(LOADS_OF[self.name])})"


def installed() -> list[Tool]:
    """The tools that are on PATH and say their version."""
    found = []
    for name, option in _VERSION.items():
        path = find_tool(name)
        if path is None:
            continue
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            said = subprocess.run(
                [path, option], capture_output=True, text=True, timeout=PATIENCE, check=False
            )
            version = ".".join(map(str, parse_version(said.stdout or said.stderr)))
            if version:
                found.append(Tool(name, path, version))
    return found


def run(tool: str, load: str, address: str, port: int, seconds: float) -> dict[str, float]:
    """Make a load in the calling thread's namespace with the tool at a path; what was done, by name."""
    whole = max(1, int(seconds))
    if load in LOADS_OF["wrk"]:
        return _wrk(tool, load, address, port, whole)
    return _iperf3(tool, load, address, port, whole)


def _wrk(tool: str, load: str, address: str, port: int, seconds: int) -> dict[str, float]:
    host = f"[{address}]" if ip_address(address).version == 6 else address
    script = os.memfd_create("script")
    try:
        os.write(script, _SCRIPT)
        argv = [
            tool,
            "-t1",
            "-c1",
            f"-d{seconds}s",
            "--timeout",
            f"{PATIENCE}s",
            "-s",
            f"/proc/self/fd/{script}",
        ]
        if load == "connections":
            argv += ["-H", "Connection: close"]
        out = _output([*argv, f"http://{host}:{port}/load"], seconds, [script])
    finally:
        os.close(script)
    line = next((one for one in out.splitlines() if one.startswith("netlab ")), None)
    if line is None:
        raise ConnectionError(f"wrk said nothing of its load: {out.strip()[-200:]}")
    count, duration, errors, p50, p99, p999 = map(int, line.split()[1:])
    if errors or not count:
        raise ConnectionError(f"{errors} errors in {count} requests of wrk")
    found = {"count": float(count), "seconds": duration / 1e6, "p50": p50 / 1e6}
    if count >= FOR_P99:
        found["p99"] = p99 / 1e6
    if count >= FOR_P999:
        found["p999"] = p999 / 1e6
    return found


def _iperf3(tool: str, load: str, address: str, port: int, seconds: int) -> dict[str, float]:
    argv = [tool, "-c", address, "-p", str(port), "-t", str(seconds), "-J"]
    out = _output([*argv, *(["-R"] if load == "down" else [])], seconds)
    found = json.loads(out)
    if "error" in found:
        raise ConnectionError(found["error"])
    received = found["end"]["sum_received"]
    return {"bytes": float(received["bytes"]), "seconds": float(received["seconds"])}


def _output(argv: Sequence[str], seconds: int, fds: Sequence[int] = ()) -> str:
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, pass_fds=fds, check=False,
            timeout=seconds + 2 * PATIENCE,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{os.path.basename(argv[0])} did not end") from None
    if done.returncode and not done.stdout:
        raise ConnectionError(f"{os.path.basename(argv[0])}: {done.stderr.strip()[-200:]}")
    return done.stdout


@contextlib.contextmanager
def serving(tool: str, places: Sequence[tuple[int, int]]) -> Iterator[None]:
    """iperf3's server at each (namespace, port), for one load; raises MachineError if one does not start."""
    servers: list[subprocess.Popen[str]] = []
    try:
        for namespace, port in places:
            with netns.entered(namespace):
                servers.append(
                    subprocess.Popen(
                        [tool, "-s", "-1", "--forceflush", "-p", str(port)],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL,
                        text=True,
                    )
                )
        for server in servers:
            assert server.stdout is not None
            if not any("listening" in line for line in server.stdout):
                raise MachineError("iperf3's server did not start")
        yield
    finally:
        for server in servers:
            server.kill()
            server.communicate()


def spent() -> float:
    """CPU seconds of all ended children: the tools, and iperf3's servers."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
