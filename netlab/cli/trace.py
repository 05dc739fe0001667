"""``netlab trace``: the paths of other programs' traffic, live, in a lab or in any namespace."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from typing import IO, TYPE_CHECKING

from netlab.cli.interrupted import UntilInterrupted
from netlab.cli.output import print_text, say
from netlab.cli.shell import find_whole_lab
from netlab.journey.filter import WORDS, parse_filter
from netlab.lab import state
from netlab.lab.client.instrument import watching
from netlab.lab.output_file import open_output
from netlab.measure import pcapng
from netlab.measure.live import Live
from netlab.measure.pcapng import section
from netlab.measure.watch import report_of
from netlab.model.errors import MachineError, UsageError
from netlab.view.console import console
from netlab.view.journey import journey_view, summary

if TYPE_CHECKING:
    import argparse

    from netlab.cli.documents import TraceDocument
    from netlab.journey.filter import Test
    from netlab.measure.watch import JourneyReport, RemoteWatch

_PACKETS_OF = 40 + 20  #: octets of headers that a trace event carries at most


def run(args: argparse.Namespace) -> int:
    """Trace; returns 0, or 3 if events were lost."""
    words = list(args.filter)
    foreign = args.host or args.netns is not None
    lab = args.lab
    if lab is not None and (foreign or not _is_lab(lab)):
        lab, words = None, [lab, *words]
    wanted = parse_filter(" ".join(words))
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open_output(args.pcapng, buffered=False)) if args.pcapng else None
        show = _Show(args, file)
        watched = _foreign(args, wanted, show) if foreign else _lab(lab, args, wanted, show)
    if watched.faults:
        times = "once" if watched.faults == 1 else f"{watched.faults} times"
        say(f"the instrument failed {times}: what was traced then is missing ({watched.problem})")
    return 3 if watched.faults else 0


def _is_lab(word: str) -> bool:
    """Whether the first word names a lab; it may also belong to the filter."""
    if word in (record.name for record in state.standing()):
        return True
    return word not in WORDS


def _lab(name: str | None, args: argparse.Namespace, wanted: Test, show: _Show) -> RemoteWatch:
    client = find_whole_lab(name, "the hosts of a lab are traced")
    with watching(client, packets=args.pcapng is not None) as watch:
        tables = ", ".join(f"{table} in {host}" for host, table in watch.tables.items())
        with UntilInterrupted(watch.stop):
            say(f"tracing {client.name} (table {tables}; Ctrl-C ends)")
            for report in watch:
                if wanted(report.journey) and not show.enough:
                    show(report)
                    if show.enough:
                        watch.stop()  # read the others to their end
        return watch


def _foreign(args: argparse.Namespace, wanted: Test, show: _Show) -> Live:
    """Trace a namespace outside any lab, from this process."""
    name = "host" if args.host else os.path.basename(args.netns)
    where = "this machine's own namespace" if args.host else args.netns

    def announce(table: str) -> None:
        say(
            f"adding the nftables table {table} in the families ip, ip6 and bridge to {where}: chains at\n"
            "both ends of every hook that mark first packets for tracing, and accept. It belongs to this\n"
            "process, and the kernel removes it when the process ends."
        )

    netns = _open(args)
    try:
        with Live({name: netns}, announce=announce) as live:
            with UntilInterrupted() as until:
                say("tracing (Ctrl-C ends)")
                packets = args.pcapng is not None
                for seen in live.watch(lambda: until.interrupted or show.enough):
                    one = report_of(live, seen, packets=packets)
                    if wanted(one.journey) and not show.enough:
                        show(one)
                live.finish()
            return live
    except PermissionError as error:
        raise MachineError(f"tracing {where} needs root: {error}") from error
    finally:
        os.close(netns)


def _open(args: argparse.Namespace) -> int:
    if args.host:
        return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    path = args.netns if "/" in args.netns else f"/run/netns/{args.netns}"
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"opening the network namespace {path}: {error.strerror}") from error


class _Show:
    """Shows journeys as they come, and writes their packets."""

    def __init__(self, args: argparse.Namespace, file: IO[bytes] | None) -> None:
        self._left: int | None = args.count
        self._json = args.json
        self._tree = args.tree
        self._whole = args.verbose
        self._file = file
        self._nodes: dict[str, int] = {}
        if file is not None:
            file.write(section())

    @property
    def enough(self) -> bool:
        """Whether the requested number of journeys was shown."""
        return self._left == 0

    def __call__(self, report: JourneyReport) -> None:
        if self._left is not None:
            self._left -= 1
        if self._file is not None:
            self._file.write(self._packets(report))
        if self._json:
            document: TraceDocument = {"when": report.when, **report.journey.to_json()}
            print_text(json.dumps(document, ensure_ascii=False))
        elif self._tree:
            screen = console(sys.stdout)
            screen.print(journey_view(report.journey, whole=self._whole))
            screen.print()
        else:
            print_text(_line(report))
        sys.stdout.flush()

    def _packets(self, report: JourneyReport) -> bytes:
        """The packets of a journey, once at each hook; a trace has only their headers."""
        blocks = []
        for node, octets, comments in report.packets:
            if node not in self._nodes:
                self._nodes[node] = len(self._nodes)
                blocks.append(pcapng.interface(node, pcapng.RAW_IP, _PACKETS_OF))
            length = _length(octets)
            blocks.append(
                pcapng.packet(
                    self._nodes[node],
                    int(report.when * 1e9),
                    octets[:length],
                    length=length,
                    comments=comments,
                )
            )
        return b"".join(blocks)


def _length(octets: bytes) -> int:
    """The length that the IP header states (RFC 791, RFC 8200)."""
    if octets[0] >> 4 == 4:
        return int.from_bytes(octets[2:4], "big")
    return 40 + int.from_bytes(octets[4:6], "big")


def _line(report: JourneyReport) -> str:
    """``12:00:01.250 client -> 198.51.100.1:80/tcp ipv4: ok, forward, sees 198.51.100.2``."""
    whole = int(report.when)
    clock = time.strftime("%H:%M:%S", time.localtime(whole))
    return f"{clock}.{int((report.when - whole) * 1000):03d} {summary(report.journey)}"
