"""Tracing: flows end to end beside the kernel alone, and the reader beside ``nft monitor trace``.

The flow is one SYN from outside to a published port: with the SYN-ACK and the RST that follow, it has about
forty events. The kernel alone sends and traces the same packets into a receive buffer that nobody reads;
netlab sends, receives the answer, reads and decodes every event, joins them and builds a journey of each
flow. Only one instrument exists at a time, because each one gets the events of every packet. Both work in one
thread, including the kernel's part; time in which that thread is ready but other threads have the CPUs does
not count.
"""

from __future__ import annotations

import re
import select
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from netlab.bench.frame import Effort, NoYardstick, Result, at_least, at_most, interleaved
from netlab.bench.labs import plan_of, state_of_its_own
from netlab.kernel import netns
from netlab.kernel.netlink.nf_tables import NETLINK_NETFILTER
from netlab.kernel.packet import template
from netlab.kernel.trace.nftrace import NFNLGRP_NFTRACE, TraceSocket
from netlab.kernel.trace.table import TraceTable
from netlab.lab.lab import Lab
from netlab.measure.session import Session
from netlab.measure.tracer import Tracer
from netlab.model.errors import LabError, Unmeasured
from netlab.model.family import Family
from netlab.model.flow import Flow, Target
from netlab.model.shape import Shape

END_TO_END, EVENTS, FLAT = 0.35, 5.0, 1.3
CLIENT, HOST, PORT = "198.51.100.2", "198.51.100.1", 10000
SYN = Shape(Family.IPV4, "tcp")
#: As many flows as a receive buffer certainly holds the events of.
FILL = 1000
#: Flows between two looks at how far ``nft monitor`` has come.
STEP = 16
_SOURCE_PORTS = range(32001, 42001)
#: What ``nft monitor trace`` prints of a packet's headers, which is not a separate event.
_HEADERS_LINE = re.compile(rb"^trace id [0-9a-f]+ \S+ \S+ \S+ packet: ", re.MULTILINE)
_LINE = re.compile(rb"^trace id ", re.MULTILINE)
_PATIENCE = 30.0


