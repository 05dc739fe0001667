"""``python -m witness.run``: random labs and rules, each flow asked twice; disagreements shrunk and shown.

::

    python -m witness.run --seconds 50 --seed 7        # a share, as CI has it
    python -m witness.run --flows 10000 --page docs/witness.md
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.runs import fewest, revision, save

import netlab
from netlab.lab.client.instrument import measuring
from netlab.measure.worker import RemoteSession
from netlab.model.errors import NetlabError
from netlab.model.flow import Flow
from netlab.model.journey import Journey
from witness.by_hand import ask, asking, is_by_hand, routed, unlike_sockets
from witness.judge import blamed, disagreement, wrong_decision
from witness.layouts import LAYOUTS, Layout, flows_of, place_of
from witness.plain import PlainAnswer
from witness.quiet import hush
from witness.readings import Compared, Readings
from witness.rules import KINDS, ORDINARY, PINGED, CommandFailed, Planted
from witness.tally import RUNS, Count, page

#: sets of rules in one lab
_SETS = 15
#: flows of one set, besides those that its rules are about
_OTHERS = 9
_LATE = 10.0  #: seconds that nft may need to print what netlab has read


@dataclass(frozen=True, slots=True)
class Judged:
    """One flow: netlab's word, and what of it is false."""

    journey: Journey
    problem: str
    compared: Compared


class Bench:
    """A lab with its readers; ``held``: one session measures all sets of rules, also while sockets ask."""

    def __init__(self, lab: netlab.Lab, layout: Layout, root: str, *, held: bool) -> None:
        self.lab = lab
        self.layout = layout
        self._held = measuring(lab.client) if held else None
        self.numbers = itertools.count()
        self._readings = Readings(lab.namespaces, layout.hosts, root)

    def close(self) -> None:
        """End session and readers."""
        self._readings.close()
        if self._held is not None:
            self._held.close()

    @contextlib.contextmanager
    def _session(self) -> Iterator[RemoteSession]:
        if self._held is not None:
            yield self._held
            return
        with measuring(self.lab.client) as session:
            yield session

    def try_rules(self, planted: Sequence[Planted], flows: Sequence[Flow]) -> list[Judged]:
        """Put rules in, ask each flow both ways, take them out. Raises CommandFailed."""
        places = self.lab.namespaces
        put: list[Planted] = []
        try:
            for rule in planted:
                rule.put_in(places)
                put.append(rule)
            with routed(self.lab, list(flows)):
                told = ask(self._homes(flows), flows)
            if any(one.outcome != "ok" for one in told):
                self._forget()
            self._readings.begin()
            with self._session() as session:
                journeys = session.measure(flows)
                compared = self._compare(journeys)
            if planted and any(journey.outcome != "ok" for journey in journeys):
                self._forget()
            told = [self._patiently(*one) for one in zip(flows, journeys, told, strict=True)]
            return [
                Judged(journey, problem or self._decision(flow, journey, planted) or one.problem, one)
                for flow, journey, one, problem in zip(
                    flows,
                    journeys,
                    compared,
                    (
                        "" if unlike_sockets(f, {r.node for r in planted}) else disagreement(j, t, planted)
                        for f, j, t in zip(flows, journeys, told, strict=True)
                    ),
                    strict=True,
                )
            ]
        finally:
            for rule in reversed(put):
                rule.take_out(places)
            self._forget()

    def _patiently(self, flow: Flow, journey: Journey, told: PlainAnswer) -> PlainAnswer:
        """Plain sockets once more, if they got no answer in time: a server on a busy machine may be late."""
        if journey.outcome == "ok" and told.late:
            with routed(self.lab, [flow]):
                return ask(self._homes([flow]), [flow], patiently=True)[0]
        return told

    def _homes(self, flows: Sequence[Flow]) -> dict[str, int]:
        return {flow.origin: self.lab.namespaces[self.lab.plan.node(flow.origin).namespace] for flow in flows}

    def _compare(self, journeys: Sequence[Journey]) -> list[Compared]:
        """What the other decoders printed, once they have."""
        deadline = time.monotonic() + _LATE
        while True:
            compared = self._readings.compare(journeys)
            if not any(one.problem for one in compared) or time.monotonic() > deadline:
                return compared
            _wait(0.05)

    def _decision(self, flow: Flow, journey: Journey, planted: Sequence[Planted]) -> str:
        """What the rules' counters say against the decision, the flow asked once more, alone."""
        if journey.outcome in ("ok", "unmeasured") or not any(rule.count for rule in planted):
            return ""
        before = self._hits(planted)
        if flow.source is None and unlike_sockets(flow, {rule.node for rule in planted}):
            return ""
        with routed(self.lab, [flow]):
            return self._counted(flow, journey, planted, before)

    def _counted(
        self, flow: Flow, journey: Journey, planted: Sequence[Planted], before: Mapping[str, int]
    ) -> str:
        one = asking(self._homes([flow]), flow)
        named = [rule.name for rule in blamed(journey, planted)]
        try:
            while True:
                told: PlainAnswer | None = None
                end = time.monotonic() + 0.1
                while told is None and time.monotonic() < end:
                    told = one.look()
                    _wait(0.003)
                after = self._hits(planted)
                hit = {name: after[name] - before[name] for name in after}
                if told is not None or any(hit[name] for name in named):
                    return wrong_decision(journey, hit, planted)
        finally:
            one.close()
            ends = {flow.origin, flow.target.name, *self.layout.hosts}
            self._forget(ends & set(self.layout.nodes))  # before a server sends again: it would count

    def _hits(self, planted: Sequence[Planted]) -> dict[str, int]:
        return {rule.name: rule.hits(self.lab.namespaces) for rule in planted}

    def _forget(self, nodes: Iterable[str] | None = None) -> None:
        """Have connections of these nodes (default: of all) as before."""
        for node in self.layout.nodes if nodes is None else nodes:
            hush(self.lab.namespaces[node])

    def again(self, planted: Sequence[Planted], flow: Flow) -> str:
        """What is false of the flow if it is asked alone."""
        (one,) = self.try_rules(planted, [flow])
        return one.problem

    def shrunk(self, planted: Sequence[Planted], flow: Flow) -> tuple[Sequence[Planted], str]:
        """The fewest of the rules with which the flow is still misjudged."""
        said = ""

        def fails(fewer: Sequence[Planted]) -> bool:
            nonlocal said
            problem = self.again(fewer, flow)
            said = problem or said
            return bool(problem)

        return fewest(planted, fails), said


