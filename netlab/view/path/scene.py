"""What a picture of a journey shows: for each leg the hooks and their base chains, and how the packet passed.

A *scene* is the Netfilter diagram of one host for one leg. All hooks are in it; those that the packet passed
have their *chains*, which are the base chains in the order in which the kernel asks them. Which ones there
are comes from the host's planned rules, what happened at them from the journey; a chain that only the
journey knows stands where the packet met it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final, Literal

from netlab.journey.advise import stopped_by
from netlab.model.journey import DecidedBy, HookVisit, Journey, Leg, Packet
from netlab.view.hits import STOPPED, Branch, chain_of, decides, ends, is_jump, nested
from netlab.view.path.base_chains import base_chains

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from netlab.model.plan import Plan
    from netlab.view.path.base_chains import BaseChain

    #: a hook that was passed, and the addresses with which the packet left it
    _Pass = tuple[HookVisit, Packet]

HOOKS: Final = ("prerouting", "input", "forward", "output", "postrouting")
State = Literal["idle", "passed", "allowed", "stopped"]


@dataclass(frozen=True, slots=True)
class ChainVisit:
    """A base chain at a hook (``ip nat PREROUTING``), or ``conntrack``.

    ``entered`` are the chains to which it led, in order. ``verdict`` is that of the last rule that matched,
    or the policy; empty if the journey says nothing of this chain. ``state`` is ``allowed`` or ``stopped`` if
    it decided the outcome.
    """

    name: str
    state: State
    entered: tuple[str, ...] = ()
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """A hook that was passed: its chains, links, and the addresses with which the packet came and left."""

    hook: str
    chains: tuple[ChainVisit, ...]
    iif: str | None
    oif: str | None
    came: Packet
    left: Packet
    stopped: bool

    @property
    def changed(self) -> bool:
        """Whether addresses were rewritten here."""
        return self.came != self.left


@dataclass(frozen=True, slots=True)
class Scene:
    """One leg in a host: the stages in the order in which they were passed.

    ``sender`` is the program or node that sent it to OUTPUT, ``taker`` who got it from INPUT, else empty.
    ``ended`` says why the packet went no further, if that was neither a rule nor a policy.
    """

    title: str
    stages: tuple[Stage, ...]
    sender: str = ""
    taker: str = ""
    ended: str = ""

    def stage(self, hook: str) -> Stage | None:
        """The stage of a hook; None if it was not passed."""
        for stage in self.stages:
            if stage.hook == hook:
                return stage
        return None


@dataclass(frozen=True, slots=True)
class Picture:
    """A journey's picture: its scenes, and the hooks of a bridge that switched it."""

    scenes: tuple[Scene, ...]
    switched: tuple[Stage, ...]


def picture(journey: Journey, plan: Plan | None = None) -> Picture:
    """The picture of a journey; with a ``plan``, also the chains that the journey does not mention."""
    return _Build(journey, plan).picture()


class _Build:
    def __init__(self, journey: Journey, plan: Plan | None) -> None:
        self._journey = journey
        self._hosts = {node.name: node for node in plan.nodes} if plan is not None else {}
        self._known: dict[tuple[str, str], list[BaseChain]] = {}

    def picture(self) -> Picture:
        journey, decision = self._journey, self._journey.decided_by
        forth, back = decision, DecidedBy("none")
        # An answer may match the rule that let the request pass: the rule is marked where it decided.
        if decision.direction == "reply":
            forth, back = back, forth
        scenes = [
            scene
            for number, leg in enumerate(journey.legs)
            for scene in self._scenes(leg, forth, last=number == len(journey.legs) - 1, answer=False)
        ]
        scenes += [
            scene for leg in journey.replies for scene in self._scenes(leg, back, last=False, answer=True)
        ]
        switched = [self._stage(visit, visit.packet, (), decision) for visit in journey.switched]
        return Picture(tuple(scenes), tuple(switched))

    def _scenes(self, leg: Leg, decision: DecidedBy, *, last: bool, answer: bool) -> Iterable[Scene]:
        """A scene for a leg; more if it passed a hook twice."""
        for number, visits in enumerate(_rounds(zip(leg.hooks, _lefts(leg), strict=True))):
            stages = [
                self._stage(visit, left, self._base_chains_of(leg.node, visit), decision)
                for visit, left in visits
            ]
            first, final = visits[0][0].hook, visits[-1][0]
            sends = first == "output" and not number
            takes = final.hook == "input" and not ends(final)
            end = last and final is leg.hooks[-1] and not ends(final)
            yield Scene(
                _title(leg, answer=answer, again=number > 0),
                tuple(stages),
                self._sender(leg, answer=answer) if sends else "",
                self._taker(leg, answer=answer) if takes else "",
                self._ended() if end else "",
            )

    def _base_chains_of(self, node: str, visit: HookVisit) -> Sequence[BaseChain]:
        if node not in self._hosts:
            return ()
        family = "ip6" if visit.packet.src.startswith("[") or visit.packet.src.count(":") > 1 else "ip"
        key = (node, family)
        if key not in self._known:
            self._known[key] = base_chains(self._hosts[node], family)
        return [chain for chain in self._known[key] if chain.hook == visit.hook]

    def _stage(
        self, visit: HookVisit, left: Packet, known: Sequence[BaseChain], decision: DecidedBy
    ) -> Stage:
        met = [_chain_visit(list(group), visit, decision, self._journey) for group in _by_chain(visit)]
        return Stage(
            visit.hook, tuple(_merged(known, met)), visit.iif, visit.oif, visit.packet, left, ends(visit)
        )

    def _sender(self, leg: Leg, *, answer: bool) -> str:
        if answer:
            return leg.by or self._journey.answered_by or ""
        return leg.by or self._journey.flow.origin

    def _taker(self, leg: Leg, *, answer: bool) -> str:
        """Who has what INPUT let in: the proxy whose own connection is the next leg, or who answered."""
        if answer:
            return self._journey.flow.origin
        following = self._journey.legs[self._journey.legs.index(leg) + 1 :]
        if following and following[0].by:
            return following[0].by
        return "" if self._journey.decided_by.kind == "socket" else self._journey.answered_by or ""

    def _ended(self) -> str:
        journey = self._journey
        if journey.outcome == "ok" or stopped_by(journey) is not None:
            return ""
        if journey.decided_by.kind == "socket":
            return "nothing listens on the port"
        return journey.decided_by.rule or ""


