"""What two plans make differently of the same packets: exact sets, with a packet of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netlab.exposure.boxes import Box
from netlab.exposure.diagrams import Diagrams, Packets
from netlab.exposure.exposure import Exposure, Part
from netlab.exposure.fate import Fate
from netlab.exposure.lines import Region, cost
from netlab.exposure.witness import one_witness
from netlab.model.family import FAMILIES, Family
from netlab.model.flow import Flow
from netlab.model.plan import Plan


@dataclass(slots=True)
class FateChange:
    """The packets that have one fate in the first plan and another one in the second."""

    before: Fate
    after: Fate
    packets: Packets
    boxes: tuple[Box, ...] = ()
    witness: Flow | None = None

    @property
    def opens(self) -> bool | None:
        """True: somebody takes them now; False: nobody does any more; None: neither."""
        if self.before.open == self.after.open:
            return None
        return self.after.open


@dataclass(slots=True)
class Comparison:
    """The changes at one place where packets enter; ``missing``: only one of the plans has this place."""

    place: str
    family: Family
    changes: list[FateChange]
    missing: bool = False


def compare(
    plans: tuple[Plan, Plan],
    origin: str = "outside",
    target: str | None = None,
    families: Sequence[Family] = FAMILIES,
) -> list[Comparison]:
    """The packets whose fate differs, by place and family; raises what :meth:`Exposure.of` raises."""
    diagrams: dict[Family, Diagrams] = {}
    first, second = (Exposure.of(plan, origin, target, families, diagrams) for plan in plans)
    others = {(str(part.entry), part.family): part for part in second.parts}
    found = []
    for part in first.parts:
        other = others.pop((str(part.entry), part.family), None)
        changes = [] if other is None else _changes(first.plan, part, other)
        found.append(Comparison(str(part.entry), part.family, changes, missing=other is None))
    return found + [Comparison(place, family, [], missing=True) for place, family in others]


def _changes(plan: Plan, one: Part, other: Part) -> list[FateChange]:
    none = one.diagrams.none
    found: dict[tuple[object, object], FateChange] = {}
    for before in one.regions:
        for after in other.regions:
            if _essence(before.fate) == _essence(after.fate):
                continue
            packets = before.packets & after.packets
            if packets == none:
                continue
            key = _essence(before.fate), _essence(after.fate)
            change = found.setdefault(key, FateChange(before.fate, after.fate, none))
            change.packets |= packets
    changes = list(found.values())
    unasked = ~one.asked
    for change in changes:
        change.boxes = one.boxes.cover(change.packets, change.packets | unasked)
        change.witness = one_witness(plan, one, Region(change.before, change.packets))
    return sorted(changes, key=lambda change: (change.opens is None, not change.opens, cost(change.boxes)))


def _essence(fate: Fate) -> tuple[object, ...]:
    """What of a fate somebody notices: not which rule it was that dropped a packet."""
    if fate.open or fate.word == "closed":
        return fate.word, fate.node, fate.service, fate.port, fate.sees, fate.path
    return fate.word, fate.why if fate.word in ("depends", "unknown") else ""