class Run:
    """Labs one after the other, in several threads, until there are enough flows or no time is left."""

    def __init__(self, count: Count, until: float, most: int, root: str = "/", sets: int = _SETS) -> None:
        self.count = count
        self._until = until
        self._most = most
        self._root = root
        self._sets = sets
        self._lock = threading.Lock()

    @property
    def over(self) -> bool:
        """Whether it is enough."""
        return self.count.flows >= self._most or time.monotonic() > self._until

    def keep(self, file: Path | None, shown: Path | None) -> None:
        """Write the counts so far into a file, and the page of all that is in it."""
        with self._lock:
            runs = [self.count] if file is None else save(self.count, file)
            if shown is not None:
                shown.write_text(page(runs))

    def lab(self, rng: random.Random, name: str) -> None:
        """One lab of a random engine, and some sets of rules in it."""
        layout = rng.choice(LAYOUTS)
        words = layout.draw(rng)
        held = rng.random() < 0.7
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "witness.yaml")
            file.write_text(layout.scenario.format(**words))
            with netlab.Lab(str(file), name=name) as lab:
                bench = Bench(lab, layout, self._root, held=held)
                with contextlib.closing(bench):
                    with self._lock:
                        self.count.labs += 1
                    for _ in range(self._sets):
                        if self.over:
                            return
                        self.ruleset(bench, random.Random(rng.randrange(1 << 32)), words)

    def ruleset(self, bench: Bench, rng: random.Random, words: Mapping[str, str]) -> None:
        """Some random rules, and some flows of which one is the rules' own."""
        place, question = place_of(bench.lab, bench.layout, rng)
        kinds = ORDINARY if rng.random() < 0.4 else KINDS
        if place.protocol == "icmp":
            kinds = PINGED
        number = rng.choice([0, 1, 1, 1, 2, 3])
        # A name never comes twice in a lab: a table made anew would have the handles of the one before.
        planted = [rng.choice(kinds)(rng, f"w{next(bench.numbers)}", place) for _ in range(number)]
        others = rng.sample(bench.layout.questions, _OTHERS)
        flows = flows_of(bench.lab, [question, *others])
        try:
            results = bench.try_rules(planted, flows)
        except CommandFailed:
            return
        with self._lock:
            self.count.rulesets += 1
            for flow, one in zip(flows, results, strict=True):
                self._note(bench.layout, flow, planted, one, f"{words} {_shown(flow, planted)}")
        for flow, one in zip(flows, results, strict=True):
            if one.problem:
                self._look_again(bench, planted, flow, one, words)

    def _note(self, layout: Layout, flow: Flow, planted: Sequence[Planted], one: Judged, shown: str) -> None:
        count, journey = self.count, one.journey
        unmeasured, undecided = journey.outcome == "unmeasured", journey.decided_by.kind == "unmeasured"
        count.flows += 1
        count.by_hand += is_by_hand(flow)
        count.twins += len(layout.hosts) > 1
        count.outcomes[journey.outcome] += 1
        count.hooks += one.compared.hooks
        count.connections += one.compared.connections
        count.unread += one.compared.missing and not one.compared.problem
        count.unmeasured += unmeasured
        count.undecided += undecided
        if all(rule.ordinary for rule in planted):
            count.ordinary += 1
            count.ordinary_unmeasured += unmeasured
            count.ordinary_undecided += undecided
            shown = f"ordinary {shown}"
        if unmeasured:
            count.hidden.append(f"{shown}: {journey.problem}")
        if undecided:
            count.hidden.append(f"{shown}: {journey.outcome}, {journey.decided_by.rule}")

    def _look_again(
        self, bench: Bench, planted: Sequence[Planted], flow: Flow, one: Judged, words: Mapping[str, str]
    ) -> None:
        """Ask a misjudged flow again, alone, and note it."""
        try:
            if not any(bench.again(planted, flow) for _ in range(3)):
                with self._lock:
                    if one.compared.missing and one.problem == one.compared.problem:
                        self.count.unread += 1
                        return
                    self.count.once.append(f"{words} {_shown(flow, planted)}: {one.problem}")
                    print("ONCE", self.count.once[-1], flush=True)
                return
            rules, said = bench.shrunk(planted, flow)
        except CommandFailed:
            rules, said = planted, one.problem
        with self._lock:
            self.count.false.append(f"{words} {_shown(flow, rules)}: {said or one.problem}")
            print("FALSE", self.count.false[-1], flush=True)


