"""Find what blocks or allows a flow, and try a change in the lab."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from netlab.journey.advise import Advice, Wish, advise, granted, wish_of
from netlab.journey.matrix import matrix
from netlab.journey.remedies import cause, remedies
from netlab.lab.client.instrument import lent
from netlab.lab.client.programs import collect
from netlab.model.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlab.lab.client.client import Client
    from netlab.measure.worker import RemoteSession
    from netlab.model.family import Family
    from netlab.model.flow import Flow
    from netlab.model.journey import Journey

#: After an accept, the next chain may drop: raw, then filter, then on the path of the answer.
_MOST_RULES = 4


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


def explain(client: Client, flow: Flow, *, session: RemoteSession | None = None) -> Explanation:
    """Try the rules in a running lab, and remove them again.

    ``session`` is an open session of the caller. Raises LabError if a change cannot be undone.
    """
    flows = [flow, *_others(client, flow)]
    with lent(client, session) as using:
        before = using.measure(flows)
        wish = wish_of(before[0])
        if wish is None:
            return Explanation(before[0], None, (), None, (), 0, cause=cause(before[0]))
        trial = _Trial(client, using, flow, wish)
        try:
            trial.run(before[0])
            after = using.measure(flows) if trial.kept else []
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
    """Changes in a lab that bring a flow nearer to what is wished, until it is granted."""

    client: Client
    session: RemoteSession
    flow: Flow
    wish: Wish
    kept: list[Advice] = field(default_factory=list)
    failed: list[Advice] = field(default_factory=list)
    undone: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

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
                remove = self._add(advice)
            except LabError:  # the tool refused it: a table of another process, say
                self.failed.append(advice)
                continue
            self.undone.append((advice.node, remove))
            (after,) = self.session.measure([self.flow])
            if _helped(journey, after, self.wish):
                self.kept.append(advice)
                return after
            self.undone.pop()
            _run(self.client, advice.node, remove)
            self.failed.append(advice)
        return None

    def _candidates(self, journey: Journey) -> Iterator[Advice]:
        rule = advise(journey, self.wish)
        if rule is not None:
            yield rule
        yield from remedies(journey, self.client.plan, _Settings(self.client))

    def _add(self, advice: Advice) -> tuple[str, ...]:
        """Change the lab; returns the command that changes it back."""
        if advice.remove:
            _run(self.client, advice.node, advice.add)
            return advice.remove
        # nft names the new rule by its handle: ``insert rule … # handle 7`` with --echo --handle (nft(8))
        output = _run(self.client, advice.node, (advice.add[0], "--echo", "--handle", *advice.add[1:]))
        handle = output.rpartition("# handle ")[2].split()[0]
        return "nft", "delete", "rule", *advice.add[3:6], "handle", handle

    def undo(self) -> None:
        """Change everything back."""
        while self.undone:
            _run(self.client, *self.undone.pop())


def _helped(before: Journey, after: Journey, wish: Wish) -> bool:
    if after.outcome == "unmeasured":
        return False
    if wish == "block":
        return after.outcome != "ok"
    was, now = (replace(one.decided_by, packet=None) for one in (before, after))
    return (after.outcome, now) != (before.outcome, was)


class _Settings:
    """What the kernel of a lab's node says now."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def sysctl(self, node: str, name: str) -> str | None:
        """The value of a sysctl; None if it does not exist."""
        done = collect(self._client, node, ("sysctl", "-n", name))
        return done.stdout.strip() if done.returncode == 0 else None

    def routes(self, node: str, family: Family) -> Sequence[str]:
        """The lines of ``ip route show table all``."""
        return collect(
            self._client, node, ("ip", f"-{int(family)}", "route", "show", "table", "all")
        ).stdout.splitlines()


def _others(client: Client, flow: Flow) -> list[Flow]:
    """The matrix without the flow itself, which may be in it under another name."""

    def packet(one: Flow) -> tuple[object, ...]:
        return one.origin, one.address, one.port, one.protocol, one.via

    return [cell.flow for cell in matrix(client.plan) if packet(cell.flow) != packet(flow)]


def _run(client: Client, node: str, argv: tuple[str, ...]) -> str:
    done = collect(client, node, argv)
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def _answer(journey: Journey) -> tuple[str, str, str | None]:
    return journey.outcome, journey.path, journey.sees.address if journey.sees else None
