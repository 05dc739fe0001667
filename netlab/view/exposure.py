"""An exposure: lines for people, regions and their boxes for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from netlab.exposure.words import box_json, box_text, fate_text
from netlab.view import rich

if TYPE_CHECKING:
    from rich.text import Text

    from netlab.exposure.described import Described, DescribedLine
    from netlab.exposure.difference import Comparison, FateChange
    from netlab.exposure.proof import Proof
    from netlab.model.family import Family
    from netlab.predict.evaluate import RuleName
    from netlab.view.documents.exposure import (
        ExposureDifferenceDocument,
        ExposureDocument,
        ProofDocument,
        RuleNameDocument,
    )


def report(exposure: Described) -> Iterator[Text]:
    """For each place and family a heading, and the lines from top to bottom."""
    for number, part in enumerate(exposure.parts):
        if number:
            yield rich.Text("")
        yield rich.Text(f"{part.family.word} from {part.place}", style="bold")
        for line in part.lines:
            yield _line(line)
    if exposure.unused:
        yield rich.Text("")
        yield rich.Text("rules that never decide anything", style="bold")
    for unused in exposure.unused:
        yield rich.Text(f"  {unused}")


def _line(line: DescribedLine) -> Text:
    fate = line.fate
    style = "green" if fate.open else "yellow" if fate.word in ("depends", "unknown") else ""
    return rich.Text.assemble(f"  {line.packets} → ", (fate_text(fate), style), (line.rules, "dim"))


def document(exposure: Described) -> ExposureDocument:
    """Everything as JSON: each region has its fate, disjoint from the others', and boxes that are exact."""
    return {
        "parts": [
            {
                "family": part.family.word,
                "from": part.place,
                "lines": [f"{line.packets} → {fate_text(line.fate)}{line.rules}" for line in part.lines],
                "regions": [
                    {
                        "fate": region.fate.to_json(),
                        "accepted": _rules(region.accepted),
                        "boxes": [box_json(box, part.family) for box in region.boxes],
                    }
                    for region in part.regions
                ],
            }
            for part in exposure.parts
        ],
        "unused": [{**_rules([one.rule])[0], "shadowed_by": _rules(one.by)} for one in exposure.unused],
    }


def _rules(names: Iterable[RuleName]) -> list[RuleNameDocument]:
    return [
        {"node": one.node, "family": one.family, "table": one.table, "chain": one.chain, "rule": one.text}
        for one in names
    ]


def difference_report(labels: tuple[str, str], found: Sequence[Comparison]) -> Iterator[Text]:
    """Each set of packets whose fate differs: what opens first, then what closes, with a packet of it."""
    yield rich.Text.assemble((labels[0], "bold"), " -> ", (labels[1], "bold"))
    for one in found:
        yield rich.Text(f"{one.family.word} from {one.place}", style="bold")
        if one.missing:
            yield rich.Text("  only one of the two has this place", style="yellow")
        elif not one.changes:
            yield rich.Text("  no packet has another fate")
        for change in one.changes:
            yield from _change_lines(change, one.family)


def _change_lines(change: FateChange, family: Family) -> Iterator[Text]:
    style = {True: "red", False: "green", None: ""}[change.opens]
    sign = {True: "+", False: "-", None: "~"}[change.opens]
    for box in change.boxes:
        yield rich.Text(f"  {sign} {box_text(box, family)}", style=style)
    yield rich.Text(f"      {fate_text(change.before)}")
    yield rich.Text(f"    → {fate_text(change.after)}")
    if change.witness is not None:
        yield rich.Text(f"    for example {change.witness}", style="dim")


def difference_document(labels: tuple[str, str], found: Sequence[Comparison]) -> ExposureDifferenceDocument:
    """The comparison as JSON."""
    return {
        "labels": list(labels),
        "parts": [
            {
                "family": one.family.word,
                "from": one.place,
                "only_one_has_it": one.missing,
                "changes": [
                    {
                        "before": change.before.to_json(),
                        "after": change.after.to_json(),
                        "opens": change.opens,
                        "boxes": [box_json(box, one.family) for box in change.boxes],
                        "witness": None if change.witness is None else str(change.witness),
                    }
                    for change in one.changes
                ],
            }
            for one in found
        ],
    }


def proof_lines(proof: Proof) -> Iterator[Text]:
    """What the kernel said, a line for each packet that did otherwise."""
    yield rich.Text("")
    agreed = proof.tried - len(proof.wrong)
    yield rich.Text(
        f"The kernel agrees: {agreed} of {proof.tried} packets from the inside and the edges of "
        f"{proof.regions} regions did what their region says",
        style="red" if proof.wrong else "green",
    )
    for one in proof.wrong:
        flow, family = one.witness.flow, one.witness.flow.family.word
        where = f"{one.witness.place} of: {fate_text(one.witness.fate)}"
        yield rich.Text(f"  {flow} {family} ({where}): {one.problem}", style="red")
    if proof.unsent:
        names = ", ".join(sorted({one.flow.protocol for one in proof.unsent}))
        yield rich.Text(f"  not sent: {len(proof.unsent)} packets, this kernel has no sockets of {names}")
    if proof.unproved:
        yield rich.Text(
            f"  not proved: {proof.unproved} regions that no node of the lab can send to, or open"
        )


def proof_document(proof: Proof) -> ProofDocument:
    """The proof as JSON."""
    return {
        "packets": proof.tried,
        "regions": proof.regions,
        "unproved": proof.unproved,
        "unmeasured": [str(one.flow) for one in proof.unmeasured],
        "unsent": [str(one.flow) for one in proof.unsent],
        "disagreements": [
            {
                "flow": str(one.witness.flow),
                "family": one.witness.flow.family.word,
                "place": one.witness.place,
                "region": one.witness.fate.to_json(),
                "problem": one.problem,
                "journey": one.journey.to_json(),
            }
            for one in proof.wrong
        ],
    }