def _wait(seconds: float) -> None:
    """Nothing that can be polled tells when another program has written."""
    select.select([], [], [], seconds)


def _shown(flow: Flow, planted: Sequence[Planted]) -> str:
    rules = "; ".join(f"{rule.node}: {rule.words}" for rule in planted)
    return f"{flow} {flow.family.word} [{rules}]"


def nft_version(root: str) -> str:
    """``1.0.6``."""
    command = [*([] if root == "/" else ["chroot", root]), "nft", "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(" ")[1].strip("v")


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--flows", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--labs", type=int, default=3, help="at the same time")
    parser.add_argument("--root", default="/", help="a root file system whose nft is the second decoder")
    parser.add_argument("--runs", type=Path, default=None, help="where the counts are kept and added up")
    parser.add_argument("--page", type=Path, default=None, help="the page of all runs of --runs")
    return parser.parse_args(arguments)


def main() -> int:
    """Run until there are enough flows or no time is left; 1 if netlab said anything false."""
    asked = options()
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(1 << 32)
    count = Count(seed, revision(), nft_version(asked.root))
    run = Run(count, time.monotonic() + asked.seconds, asked.flows, asked.root)
    numbers = itertools.count()

    def labs() -> None:
        while not run.over:
            number = next(numbers)
            try:
                run.lab(random.Random(f"{seed}/{number}"), f"witness-{os.getpid()}-{number}")
            except (NetlabError, CommandFailed, OSError) as error:
                print("LAB", number, error, flush=True)

    threads = [threading.Thread(target=labs) for _ in range(asked.labs)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        _wait(10)  # then the counts are kept: a long run may be broken off
        run.keep(asked.runs or RUNS if asked.page or asked.runs else None, asked.page)
    print(count.words())
    for line in count.hidden[:20]:
        print("UNMEASURED", line)
    return 1 if count.false else 0


if __name__ == "__main__":
    sys.exit(main())