def _rounds(hooks: Iterable[_Pass]) -> Iterable[list[_Pass]]:
    """The visits, cut where a hook comes again."""
    visits: list[_Pass] = []
    for visit, left in hooks:
        if visit.hook in [one.hook for one, _ in visits]:
            yield visits
            visits = []
        visits.append((visit, left))
    if visits:
        yield visits


def _lefts(leg: Leg) -> Iterable[Packet]:
    """The addresses with which the packet left each hook: those with which it came to the next one."""
    yield from (visit.packet for visit in leg.hooks[1:])
    for visit in leg.hooks[-1:]:
        if ends(visit):
            yield visit.packet
        else:
            yield Packet(leg.nat.snat or visit.packet.src, leg.nat.dnat or visit.packet.dst)


def _title(leg: Leg, *, answer: bool, again: bool) -> str:
    words = f"the answer, {leg.node}" if answer else leg.node
    if leg.by:
        words += f" ({leg.by}'s own connection)"
    return f"{words}, again" if again else words


def _by_chain(visit: HookVisit) -> Iterable[Iterable[Branch]]:
    """What was met at a hook, by base chain."""
    return (list(group) for _, group in groupby(nested(visit.rules), key=_name))


def _name(branch: Branch) -> str:
    return chain_of(branch.hit)


def _chain_visit(
    branches: list[Branch], visit: HookVisit, decision: DecidedBy, journey: Journey
) -> ChainVisit:
    """What happened in a base chain."""
    at = branches[-1]
    while is_jump(at.hit) and at.below:
        at = at.below[-1]
    entered = tuple(dict.fromkeys(_entered(branches)))
    chosen = _any_decides(branches, visit, decision)
    state: State = "passed"
    if at.hit.verdict in STOPPED or (chosen and stopped_by(journey) is not None):
        state = "stopped"
    elif chosen:
        state = "allowed"
    return ChainVisit(_name(branches[0]), state, entered, at.hit.verdict)


def _entered(branches: Iterable[Branch]) -> Iterable[str]:
    """The chains to which the rules jumped, in order."""
    for one in branches:
        if is_jump(one.hit):
            yield one.hit.verdict.partition(" ")[2]
            yield from _entered(one.below)


def _any_decides(branches: Iterable[Branch], visit: HookVisit, decision: DecidedBy) -> bool:
    return any(
        decides(one.hit, visit, decision) or _any_decides(one.below, visit, decision) for one in branches
    )


def _merged(known: Sequence[BaseChain], met: Sequence[ChainVisit]) -> Iterable[ChainVisit]:
    """The chains that were met, in their order, with the known ones that were not in between."""
    by_name = {chain.name: chain for chain in met}
    left = list(met)
    told: set[str] = set()
    for chain in known:
        name = f"{chain.family} {chain.table} {chain.name}" if chain.table else chain.name
        if name in told:
            continue
        if name not in by_name:
            reached = name == "conntrack" and not any(
                one.state == "stopped" for one in met if one.name in told
            )
            yield ChainVisit(name, "passed" if reached else "idle")
        while name in by_name and name not in told:
            told.add(left[0].name)
            yield left.pop(0)
    yield from left
