"""Single packets of a region, as flows that can be predicted and measured, and whether a journey fits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from netlab.exposure.boxes import Box
from netlab.exposure.diagrams import PROTOCOLS
from netlab.exposure.exposure import Part
from netlab.exposure.fate import Fate
from netlab.exposure.lines import Region
from netlab.model.flow import Flow, Target
from netlab.model.journey import Journey
from netlab.model.plan import Plan
from netlab.predict.packet import address_text

#: the packets of a region that are tried at most
MOST: Final = 16
#: boxes of a region from which they are
_BOXES: Final = 6
_FIELDS: Final = ("dst", "dport", "src", "sport")
#: what a free field of a witness is, if its range has it: an unprivileged port, a free one
_USUAL: Final = {"dport": 8080, "sport": 40000}


@dataclass(frozen=True, slots=True)
class Witness:
    """One packet of a region, and its fate; ``place`` says where in it (``inside``, ``first dport``)."""

    place: str
    flow: Flow
    fate: Fate


def witnesses(plan: Plan, part: Part, region: Region) -> list[Witness]:
    """Packets from the inside of a region and from its edges, no more than :data:`MOST`.

    Without a node on the link of an interface that could send them, none.
    """
    sender = _sender(plan, part)
    if sender is None:
        return []
    boxes = part.boxes.cover(region.packets)[:_BOXES]
    found: dict[tuple[object, ...], Witness] = {}
    for box in boxes:
        for protocol in _protocols(box):
            for place, values in _values(part, box, protocol):
                if "sport" not in box:
                    # Any will do, and whoever sends packets from different ports can send all at once.
                    values.pop("sport", None)
                flow = _flow(part, sender, protocol, values)
                key = flow.protocol, flow.address, flow.port, flow.source, flow.source_port
                found.setdefault(key, Witness(place, flow, region.fate))
    return list(itertools.islice(found.values(), MOST))


def one_witness(plan: Plan, part: Part, region: Region) -> Flow | None:
    """A packet from the inside of a region."""
    return next((one.flow for one in witnesses(plan, part, region)), None)


def _sender(plan: Plan, part: Part) -> str | None:
    entry = part.entry
    if entry.interface is None:
        return entry.node
    peer = next(
        (
            one.peer
            for one in plan.node(entry.node).interfaces
            if one.name == entry.interface and one.peer is not None
        ),
        None,
    )
    if peer is None:
        return None
    segment, _ = peer
    for node in plan.nodes:
        if node.kind == "outside" and any(
            one.peer is not None and one.peer[0] == segment and one.up for one in node.interfaces
        ):
            return node.name
    return None


def _protocols(box: Box) -> list[int]:
    ranges = box.get("protocol", ((0, len(PROTOCOLS) - 1),))
    return [number for low, high in ranges for number in range(low, high + 1)]


def _values(part: Part, box: Box, protocol: int) -> Iterator[tuple[str, dict[str, int]]]:
    """The inside of a box, then the first and the last value of each of its fields."""
    echo = PROTOCOLS[protocol] == "icmp"
    fields = [name for name in _FIELDS if not (echo and name.endswith("port"))]
    if part.entry.interface is None:
        fields.remove("src")
    ranges = {name: box.get(name, ((0, (1 << part.diagrams.widths[name]) - 1),)) for name in fields}
    inside = {name: _inside(name, values) for name, values in ranges.items()}
    yield "inside", inside
    for name, values in ranges.items():
        if name not in box:
            continue
        for low, high in values:
            yield f"first {name}", {**inside, name: max(low, 1)}
            yield f"last {name}", {**inside, name: high}


def _inside(name: str, ranges: tuple[tuple[int, int], ...]) -> int:
    usual = _USUAL.get(name)
    if usual is not None and any(low <= usual <= high for low, high in ranges):
        return usual
    low, high = max(ranges, key=lambda pair: pair[1] - pair[0])
    return max(low + (high - low) // 2, 1)


def _flow(part: Part, sender: str, protocol: int, values: dict[str, int]) -> Flow:
    entry, family = part.entry, part.family
    address = address_text(family, values["dst"])
    source = address_text(family, values["src"]) if "src" in values else None
    return Flow(
        sender,
        Target(address=address),
        family,
        PROTOCOLS[protocol],
        values.get("dport"),
        address,
        via=entry.node if entry.interface is not None else None,
        source=source,
        source_port=values.get("sport"),
    )


def disagreement(fate: Fate, journey: Journey, plan: Plan) -> str | None:
    """What a journey says otherwise than a region; None if it agrees."""
    by = journey.decided_by
    ended = by.kind in ("rule", "policy") and by.direction == "original"
    if fate.word in ("dropped", "rejected"):
        found = (by.family, by.table, by.chain, by.rule or "") if ended else None
        if found != fate.by:
            return f"expected {fate.word} by {fate.by}, found {found or journey.outcome}"
    elif ended:
        return f"expected {fate.word}, it was dropped in {by.table} {by.chain}"
    if fate.path != journey.path and not (fate.path == "none" and journey.path in ("inside", "none")):
        return f"expected the path {fate.path}, found {journey.path}"
    if fate.open and journey.outcome == "ok" and journey.answered_by in {node.name for node in plan.nodes}:
        if journey.answered_by != fate.node:
            return f"expected an answer from {fate.node}, {journey.answered_by} answered"
        if journey.sees is not None and fate.sees not in (None, journey.sees.address):
            return f"expected the server to see {fate.sees}, it saw {journey.sees.address}"
    if fate.word == "refused" and journey.outcome == "ok":
        return f"expected that nothing listens, {journey.answered_by} answered"
    if fate.open and journey.outcome in ("refused", "no-route"):
        return f"expected that {fate.node} takes it, found {journey.outcome}"
    return None
