"""A measuring session: set the instrument up once, measure any number of flows.

::

    with Session(namespaces, plan) as session:
        journeys = session.measure(flows)

One thread runs one loop over the probes in flight and the trace of each host. A flow ends with its answer,
with a drop in the trace, or after 900 ms. Before and after each round, a canary is sent through each
instrument; the kernel writes events in order, so all events up to the second canary must be read.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import random
import select
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from netlab.journey.build import unmeasured
from netlab.journey.headers import reverse
from netlab.journey.hook_passes import HookPass
from netlab.journey.legs import Index
from netlab.journey.topology import Topology, topology_of
from netlab.kernel import neighbours
from netlab.kernel import netns as namespaces_of
from netlab.kernel.netlink import interfaces
from netlab.measure.closer import closer
from netlab.measure.crafted import CraftedProbe, CraftedProbes
from netlab.measure.harvest import Found, Harvest, Pairs
from netlab.measure.in_flight import InFlight, Probe, rounds
from netlab.measure.inquiry import Inquiry
from netlab.measure.probes import patience, probe_for
from netlab.measure.tracer import Tracer, close_all
from netlab.model.errors import Unmeasured, UsageError
from netlab.model.family import Family
from netlab.model.flow import Flow
from netlab.model.journey import Journey
from netlab.model.plan import Plan
from netlab.model.shape import Shape

#: The maximum number of flows in flight; lower if the receive buffer is small.
WINDOW: Final = 256
#: Trace events that one flow may cause: forth, a proxy's leg, and the answers.
EVENTS_PER_FLOW: Final = 150
#: How often a round is repeated if its instrument failed.
REPEATS: Final = 2
#: Source ports of probes: below the usual ephemeral range, so that nothing else uses them.
_PORTS: Final = range(21000, 32000)
_WILDCARDS: Final = ("0.0.0.0", "::")
_CANARY_PATIENCE: Final = 2.0
#: Seconds: if the loop is this late, the process was starved of CPU time.
_STALL: Final = 0.05
#: Seconds that the kernel searches for a neighbour (three times, one a second), less some room.
_SEARCH: Final = 2.9
#: Seconds in which a search that goes on is repeated (neigh.default.retrans_time_ms), and some room.
_REPEAT: Final = 1.2
#: Seconds after which the kernel sends another error about a missing route (net.ipv4.route.error_cost), and
#: some room; how often that is waited for, and how long in all of a call.
_ERROR_PAUSE: Final = 1.2
_ERROR_TRIES: Final = 3
_FOR_ERRORS: Final = 10.0
_ERROR_WITHHELD: Final = (
    "an ICMP error about the missing route was due: the kernel sends an address five of them, and then"
    " one a second"
)


class Session:
    """The instrument in every host, and probes from any node, until :meth:`close`.

    ``namespaces`` maps nodes (or the nodes that host them) to descriptors, which the caller closes. A
    ``plan`` (or its facts) provides hosts, addresses, listeners and reasons; without it, ``hosts`` names
    those to trace (default: all), and the addresses come from the kernel. ``pairs`` returns the connections
    of the userland proxies. Raises MachineError if the kernel has no tracing.
    """

    def __init__(
        self,
        namespaces: Mapping[str, int],
        plan: Plan | Topology | None = None,
        *,
        hosts: Iterable[str] | None = None,
        pairs: Pairs | None = None,
        announce: Callable[[str], None] = lambda _: None,
        wide: bool = False,
    ) -> None:
        """``announce`` is called with the name of each table before it is added.

        ``wide`` is the wide instrument: every packet at every hook of ``facts.looked_at``; what remains
        unproven is reported as such.
        """
        self._namespaces = dict(namespaces)
        self._wide = wide
        self._announce = announce
        self.facts = topology_of(plan) if isinstance(plan, Plan) else plan or Topology()
        if hosts is not None:
            self.facts.hosts = frozenset(hosts)
        elif plan is None:
            self.facts.hosts = frozenset(namespaces)
        self._pairs = pairs
        self._ports = random.Random().sample(_PORTS, len(_PORTS))  # noqa: S311
        self._next_port = 0
        # A datagram's first twelve octets are in the trace: a token, a counter and a newline fit in.
        self._token = f"{random.SystemRandom().getrandbits(24):06x}"
        self.tracers: list[Tracer] = []
        self._dropped: list[HookPass] = []
        self._crafted = CraftedProbes(self._namespaces, self.facts.segments)
        self._patience = 0.0
        self._for_errors = 0.0  # seconds that this call may still wait for errors that the kernel withholds
        self._fulls: Mapping[Family, int] = {}
        try:
            for name in sorted(self.facts.traced_nodes):
                place = self._namespace(name)
                self.tracers.append(Tracer(name, place, self._dropped.append, announce, wide=wide))
        except BaseException:
            self.close()
            raise
        self.harvest = Harvest(self.tracers, self._namespaces, self.facts, pairs, wide=wide)
        self._learn(plan)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the instrument; idempotent."""
        self._crafted.close()
        close_all(self.tracers)
        self.tracers.clear()

    def _namespace(self, node: str) -> int:
        try:
            return self._namespaces[self.facts.namespace(node)]
        except KeyError:
            raise UsageError(f"there is no node {node!r} to send from") from None

    def _learn(self, plan: Plan | Topology | None) -> None:
        for tracer in self.tracers:
            self.facts.traced[tracer.node] = tracer.facts
        if plan is not None:
            return
        for name, netns in self._namespaces.items():
            for link in interfaces.read(netns).values():
                for address in link.addresses:
                    self.facts.owners[address] = (*self.facts.owners.get(address, ()), name)

    # -- measuring

    def measure(
        self,
        flows: Sequence[Flow],
        *,
        replies: bool = False,
        shape: Shape | None = None,
        tell: Callable[[int, Journey], None] | None = None,
    ) -> list[Journey]:
        """The journeys of ``flows``, in their order; ``tell`` is called for each as soon as it is known.

        Flows from the same port of a node are sent one after the other, all others at once. With a ``shape``,
        packets are made by hand (with the flow's family and protocol); without, only if a socket cannot send
        them: ``via`` another node, or with a forged source address.

        A round whose instrument failed (events lost or not decoded, a canary missing, rules changed) is
        measured again at most twice; then its journeys are ``unmeasured``.
        """
        journeys: list[Journey] = []
        self._for_errors = _FOR_ERRORS
        with _uncollected():
            for together in rounds(flows, self._round_size()):
                for journey in self._measure_round(together, replies, shape):
                    if tell is not None:
                        tell(len(journeys), journey)
                    journeys.append(journey)
        return journeys

    def _round_size(self) -> int:
        room = min((tracer.socket.capacity for tracer in self.tracers), default=1 << 20)
        return max(1, min(WINDOW, room // EVENTS_PER_FLOW))

    def _measure_round(self, flows: Sequence[Flow], replies: bool, shape: Shape | None) -> list[Journey]:
        problem = ""
        for _ in range(1 + REPEATS):
            try:
                found = self._attempt(flows, replies, shape)
                if self._wide:
                    return [one.journey for one in found]
                return self._look_closer(flows, found, replies, shape)
            except Unmeasured as reason:
                problem = str(reason)
                for tracer in self.tracers:
                    tracer.drain()
                    tracer.forget()
                    tracer.refresh()
                    self.facts.traced[tracer.node] = tracer.facts
        return [unmeasured(flow, problem) for flow in flows]

    def _look_closer(
        self, flows: Sequence[Flow], found: Sequence[Found], replies: bool, shape: Shape | None
    ) -> list[Journey]:
        """Measure again, with the wide instrument, what the ordinary one left open."""
        doubted = [number for number, one in enumerate(found) if one.doubt]
        journeys = [one.journey for one in found]
        if doubted:
            again = [flows[number] for number in doubted]
            facts = closer(self.facts, again, self._namespaces)
            with Session(
                self._namespaces, facts, pairs=self._pairs, announce=self._announce, wide=True
            ) as session:
                closer_ones = session.measure(again, replies=replies, shape=shape)
            for number, journey in zip(doubted, closer_ones, strict=True):
                journeys[number] = journey
        return journeys

    def _attempt(self, flows: Sequence[Flow], replies: bool, shape: Shape | None) -> list[Found]:
        probes, found = self._once(flows, replies, shape)
        if len(flows) > 1:
            for number, probe in enumerate(probes):
                if probe.ambiguous:  # one process, several connections: unambiguous if measured alone
                    found[number] = self._attempt([probe.flow], replies, shape)[0]
        self._wait_for_errors(probes, found, replies, shape)
        return found

    def _wait_for_errors(
        self, probes: Sequence[Probe], found: list[Found], replies: bool, shape: Shape | None
    ) -> None:
        """Measure again what ended at a missing route without an error, as the kernel's limit allows.

        The limit is one of each router and sender, so a wave has one flow of each pair. What is still without
        an error when the time is spent stays a timeout, and its journey says why.
        """
        owed = {number: _ERROR_TRIES for number, probe in enumerate(probes) if _withheld(probe)}
        while owed and self._for_errors > 0:
            began = time.monotonic()
            select.select([], [], [], _ERROR_PAUSE)
            wave = list({_pair(found[number].journey): number for number in reversed(owed)}.values())
            again, better = self._once([probes[number].flow for number in wave], replies, shape)
            for number, probe, one in zip(wave, again, better, strict=True):
                found[number] = one
                owed[number] -= 1
                if not owed[number] or not _withheld(probe):
                    del owed[number]
            self._for_errors -= time.monotonic() - began
        for number in owed:
            journey = found[number].journey
            notes = (*journey.notes, _ERROR_WITHHELD)
            found[number] = found[number]._replace(journey=replace(journey, notes=notes))

    def _once(
        self, flows: Sequence[Flow], replies: bool, shape: Shape | None
    ) -> tuple[list[Probe], list[Found]]:
        began = time.monotonic_ns()
        for tracer in self.tracers:
            tracer.drain()
            tracer.forget()
            if tracer.stale():
                tracer.refresh()
                self.facts.traced[tracer.node] = tracer.facts
        self._dropped.clear()
        self._fulls = neighbours.table_fulls()
        self.prove("before")
        probes = self._fly(flows, shape)
        self.prove("after")
        for tracer in self.tracers:
            if tracer.changed():
                raise Unmeasured(f"the rules of {tracer.node} changed while flows were measured")
        inquiry = Inquiry(self._namespaces, self.facts, self._fulls)
        found = self.harvest.journeys(probes, began, inquiry, replies)
        if self._wide and any(_searched_before(probe) for probe in probes):
            raise Unmeasured("a search for a neighbour had begun before, and was not seen whole")
        return probes, found

    def prove(self, when: str) -> None:
        """Send a canary through each instrument and wait for it: then everything before it has been read.

        Raises Unmeasured if one is missing, and if any event before it was lost or not decoded.
        """
        for tracer in self.tracers:
            if not tracer.send_canaries():
                raise Unmeasured(
                    f"no canary can be sent in {tracer.node}: neither loopback nor another link is up"
                )
        deadline = time.monotonic() + _CANARY_PATIENCE
        waiting = list(self.tracers)
        while waiting:
            for tracer in waiting:
                tracer.drain()
            self._stop_if_blind()
            waiting = [tracer for tracer in waiting if tracer.silent]
            left = deadline - time.monotonic()
            if waiting and left <= 0:
                raise Unmeasured(
                    f"the trace of {waiting[0].node} is silent: the canary {when} the flows is missing"
                )
            if waiting:
                select.select([waiting[0]], [], [], left)

    def _stop_if_blind(self) -> None:
        """Raises Unmeasured if an event was lost or not decoded: no answer of this round counts any more."""
        for tracer in self.tracers:
            if tracer.faults:
                raise Unmeasured(tracer.problem)

    # -- packets in flight

    def _fly(self, flows: Sequence[Flow], shape: Shape | None) -> list[Probe]:
        """Have all flows answered, dropped or timed out."""
        self._patience = max(patience(), _REPEAT) if self._wide and self._searching() else patience()
        in_flight = InFlight(self.tracers, self._crafted)
        probes = [self._probe(flow, shape) for flow in flows]
        try:
            for count, probe in enumerate(probes):
                self._launch(probe, in_flight)
                if count % 16 == 15:
                    in_flight.wait(0)
            # Deadlines move (an established connection gets more time), so check the heap again.
            waiting = [(p.deadline, n) for n, p in enumerate(probes) if p.result is None]
            heapq.heapify(waiting)
            while waiting:
                noted, number = waiting[0]
                probe = probes[number]
                if probe.result is not None:
                    heapq.heappop(waiting)
                elif probe.deadline > noted:
                    heapq.heapreplace(waiting, (probe.deadline, number))
                elif (left := noted - time.monotonic()) > 0 or in_flight.looked < noted:
                    in_flight.wait(max(left, 0))
                    self._stop_if_blind()
                    self._end_dropped(probes, in_flight)
                elif (late := in_flight.looked - noted) > _STALL:
                    for other in probes:  # the answering process was starved of CPU time, too
                        other.deadline = max(other.deadline, in_flight.looked) + late
                else:
                    in_flight.finish(probe, expired=True)
        finally:
            in_flight.close()
            for probe in probes:
                probe.close()
        return probes

    def _searching(self) -> bool:
        """Whether a node searches for a neighbour: what becomes of the search is seen when it is repeated."""
        return any(neighbours.unresolved(netns) for netns in self._namespaces.values())

    def _probe(self, flow: Flow, shape: Shape | None) -> Probe:
        number = self._next_port
        port = flow.source_port or self._ports[number % len(self._ports)]
        self._next_port += 1
        forged = flow.source is not None and not self.facts.owns(flow.origin, flow.source)
        if flow.via is not None or forged or shape is not None:
            made = shape
            if shape is not None and (shape.family, shape.protocol) != (flow.family, flow.protocol):
                made = replace(shape, family=flow.family, protocol=flow.protocol)
            return self._crafted.probe(flow, self.facts.namespace(flow.origin), port, made)
        probe = probe_for(flow, f"{self._token}{number % 0xFFFFF:x}", (flow.source or "", port))
        probe.scope = self._crafted.scope(flow, self.facts.namespace(flow.origin))
        probe.looks_for_strays = self._wide
        return probe

    def _launch(self, probe: Probe, in_flight: InFlight) -> None:
        netns = self._namespace(probe.flow.origin)
        if isinstance(probe, CraftedProbe):
            via = None if probe.flow.via is None else self.facts.namespace(probe.flow.via)
            probe.deadline = time.monotonic() + self._patience
            in_flight.crafted.launch(probe, self.facts.namespace(probe.flow.origin), via, in_flight.poll)
            return
        with namespaces_of.entered(netns):
            probe.start()
        if probe.result is None and probe.socket is not None:
            probe.deadline = time.monotonic() + self._patience
            in_flight.add(probe)

    def _end_dropped(self, probes: Sequence[Probe], in_flight: InFlight) -> None:
        """A drop ends the wait at once, except for a REJECT, which is a drop whose answer is still to
        come.
        """
        if not self._dropped:
            return
        dropped = [hook_pass for hook_pass in self._dropped if not self.rejects(hook_pass)]
        self._dropped.clear()
        if not dropped:
            return
        owners = self._owners(probes)
        index = Index(self.harvest.hook_passes(), self.facts)
        for hook_pass in dropped:
            probe = owners.get(hook_pass.key) if hook_pass.key is not None else None
            if probe is None or probe.result is not None or self._wide or index.copies(hook_pass):
                continue
            in_flight.finish(probe, expired=True)

    def _owners(self, probes: Sequence[Probe]) -> dict[bytes, Probe]:
        """Every key that a flying probe's packet, or its answer, has had so far."""
        owners = {probe.key: probe for probe in probes if probe.key is not None and probe.result is None}
        for tracer in self.tracers:
            for hook_pass in tracer.assembler.hook_passes:
                probe = owners.get(hook_pass.key) if hook_pass.key is not None else None
                if probe is not None and hook_pass.left is not None:
                    owners.setdefault(hook_pass.left, probe)
        for key, probe in list(owners.items()):
            owners.setdefault(reverse(key), probe)
        return owners

    def rejects(self, hook_pass: HookPass) -> bool:
        """Whether a packet was ended by a REJECT, whose verdict is a drop too, but which answers."""
        step = hook_pass.steps[-1]
        if step.handle is None:
            return False
        tracer = next(tracer for tracer in self.tracers if tracer.node == hook_pass.node)
        line = tracer.rules.lines([(step.family, step.table)]).get(
            (step.family, step.table, step.chain, step.handle), ""
        )
        return "reject" in line.lower()


def _withheld(probe: Probe) -> bool:
    """Whether an ICMP error about a missing route is owed; an error that came settles it."""
    return probe.result is not None and probe.result.withheld and probe.result.outcome == "timeout"


def _pair(journey: Journey) -> tuple[str | None, str]:
    """The router that owes an error, and to whom."""
    return journey.decided_by.node, (journey.flow.src or "").rpartition(":")[0] or str(journey.flow.src)


def _searched_before(probe: Probe) -> bool:
    """Whether the kernel gave up a neighbour for which another packet had begun the search."""
    return probe.result is not None and probe.result.in_vain and probe.lasted < _SEARCH


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Disable the garbage collector for the block: a round creates tens of thousands of objects, but no
    cycle.

    Collections after each round would take a tenth of the time, and more with more journeys.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            if not gc.get_freeze_count():  # objects created here become old at once, unscanned
                gc.freeze()
                gc.unfreeze()
            gc.enable()