def run(effort: Effort) -> Iterator[Result]:
    """A line for each number of flows, one for growth, one for the reader."""
    sizes = (100, 1000) if effort.quick else (100, 1000, 10_000)
    with state_of_its_own() as folder, Lab(plan=plan_of(1, folder)) as lab:
        bench = Bench(lab)
        for size in sizes:
            times = max(1, FILL // size)  # a sample that is shorter than a turn on a busy processor is luck
            samples = interleaved(
                effort if size <= 1000 else effort.fewer(3),
                partial(bench.ours, size, times),
                partial(bench.kernel_alone, size * times),
                warm=size == sizes[0],
            )
            goal = at_least(END_TO_END)
            yield samples.result(
                f"traced flows, {size:,}", "the kernel, nobody reading", goal, unit="flows/s"
            )
        growth = interleaved(
            effort.fewer(5), lambda: 1 / bench.ours(sizes[-1]), lambda: 1 / bench.ours(sizes[0], 10)
        )
        yield growth.result(f"a traced flow of {sizes[-1]:,}", f"one of {sizes[0]}", at_most(FLAT))
        samples = interleaved(effort, bench.reader, bench.nft_monitor)
        yield samples.result("events a CPU second", "nft monitor trace", at_least(EVENTS), unit="events/s")


@dataclass(slots=True)
class Bench:
    """A lab with one published port, and raw packets to it."""

    lab: Lab
    _packets: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        made = template(SYN)
        self._packets = [made.fill(CLIENT, port, HOST, PORT, port) for port in _SOURCE_PORTS]

    @property
    def host(self) -> int:
        """The namespace that is traced."""
        return self.lab.namespaces["host"]

    @contextmanager
    def sender(self) -> Iterator[socket.socket]:
        """A raw socket of the client's."""
        with netns.entered(self.lab.namespaces["client"]):
            sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        with sock:
            yield sock

    def ours(self, flows: int, times: int = 1) -> float:
        """Flows per second up to their journeys, for each repetition; raises Unmeasured if an event was lost.

        The instrument exists and has read the rules: a session measures any number of flows.
        """
        target = Target(name="host")
        asked = [Flow("client", target, Family.IPV4, "tcp", PORT, HOST) for _ in range(flows)]
        with Session(self.lab.namespaces, self.lab.plan) as session:
            session.measure(asked[:STEP], shape=SYN)
            start = own_time()
            journeys = [journey for _ in range(times) for journey in session.measure(asked, shape=SYN)]
            taken = own_time() - start
        for journey in journeys:
            if journey.outcome != "ok" or [leg.letters for leg in journey.legs] != ["PFS"]:
                raise Unmeasured(f"a traced flow ended {journey.outcome}: {journey.problem}")
        return flows * times / taken

    def kernel_alone(self, flows: int) -> float:
        """Flows per second: the same packets traced, with their events unread."""
        table = TraceTable(self.host)
        taken, at = 0.0, 0
        try:
            with self.sender() as sock:
                while at < flows:
                    events = TraceSocket(self.host)
                    some = self._packets[at : min(flows, at + FILL)]
                    start = own_time()
                    send(sock, some)
                    taken += own_time() - start
                    at += len(some)
                    events.close()
        finally:
            table.close()
        return flows / taken

    def reader(self) -> float:
        """Events a CPU second: received, decoded, and put together to packets at hooks."""
        tracer = Tracer("host", self.host, lambda _: None)
        try:
            with self.sender() as sock:
                send(sock, self._packets[:FILL])
            start = time.thread_time()
            events = tracer.drain()
            spent = time.thread_time() - start
            if tracer.faults:
                raise Unmeasured(f"the trace: {tracer.faults[0].kind}: {tracer.faults[0].detail}")
        finally:
            tracer.close()
        return events / spent

    def nft_monitor(self) -> float:
        """Events a CPU second that ``nft monitor trace`` printed, given time to print each of them."""
        with ExitStack() as stack:
            table = TraceTable(self.host)
            stack.callback(table.close)
            output = stack.enter_context(TemporaryFile())
            monitor = stack.enter_context(Monitor(self.host, output))
            before = monitor.spent()
            with self.sender() as sock:
                for at in range(0, FILL, STEP):
                    send(sock, self._packets[at : min(FILL, at + STEP)])
                    monitor.catch_up()
            spent = monitor.spent() - before
            output.seek(0)
            text = output.read()
        events = len(_LINE.findall(text)) - len(_HEADERS_LINE.findall(text))
        if events < FILL:
            raise Unmeasured(f"nft monitor trace printed {events} events of {FILL} flows")
        return events / spent


def own_time() -> float:
    """Seconds on a clock that stops while this thread waits for a CPU (proc_pid_schedstat, second).

    Computation and other waits both count. On a busy machine, wall time favours the shorter of two samples:
    it more often fits into one time slice.
    """
    delayed = int(Path("/proc/thread-self/schedstat").read_text().split()[1])
    return time.perf_counter() - delayed / 1e9


def send(sock: socket.socket, packets: Sequence[bytes]) -> None:
    """Send them all."""
    destination = (HOST, 0)
    for packet in packets:
        sock.sendto(packet, destination)


class Monitor:
    """``nft monitor trace`` in a namespace, until the end of a ``with``; raises NoYardstick without nft."""

    def __init__(self, namespace: int, output: IO[bytes]) -> None:
        self._namespace = namespace
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Monitor:
        with netns.entered(self._namespace):
            try:
                self._process = subprocess.Popen(["nft", "monitor", "trace"], stdout=self._output)
            except FileNotFoundError:
                raise NoYardstick("nft is not installed (Debian: apt install nftables)") from None
        self._until(lambda: self._waiting() is not None, "listen")
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def spent(self) -> float:
        """Seconds of CPU so far (proc_pid_schedstat: nanoseconds on a CPU first)."""
        assert self._process is not None
        text = Path(f"/proc/{self._process.pid}/schedstat").read_text()
        return int(text.split()[0]) / 1e9

    def catch_up(self) -> None:
        """Wait until it has read everything that was sent to it."""
        self._until(lambda: self._waiting() == 0, "read what it was sent")

    def _waiting(self) -> int | None:
        """Octets in its receive buffer; None if it does not listen yet (columns of /proc/net/netlink)."""
        assert self._process is not None
        pid, bit = str(self._process.pid), 1 << NFNLGRP_NFTRACE - 1
        with netns.entered(self._namespace):
            lines = Path("/proc/thread-self/net/netlink").read_text().splitlines()
        for line in lines[1:]:
            _, protocol, port, groups, waiting = line.split()[:5]
            if protocol == str(NETLINK_NETFILTER) and port == pid and int(groups, 16) & bit:
                return int(waiting)
        return None

    def _until(self, condition: object, what: str) -> None:
        assert self._process is not None
        end = time.monotonic() + _PATIENCE
        while not condition():  # type: ignore[operator]
            if self._process.poll() is not None or time.monotonic() > end:
                raise LabError(f"nft monitor trace does not {what}")
            select.select([], [], [], 0.001)
