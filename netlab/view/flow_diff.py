"""Flows that differ between two variants, in words: each change once, with all flows that it concerns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netlab.journey.advise import stopped_by
from netlab.journey.expect import decision_words
from netlab.journey.flow_diff import KINDS, FlowChange, FlowDiff
from netlab.journey.fold import folded
from netlab.view import rich
from netlab.view.matrix_flows import answer_words

if TYPE_CHECKING:
    from rich.text import Text

    from netlab.model.journey import Journey


@dataclass(frozen=True, slots=True)
class _Flows:
    """Flows with one change, as people write them: ``client, neighbour -> host:[80,443]/tcp``."""

    origins: tuple[str, ...]
    place: str
    protocol: str
    ports: tuple[str, ...]
    families: tuple[str, ...]
    about: str

    def __str__(self) -> str:
        ports = ",".join(self.ports)
        ports = f":[{ports}]" if len(self.ports) > 1 else f":{ports}" if ports else ""
        return f"{', '.join(self.origins)} -> {self.place}{ports}/{self.protocol}"


def flow_lines(flows: FlowDiff) -> Iterator[Text]:
    """Every kind of change with a heading, followed by each change and the flows that it concerns."""
    for label, reason in flows.refusals:
        yield from heading("reachability was not measured")
        yield rich.Text(f"  {label} does not apply: {reason}")
    if flows.refusals:
        return
    yield from change_lines(flows)
    yield rich.Text("")
    yield rich.Text(f"{flows.same} flows stay the same.")


def change_lines(flows: FlowDiff) -> Iterator[Text]:
    """The flows that change, by kind; nothing of those that stay."""
    for kind, title in KINDS.items():
        found = flows.of(kind)
        if not found:
            continue
        yield from heading(title, str(len(found)))
        groups: dict[tuple[str, ...], list[FlowChange]] = {}
        for change in found:
            groups.setdefault((*_both(change), *_reasons(change)), []).append(change)
        for (before, after, *reasons), changes in groups.items():
            yield rich.Text.assemble(f"  {before}", (" -> ", "bold"), after)
            for words in reasons:
                yield rich.Text(f"      {words}", style="dim")
            for one in _folded(changes):
                yield rich.Text.assemble(f"    {one}  ", (f"{', '.join(one.families)}, {one.about}", "dim"))


def heading(title: str, note: str = "") -> Iterator[Text]:
    """An empty line and a title, followed by ``note``."""
    yield rich.Text("")
    yield rich.Text.assemble((title, "bold"), (f"  {note}" if note else "", "dim"))


def _both(change: FlowChange) -> tuple[str, str]:
    """Both journeys in a few words; with addresses where ``sender`` would hide which of its own it was."""
    before, after = _words(change.before), _words(change.after)
    if before == after and change.before is not None and change.after is not None:
        return answer_words(change.before), answer_words(change.after)
    return before, after


def _words(journey: Journey | None) -> str:
    """A journey in a few words. ``sender``: the server saw an address of the origin's own."""
    if journey is None:
        return "-"
    words = answer_words(journey)
    if journey.sees is not None and journey.sees.node == journey.flow.origin:
        return words.replace(journey.sees.address, "sender", 1)
    return words


def _reasons(change: FlowChange) -> Iterator[str]:
    """The rule or policy that drops or rejects a flow, on the side that has one."""
    for when, journey in (("before: kept out by", change.before), ("now: kept out by", change.after)):
        stopped = stopped_by(journey) if journey is not None else None
        if stopped is None:
            if journey is not None and journey.outcome != "ok" and journey.decided_by.kind == "route":
                yield f"{when} {decision_words(journey.decided_by)}: {journey.decided_by.rule}"
            continue
        if stopped.kind == "rule":
            reason = f": {stopped.reason}" if stopped.reason else ""
            yield f"{when} {stopped.family} {stopped.table} {stopped.rule}{reason}"
        else:
            yield f"{when} the policy of {stopped.family} {stopped.table} {stopped.chain}"


def _folded(changes: Sequence[FlowChange]) -> list[_Flows]:
    """Flows that differ in family, port or origin only, as one."""
    found = [
        _Flows(
            (change.cell.flow.origin,),
            str(change.cell.flow.target),
            change.cell.flow.protocol,
            () if change.cell.flow.port is None else (str(change.cell.flow.port),),
            (change.cell.flow.family.word,),
            ", ".join(filter(None, (change.cell.role, change.cell.publication))),
        )
        for change in changes
    ]
    return folded(found, "families", "ports", "origins")
