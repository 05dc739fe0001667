"""Journeys of other programs' traffic.

A first packet enters a host (PREROUTING) or begins there (OUTPUT), and is neither an answer to, nor the
continuation of, an earlier packet. Its journey is reported once it is dropped, answered, or old enough. The
answer comes from the trace, too: a SYN-ACK, a RST, a datagram back, an ICMP error that quotes the packet. A
userland proxy's connection is a separate journey, unless the proxy reports which client it belongs to.

Silence proves nothing here either: there is a canary before the watch begins and when it ends.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from netlab.journey.build import journey_of, unmeasured
from netlab.journey.evidence import PacketPaths, ProbeResult, find_error, find_paths
from netlab.journey.headers import ICMP, PROTOCOLS, answers, endpoints, is_answer, reverse
from netlab.journey.hook_passes import HookPass
from netlab.journey.legs import Index, traced_tables, visit_of
from netlab.journey.sentence import icmp_words
from netlab.journey.topology import Topology
from netlab.measure.harvest import Pairs, Second
from netlab.measure.session import Session
from netlab.model.errors import Unmeasured
from netlab.model.family import Family
from netlab.model.flow import Flow, Target
from netlab.model.journey import HookVisit, Journey
from netlab.model.outcome import OutcomeName
from netlab.model.plan import Plan

#: Seconds after which a flow without an answer is reported.
SETTLED: Final = 0.9
#: Seconds that an answered or dropped flow waits for further hook passes.
_LINGER: Final = 0.05
#: Reported keys are remembered, so that later packets of a conversation do not start another journey.
_REMEMBERED: Final = 1 << 16
#: The maximum number of hook passes that are kept, if traffic never pauses.
_KEPT: Final = 1 << 14
_WORDS: Final = {number: word for word, number in PROTOCOLS.items()} | dict.fromkeys(ICMP.values(), "icmp")


@dataclass(frozen=True, slots=True)
class Seen:
    """One journey, and the hook passes that it was read from (for packet files)."""

    journey: Journey
    paths: PacketPaths


@dataclass(frozen=True, slots=True)
class SeenPacket:
    """A packet at one hook; ``octets`` are the headers that the kernel reported, from the IP header on.

    ``note`` describes an ICMP error, or tells that there was one about this packet.
    """

    node: str
    visit: HookVisit
    octets: bytes
    note: str = ""


class Live:
    """Watches the hosts of a lab, or any namespaces, until :meth:`close`; arguments as a Session's.

    It adds netlab's tables to each namespace; the kernel removes them with the process. Raises MachineError
    if the kernel has no tracing, Unmeasured if a canary is missing.
    """

    def __init__(
        self,
        namespaces: Mapping[str, int],
        plan: Plan | Topology | None = None,
        *,
        hosts: Iterable[str] | None = None,
        pairs: Pairs | None = None,
        announce: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._session = Session(namespaces, plan, hosts=hosts, pairs=pairs, announce=announce)
        try:
            self._session.prove("before")
        except BaseException:
            self.close()
            raise
        self._since = time.monotonic_ns()
        #: key → (when it was read, the node that it began in, None if it came from elsewhere)
        self._begun: dict[bytes, tuple[float, str | None]] = {}
        self._told: dict[bytes, None] = {}
        self._read: dict[str, int] = {}
        self.faults = 0  #: how often the instrument failed
        self.problem = ""  #: how it did so first
        self._forget()

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def tables(self) -> dict[str, str]:
        """Node → the name of the table that was added there, in the families ip, ip6 and bridge."""
        return {tracer.node: tracer.table.name for tracer in self._session.tracers}

    def filenos(self) -> list[int]:
        """A descriptor for poll: readable when events wait."""
        return [tracer.fileno() for tracer in self._session.tracers]

    def watch(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Seen]:
        """Journeys as they finish, until ``stop()`` returns true; it is called about ten times a second."""
        while not stop():
            select.select(self.filenos(), [], [], _LINGER if self._begun else 0.1)
            yield from self.take()

    def take(self) -> list[Seen]:
        """The journeys that are settled by now; does not wait."""
        lost = self._drain()
        now = time.monotonic()
        index = Index(hook_pass for t in self._session.tracers for hook_pass in t.assembler.hook_passes)
        seconds = self._session.harvest.second_legs(self._since) if self._begun else {}
        own = {(one.key, one.node) for one in seconds.values()}
        found = []
        for key, (began, node) in list(self._begun.items()):
            if (key, node) in own:  # a proxy's connection: part of its client's journey
                del self._begun[key]
                continue
            seen = self._settle(self._flow(key, node), key, now - began, index, seconds, lost)
            if seen is not None:
                found.append(seen)
                del self._begun[key]
        if not self._begun:
            self._forget()
        return found

    def finish(self) -> None:
        """Prove that the trace was read to its end, or count another fault."""
        self._drain()
        try:
            self._session.prove("after")
        except Unmeasured as reason:
            self._failed(str(reason))

    def _failed(self, problem: str, times: int = 1) -> None:
        self.problem = self.problem or problem
        self.faults += times

    def packets(self, seen: Seen) -> Iterator[SeenPacket]:
        """The traced packets of a journey, hook by hook: first its own, then the answer's."""
        paths, icmp = seen.paths, seen.journey.icmp
        for hook_pass in (*paths.forth, *paths.proxied, *paths.back, *paths.returned, *paths.errors):
            facts = self._session.facts.traced[hook_pass.node]
            visit = visit_of(hook_pass, facts, self._session.facts)
            octets = hook_pass.entry.network + hook_pass.entry.transport
            note = ""
            if icmp is not None and hook_pass in paths.errors:
                note = icmp_words(icmp)
            elif icmp is not None and hook_pass is paths.forth[-1]:
                note = f"answered with {icmp_words(icmp)}"
            yield SeenPacket(hook_pass.node, visit, octets, note)

    def _drain(self) -> str:
        """Read what waits and note what begins; the reason if events were lost."""
        lost = ""
        now = time.monotonic()
        for tracer in self._session.tracers:
            tracer.drain()
            if tracer.faults:
                lost = tracer.problem
                self._failed(lost, len(tracer.faults))
                tracer.faults.clear()
            if tracer.changed():
                tracer.refresh()
                self._session.facts.traced[tracer.node] = tracer.facts
            hook_passes = tracer.assembler.hook_passes
            for hook_pass in hook_passes[self._read.get(tracer.node, 0) :]:
                self._note(hook_pass, now)
            if len(hook_passes) > _KEPT:
                del hook_passes[: len(hook_passes) // 2]
            self._read[tracer.node] = len(hook_passes)
        return lost

    def _note(self, hook_pass: HookPass, now: float) -> None:
        key = hook_pass.key
        if key is None or hook_pass.family != "ip":
            return
        fresh = key not in self._told and reverse(key) not in self._told
        if fresh and hook_pass.hook in ("prerouting", "output") and not is_answer(hook_pass.entry):
            self._begun.setdefault(key, (now, hook_pass.node if hook_pass.hook == "output" else None))
            self._remember(key)
        if not fresh or key in self._begun:
            self._remember(key)
        if hook_pass.left is not None and key in self._told:
            self._remember(hook_pass.left)

    def _remember(self, key: bytes) -> None:
        if len(self._told) >= _REMEMBERED:
            del self._told[next(iter(self._told))]
        self._told[key] = None

    def _settle(
        self,
        flow: Flow,
        key: bytes,
        age: float,
        index: Index,
        seconds: Mapping[tuple[str, bytes], Second],
        lost: str,
    ) -> Seen | None:
        if lost:
            return Seen(unmeasured(flow, lost), PacketPaths())
        result = ProbeResult("timeout", endpoints(key)[0], key)
        paths = find_paths(flow, result, index, self._session.facts)
        result, paths = self._session.harvest.behind_proxies(flow, result, paths, index, seconds)
        if not paths.forth:
            return (
                None
                if age < SETTLED
                else Seen(unmeasured(flow, "its first packet was not seen whole"), paths)
            )
        result.icmp = find_error(paths, index)
        ended = result.icmp is not None or any(hook_pass.dropped for hook_pass in paths.all())
        if age < (_LINGER if ended or paths.back else SETTLED):
            return None
        wanted: dict[str, set[tuple[str, str]]] = {}
        for node, family, table in traced_tables(paths.all()):
            wanted.setdefault(node, set()).add((family, table))
        self._session.harvest.read_rules(wanted)
        result.outcome = self._outcome(result, paths)
        return Seen(journey_of(flow, result, paths, self._session.facts, replies=True), paths)

    def _outcome(self, result: ProbeResult, paths: PacketPaths) -> OutcomeName:
        answer = paths.back[0] if paths.back else None
        if answer is not None and not any(hook_pass.dropped for hook_pass in paths.back):
            return "ok" if answers(answer.entry) else "refused"
        stopped = next((hook_pass for hook_pass in paths.forth if hook_pass.dropped), None)
        rejected = stopped is not None and self._session.rejects(stopped)
        return "unreachable" if rejected or result.icmp is not None else "timeout"

    def _flow(self, key: bytes, node: str | None) -> Flow:
        (src, sport), (dst, dport) = endpoints(key)
        word = _WORDS.get(key[1], "tcp")
        origin = node or self._session.facts.owner(src, src) or src
        port = None if word == "icmp" else dport
        family = Family.of(dst)
        return Flow(origin, Target(address=dst), family, word, port, dst, source_port=sport)  # type: ignore[arg-type]

    def _forget(self) -> None:
        """Nothing is in flight: the earlier hook passes are no longer needed."""
        for tracer in self._session.tracers:
            tracer.assembler.clear()
            self._read[tracer.node] = 0

    def close(self) -> None:
        """Remove the instrument; idempotent."""
        self._session.close()
