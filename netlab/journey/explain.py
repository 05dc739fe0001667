"""Find what blocks or allows a flow, and try a change: in a lab, or in the model of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from netlab.journey.advise import Advice, Wish, advise, granted, wish_of
from netlab.journey.matrix import matrix
from netlab.journey.remedies import Settings, cause, remedies
from netlab.model.errors import LabError
from netlab.model.flow import Flow
from netlab.model.journey import Journey
from netlab.model.outcome import UNKNOWN
from netlab.model.plan import Plan

#: After an accept, the next chain may drop: raw, then filter, then on the path of the answer.
_MOST_RULES = 4


class Bench(Settings, Protocol):
    """Where changes are tried."""

    @property
    def plan(self) -> Plan:
        """Of the nodes."""

    def measure(self, flows: Sequence[Flow]) -> Sequence[Journey]:
        """What becomes of flows now."""

    def change(self, advice: Advice) -> Callable[[], object]:
        """Apply a change; returns what undoes it. Raises LabError if the tool refuses it."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """A flow of the matrix whose result the rules changed."""

    before: Journey
    after: Journey


@dataclass(frozen=True, slots=True)
class Explanation:
    """A flow's journey, the rules that change it, and what changed when netlab tried them.

    ::

        explanation = lab.explain("client -> host:80", family=4)
        print(explanation.wish, [advice.add for advice in explanation.rules])
        print(explanation.before.outcome, "->", explanation.after and explanation.after.outcome)

    ``rules`` are the commands that changed the result: rules, or sysctls and routes if those decided. It is
    empty if netlab knows of none; ``failed`` are those that netlab tried without success. ``cause`` says what
    to do if nothing listens. ``others`` are the other flows of the matrix that changed, too; ``compared`` is
    the number of flows that were compared.
    """

    before: Journey
    wish: Wish | None
    rules: tuple[Advice, ...]
    after: Journey | None
    others: tuple[Experiment, ...]
    compared: int
    failed: tuple[Advice, ...] = ()
    cause: str = ""

    @property
    def proved(self) -> bool:
        """Whether the rules changed this flow as intended, and no other.

        ::

            assert lab.explain("client -> host:80", family=4).proved

        A flow is allowed if nothing stops it any more, even if nothing listens on its port.
        """
        if self.after is None or self.others or self.wish is None:
            return False
        return granted(self.after, self.wish)


def explain(flow: Flow, bench: Bench) -> Explanation:
    """Try the rules where ``bench`` says, and remove them again; raises LabError if one cannot be undone."""
    (first,) = bench.measure([flow])
    wish = wish_of(first)
    if wish is None:
        return Explanation(first, None, (), None, (), 0, cause=cause(first))
    flows = [flow, *_others(bench.plan, flow)]
    before = [first, *bench.measure(flows[1:])]
    trial = _Trial(bench, flow, wish)
    try:
        trial.run(before[0])
        after = bench.measure(flows) if trial.kept else []
    finally:
        trial.undo()
    if not trial.kept:
        return Explanation(before[0], wish, (), None, (), 0, tuple(trial.failed))
    pairs = zip(before[1:], after[1:], strict=True)
    others = tuple(Experiment(b, a) for b, a in pairs if _answer(b) != _answer(a))
    return Explanation(
        before[0], wish, tuple(trial.kept), after[0], others, len(flows) - 1, tuple(trial.failed)
    )


@dataclass
class _Trial:
    """Changes that bring a flow nearer to what is wished, until it is granted."""

    bench: Bench
    flow: Flow
    wish: Wish
    kept: list[Advice] = field(default_factory=list)
    failed: list[Advice] = field(default_factory=list)
    undone: list[Callable[[], object]] = field(default_factory=list)

    def run(self, journey: Journey) -> None:
        """Keep what helps; if in the end the wish is not granted, nothing of it did."""
        while len(self.kept) < _MOST_RULES and not granted(journey, self.wish):
            better = self._step(journey)
            if better is None:
                break
            journey = better
        if not granted(journey, self.wish):
            self.undo()
            self.failed = self.kept + self.failed
            self.kept = []

    def _step(self, journey: Journey) -> Journey | None:
        """The journey after the first change that makes it another one; None if none does."""
        for advice in self._candidates(journey):
            if advice in self.kept or advice in self.failed:
                continue
            try:
                remove = self.bench.change(advice)
            except LabError:  # the tool refused it: a table of another process, say
                self.failed.append(advice)
                continue
            self.undone.append(remove)
            (after,) = self.bench.measure([self.flow])
            if _helped(journey, after, self.wish):
                self.kept.append(advice)
                return after
            self.undone.pop()
            remove()
            self.failed.append(advice)
        return None

    def _candidates(self, journey: Journey) -> Iterator[Advice]:
        rule = advise(journey, self.wish)
        if rule is not None:
            yield rule
        yield from remedies(journey, self.bench.plan, self.bench)

    def undo(self) -> None:
        """Change everything back."""
        while self.undone:
            self.undone.pop()()


def _helped(before: Journey, after: Journey, wish: Wish) -> bool:
    if after.outcome in UNKNOWN:
        return False
    if wish == "block":
        return after.outcome != "ok"
    was, now = (replace(one.decided_by, packet=None) for one in (before, after))
    return (after.outcome, now) != (before.outcome, was)


def _others(plan: Plan, flow: Flow) -> list[Flow]:
    """The matrix without the flow itself, which may be in it under another name."""

    def packet(one: Flow) -> tuple[object, ...]:
        return one.origin, one.address, one.port, one.protocol, one.via

    return [cell.flow for cell in matrix(plan) if packet(cell.flow) != packet(flow)]


def _answer(journey: Journey) -> tuple[str, str, str | None]:
    return journey.outcome, journey.path, journey.sees.address if journey.sees else None
