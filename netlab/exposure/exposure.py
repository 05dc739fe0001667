"""The exposure of a plan: all packets that enter at a place, by what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from netlab.exposure.boxes import Boxes
from netlab.exposure.diagrams import PROTOCOLS, Diagrams, Packets
from netlab.exposure.fate import Fate
from netlab.exposure.lines import Line, Region, describe
from netlab.exposure.select import entries, towards, unicast
from netlab.exposure.shadow import Unused, unused_rules
from netlab.exposure.walk import Entry, Walker
from netlab.exposure.words import fate_text, left_text, rules_text
from netlab.model.family import FAMILIES, Family
from netlab.model.flow import Flow
from netlab.model.plan import Plan
from netlab.predict.evaluate import RuleName
from netlab.predict.packet import address_number
from netlab.predict.predictor import Predictor


@dataclass
class Part:
    """The exposure to the packets of one family that enter at one place.

    The packets of ``regions`` are disjoint, and together all that were asked about (``asked``).
    """

    entry: Entry
    diagrams: Diagrams
    asked: Packets
    regions: list[Region] = field(default_factory=list)

    @property
    def family(self) -> Family:
        """The packets' family."""
        return self.diagrams.family

    @cached_property
    def boxes(self) -> Boxes:
        """What describes its sets."""
        return Boxes(self.diagrams)

    def has(self, region: Region, flow: Flow) -> bool:
        """Whether the first packet of a flow that enters here is in a region."""
        values = {
            "protocol": PROTOCOLS.index(flow.protocol),
            "dst": address_number(flow.address),
            "dport": flow.port,
            "src": address_number(flow.source) if flow.source else None,
            "sport": flow.source_port,
        }
        one = self.diagrams.every
        for name, value in values.items():
            if value is not None:
                one &= self.diagrams.field(name, [(value, value)])
        return bool(one & region.packets != self.diagrams.none)

    def lines(self) -> list[Line]:
        """The regions as few lines, to be read from the top."""
        return describe(self.boxes, self.regions, self.asked)

    def texts(self) -> list[str]:
        """The lines as text: ``tcp 80 to 198.51.100.1 → httpd, forward, sender's address kept``."""
        return [
            f"{left_text(line.box, self.family)} → {fate_text(line.region.fate)}{rules_text(line.region)}"
            for line in self.lines()
        ]


@dataclass
class Exposure:
    """What becomes of all packets at once.

    >>> exposure = netlab.Prediction("scenarios/httpd.yaml", engine="docker-28").exposure()
    >>> sorted({region.fate.word for part in exposure.parts for region in part.regions})[:3]
    ['dropped', 'lost', 'reaches']

    It has a part for each family and each place where packets enter. ``unused`` are the rules of the hosts
    that never decide anything.
    """

    plan: Plan
    parts: list[Part]
    unused: list[Unused] = field(default_factory=list)

    def __str__(self) -> str:
        """What ``netlab exposure`` prints."""
        return "\n".join(
            text
            for part in self.parts
            for text in (f"{part.family.word} from {part.entry}", *(f"  {line}" for line in part.texts()))
        )

    @classmethod
    def of(
        cls,
        plan: Plan,
        origin: str = "outside",
        target: str | None = None,
        families: Sequence[Family] = FAMILIES,
        diagrams: dict[Family, Diagrams] | None = None,
    ) -> Exposure:
        """The exposure of a plan to the packets from ``origin``, perhaps only of those to ``target``.

        Raises UsageError and ScenarioError.
        """
        places = entries(plan, origin)
        predictor = Predictor.of(plan)
        shared = diagrams if diagrams is not None else {}
        parts = []
        for family in families:
            made = shared.setdefault(family, Diagrams(family))
            walker = Walker(predictor, made)
            asked = unicast(made)
            if target is not None:
                asked &= towards(plan, made, target)
            if asked == made.none:
                continue
            parts += [_part(walker, place, asked) for place in places]
        return cls(plan, parts, unused_rules(predictor))


def _part(walker: Walker, place: Entry, asked: Packets) -> Part:
    diagrams = walker.diagrams
    sets: dict[Fate, list[Packets]] = {}
    rules: dict[Fate, dict[RuleName, None]] = {}
    for way in walker.ways(place, asked):
        fate = _own_port(diagrams, way.fate, way.packets)
        sets.setdefault(fate, []).append(way.packets)
        rules.setdefault(fate, {}).update(dict.fromkeys(way.accepted))
    regions = [Region(fate, diagrams.union(packets), tuple(rules[fate])) for fate, packets in sets.items()]
    return Part(place, diagrams, asked, regions)


def _own_port(diagrams: Diagrams, fate: Fate, packets: Packets) -> Fate:
    """The fate without the port to which NAT or a proxy changes it, where that is the packet's own."""
    if fate.port is None or packets & ~diagrams.field("dport", [(fate.port, fate.port)]) != diagrams.none:
        return fate
    return replace(fate, port=None)
