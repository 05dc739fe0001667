"""What may be reached, and nothing else: an exposure against a list of targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netlab.exposure.diagrams import PROTOCOLS, Packets
from netlab.exposure.exposure import Exposure, Part
from netlab.exposure.fate import UNSURE
from netlab.exposure.lines import Region
from netlab.exposure.select import towards
from netlab.exposure.witness import one_witness
from netlab.exposure.words import box_text, fate_text
from netlab.model.errors import UsageError
from netlab.model.flow import Flow, FlowPattern
from netlab.model.plan import Plan
from netlab.model.problem import Position
from netlab.scenario.exposures import EXPECTED, is_reached, parse_reached

#: targets that a message names at most
_MOST = 5


@dataclass(frozen=True, slots=True)
class Offence:
    """What is not as expected, in words, with a packet that shows it.

    ``sure`` is False if the region depends on more than a packet, or the model does not know it: it may be as
    expected.
    """

    text: str
    witness: Flow | None = None
    sure: bool = True

    def __str__(self) -> str:
        if self.witness is None:
            return self.text
        flow = self.witness
        return f"{self.text}; for example {flow} {flow.family.word}"


def offences(
    exposure: Exposure, reaches: Sequence[str | FlowPattern], *, nothing_else: bool
) -> list[Offence]:
    """What is otherwise: a target of ``reaches`` that no packet reaches; a port that is open besides them.

    A target is written as in a flow: ``host:80/tcp``, ``web:[80,443]``, ``[2001:db8::1]:53/udp``. A target by
    name must be reached in one family at least. ICMP echo counts only where ``reaches`` names it. What
    depends on more than a packet is no more than a doubt. Raises UsageError and ScenarioError for what is no
    target.
    """
    patterns = [one if isinstance(one, FlowPattern) else _pattern(one) for one in reaches]
    echo = any(pattern.protocol == "icmp" for pattern in patterns)
    found = list(filter(None, (_unreached(exposure, pattern) for pattern in patterns)))
    if nothing_else:
        for part in exposure.parts:
            allowed = part.diagrams.union(_packets(exposure.plan, part, one) for one in patterns)
            if not echo:
                allowed |= part.diagrams.field("protocol", [(PROTOCOLS.index("icmp"),) * 2])
            found += _others(exposure.plan, part, allowed)
    return found


def _unreached(exposure: Exposure, pattern: FlowPattern) -> Offence | None:
    """What is wrong with a target of which no packet is known to reach it."""
    doubts = []
    for part in exposure.parts:
        packets = _packets(exposure.plan, part, pattern)
        for region in part.regions:
            if packets & region.packets == part.diagrams.none:
                continue
            if region.fate.open:
                return None
            if region.fate.word in UNSURE:
                doubts.append(fate_text(region.fate))
    text = pattern.text.partition("-> ")[2]
    if doubts:
        return Offence(f"whether a packet reaches {text} is not known: {doubts[0]}", sure=False)
    return Offence(f"{text} is not reached by any packet from {_places(exposure)}")


def _others(plan: Plan, part: Part, allowed: Packets) -> list[Offence]:
    """The regions that are open, or may be, to packets which are not allowed."""
    found = []
    for region in part.regions:
        packets, unsure = region.packets & ~allowed, region.fate.word in UNSURE
        if not (region.fate.open or unsure) or packets == part.diagrams.none:
            continue
        boxes = part.boxes.cover(packets, packets | ~part.asked)
        words = [box_text(box, part.family) for box in boxes]
        more = f" and {len(words) - _MOST} more" if len(words) > _MOST else ""
        text = f"{part.family.word} from {part.entry}: {'; '.join(words[:_MOST])}{more}"
        witness = one_witness(plan, part, Region(region.fate, packets))
        end = "which may be open" if unsure else "which nobody expects"
        found.append(Offence(f"{text} → {fate_text(region.fate)}, {end}", witness, sure=not unsure))
    return found


def _pattern(text: str) -> FlowPattern:
    found = parse_reached(text, Position("reaches", 1, 1))
    if not is_reached(found):
        raise UsageError(f"{text}: {EXPECTED}")
    return found


def _packets(plan: Plan, part: Part, pattern: FlowPattern) -> Packets:
    """The packets that a target means."""
    diagrams, target = part.diagrams, pattern.target
    number = PROTOCOLS.index(pattern.protocol)
    packets = towards(plan, diagrams, str(target.address or target.name))
    packets &= diagrams.field("protocol", [(number, number)])
    if pattern.protocol != "icmp" and pattern.ports is not None:
        packets &= diagrams.field("dport", pattern.ports)
    return packets


def _places(exposure: Exposure) -> str:
    return ", ".join(dict.fromkeys(str(part.entry) for part in exposure.parts))
