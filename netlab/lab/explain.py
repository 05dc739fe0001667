"""Find the rule that blocks or allows a flow, and try a change in the lab."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netlab.journey.advise import Advice, Wish, advise, wish_of
from netlab.journey.matrix import matrix
from netlab.lab.client.client import collect
from netlab.lab.client.instrument import lent
from netlab.model.errors import LabError

if TYPE_CHECKING:
    from netlab.lab.client.client import Client
    from netlab.measure.worker import RemoteSession
    from netlab.model.flow import Flow
    from netlab.model.journey import Journey

#: An accept may only lead to the next chain that drops: raw, then filter, then the answer's way.
_MOST_RULES = 4


@dataclass(frozen=True, slots=True)
class Experiment:
    """A flow of the matrix whose answer is another one with the rules than without."""

    before: Journey
    after: Journey


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was asked, what would change it, and what did change when it was tried.

    ``rules`` is empty where no rule of a host can change the outcome. ``others`` are the flows of the matrix
    that changed too; ``compared`` is how many were looked at.
    """

    before: Journey
    wish: Wish | None
    rules: tuple[Advice, ...]
    after: Journey | None
    others: tuple[Experiment, ...]
    compared: int

    @property
    def proved(self) -> bool:
        """Whether the rules did what they are for, to this flow and to no other.

        Allowed is what no rule stops any more: nobody may be listening there.
        """
        if self.after is None or self.others or self.after.outcome == "unmeasured":
            return False
        if self.wish == "block":
            return self.after.outcome != "ok"
        return self.after.outcome != "timeout" and wish_of(self.after) != "allow"


def explain(client: Client, flow: Flow, *, session: RemoteSession | None = None) -> Explanation:
    """Try it in a lab that stands; its rules are as before when this returns.

    ``session`` is one that the caller has open and lends for so long.
    Raises LabError if a rule cannot be added or taken away again.
    """
    flows = [flow, *_others(client, flow)]
    with lent(client, session) as using:
        before = using.measure(flows)
        wish = wish_of(before[0])
        if wish is None:
            return Explanation(before[0], None, (), None, (), 0)
        undo: list[tuple[str, tuple[str, ...]]] = []
        try:
            rules, last = _try(client, using, flow, before[0], wish, undo)
            after = using.measure(flows) if rules else []
        finally:
            for node, argv in reversed(undo):
                _run(client, node, argv)
    if not rules:
        return Explanation(before[0], wish, (), None, (), 0)
    pairs = zip(before[1:], after[1:], strict=True)
    others = tuple(Experiment(b, a) for b, a in pairs if _answer(b) != _answer(a))
    return Explanation(before[0], wish, tuple(rules), after[0] if last else None, others, len(flows) - 1)


def _others(client: Client, flow: Flow) -> list[Flow]:
    """The matrix without the flow itself, which may stand in it under another name."""

    def packet(one: Flow) -> tuple[object, ...]:
        return one.origin, one.address, one.port, one.protocol, one.via

    return [cell.flow for cell in matrix(client.plan) if packet(cell.flow) != packet(flow)]


def _try(
    client: Client,
    session: RemoteSession,
    flow: Flow,
    journey: Journey,
    wish: Wish,
    undo: list[tuple[str, tuple[str, ...]]],
) -> tuple[list[Advice], Journey | None]:
    """Add rules until the wish is granted, or none is known that helps; ``undo`` takes them away again."""
    rules: list[Advice] = []
    while len(rules) < _MOST_RULES:
        advice = advise(journey, wish)
        if advice is None or advice in rules:
            break
        undo.append((advice.node, _add(client, advice)))
        rules.append(advice)
        (journey,) = session.measure([flow])
        if wish_of(journey) != wish:
            break
    return rules, journey if rules else None


def _add(client: Client, advice: Advice) -> tuple[str, ...]:
    """Add a rule; returns the command that removes it."""
    if advice.remove:
        _run(client, advice.node, advice.add)
        return advice.remove
    # nft names the new rule by its handle: ``insert rule … # handle 7`` with --echo --handle (nft(8))
    output = _run(client, advice.node, (advice.add[0], "--echo", "--handle", *advice.add[1:]))
    handle = output.rpartition("# handle ")[2].split()[0]
    return "nft", "delete", "rule", *advice.add[3:6], "handle", handle


def _run(client: Client, node: str, argv: tuple[str, ...]) -> str:
    done = collect(client, node, argv)
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def _answer(journey: Journey) -> tuple[str, str, str | None]:
    return journey.outcome, journey.path, journey.sees.address if journey.sees else None
