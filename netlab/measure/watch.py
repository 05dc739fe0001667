"""Watch live traffic from a process inside the lab, over a channel.

::

    → {"facts": …, "packets": false}   ← {"tables": {node: name}}   the instrument is ready
                                       ← {"journey": …, "when": seconds, "packets": [...]}   as they settle
                                       ← {"pairs": [node, since]}   → {"pairs": [...]}
    → {"stop": true}, or its end       ← {"faults": n, "problem": the first of them}
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netlab.journey.topology import Topology
from netlab.kernel.channel import MAX_LINE_BETWEEN_OURS, Channel, Disconnected, Message
from netlab.measure.harvest import Pairs, ProxyPair
from netlab.measure.live import Live, Seen, SeenPacket
from netlab.measure.worker import ProxyEnds
from netlab.model.error_messages import to_message
from netlab.model.errors import Unmeasured
from netlab.model.journey import Journey


@dataclass(frozen=True, slots=True)
class JourneyReport:
    """A journey of other traffic, the time at which it was known (seconds since the epoch), and its
    packets.
    """

    journey: Journey
    when: float
    packets: tuple[tuple[str, bytes, tuple[str, ...]], ...] = ()  #: (node, octets, comments), hook by hook


def report_of(live: Live, seen: Seen, *, packets: bool) -> JourneyReport:
    """The report of a journey; ``packets`` is for packet files."""
    found: tuple[tuple[str, bytes, tuple[str, ...]], ...] = ()
    if packets:
        found = tuple((p.node, p.octets, comments(p)) for p in live.packets(seen))
    return JourneyReport(seen.journey, time.time(), found)


def comments(seen: SeenPacket) -> tuple[str, ...]:
    """The comments of a packet at one hook: the hook, each rule that matched, and the answer."""
    visit = seen.visit
    links = " ".join(
        word for word in (visit.iif and f"in {visit.iif}", visit.oif and f"out {visit.oif}") if word
    )
    lines = [f"{seen.node} {visit.hook} {links}".rstrip()]
    for hit in visit.rules:
        what = f"{hit.family} {hit.table} {hit.chain}: {hit.rule or ''} {hit.verdict}".replace("  ", " ")
        lines.append(what + (f"  # {hit.reason}" if hit.reason else ""))
    return (*lines, seen.note) if seen.note else tuple(lines)


def main(arguments: list[str], fds: list[int], namespaces: dict[str, int]) -> int:
    """The worker: serve the socket ``fds[0]`` until its other end stops. ``arguments`` are not used."""
    del arguments
    stopped = False
    with socket.socket(fileno=fds[0]) as sock:
        channel = Channel(sock, MAX_LINE_BETWEEN_OURS)

        def pairs(node: str, since: int) -> Sequence[ProxyPair]:
            nonlocal stopped
            channel.send({"pairs": [node, since]})
            while "pairs" not in (answer := channel.receive()[0]):
                stopped = True  # sent before our query arrived
            return [ProxyEnds.of(*one) for one in answer["pairs"]]

        def over() -> bool:
            return stopped or channel.waiting or bool(select.select([sock], [], [], 0)[0])

        try:
            request, _ = channel.receive()
            with Live(namespaces, Topology.from_json(request["facts"]), pairs=pairs) as live:
                channel.send({"tables": live.tables})
                for seen in live.watch(over):
                    one = report_of(live, seen, packets=request["packets"])
                    packets = [[node, octets.hex(), lines] for node, octets, lines in one.packets]
                    channel.send({"journey": one.journey.to_json(), "when": one.when, "packets": packets})
                live.finish()
                channel.send({"faults": live.faults, "problem": live.problem})
        except Disconnected:
            return 0  # the watcher has gone, and the instrument with it
        except Exception as error:
            channel.send(to_message(error, "watching"))
            return 1
    return 0


class RemoteWatch:
    """The client's end: iterate over the journeys until :meth:`stop`; takes over the socket."""

    def __init__(self, sock: socket.socket, facts: Topology, pairs: Pairs, *, packets: bool) -> None:
        self._channel = Channel(sock, MAX_LINE_BETWEEN_OURS)
        self._pairs = pairs
        self._sending = self._to_stop = False
        self.faults = 0  #: how often the instrument failed; known once the iteration is over
        self.problem = ""  #: how it did so first
        self._send({"facts": facts.to_json(), "packets": packets})
        self.tables: dict[str, str] = self._channel.answer("the watching process", Unmeasured)["tables"]

    def __iter__(self) -> Iterator[JourneyReport]:
        while "faults" not in (answer := self._channel.answer("the watching process", Unmeasured)):
            if "pairs" in answer:
                node, since = answer["pairs"]
                found = [[p.protocol, p.client, p.asked, p.own, p.backend] for p in self._pairs(node, since)]
                self._send({"pairs": found})
                continue
            packets = tuple(
                (node, bytes.fromhex(octets), tuple(lines)) for node, octets, lines in answer["packets"]
            )
            yield JourneyReport(Journey.from_json(answer["journey"]), answer["when"], packets)
        self.faults, self.problem = answer["faults"], answer["problem"]

    def stop(self) -> None:
        """End it; journeys that have finished still arrive. A signal handler may call this."""
        if self._sending:
            self._to_stop = True  # the signal came while another message was being sent
        else:
            self._send({"stop": True})

    def _send(self, message: Message) -> None:
        self._sending = True
        try:
            self._channel.send(message)
        except Disconnected:
            pass  # its last messages tell why
        finally:
            self._sending = False
        if self._to_stop:
            self._to_stop = False
            self._send({"stop": True})

    def close(self) -> None:
        """Let go; idempotent."""
        self._channel.close()
