"""What changes from one variant to another: words for people, values for programs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from netlab.plan.diff import Inapplicable, PlacedRule, PlanDiff, PlanDifference, RuleChange, changed_lines
from netlab.view import rich
from netlab.view.flow_diff import flow_lines, heading

if TYPE_CHECKING:
    from rich.text import Text

    from netlab.journey.flow_diff import FlowDiff
    from netlab.model.plan import Note
    from netlab.view.documents.diff import (
        DiffDocument,
        DoesNotApplyDocument,
        FlowDiffDocument,
        PlacedRuleDocument,
        SideNoteDocument,
    )

#: sign and colour of what becomes of a thing
_SIGNS = {
    "goes": ("-", "red"),
    "comes": ("+", "green"),
    "moves": (">", "cyan"),
    "rewritten": ("~", "yellow"),
    "reordered": ("^", "blue"),
    "changes": ("~", "yellow"),
}
_TITLES = {
    "node": "nodes",
    "published port": "published ports",
    "typed rule": "typed by the administrator",
    "listener": "listeners",
    "sysctl": "sysctls",
    "interface": "links and addresses",
    "route": "routes",
    "file": "files",
}


#: What people rarely want to know: (topic, property); an empty property means all of the topic.
_DETAILS = {("interface", "mac"), ("listener", "arguments"), ("file", "")}
_NUMBER = re.compile(r"\d+")


def report(
    labels: tuple[str, str], plans: PlanDiff, flows: FlowDiff | None, *, full: bool = False
) -> Iterator[Text]:
    """The difference, line by line: measured flows, then rules, then everything else.

    Unless it is ``full``, rules that differ in numbers only are one line, and MAC addresses, arguments of
    docker-proxy and the contents of files are counted, not shown.
    """
    yield rich.Text.assemble((labels[0], "bold"), " -> ", (labels[1], "bold"))
    for label, lines in zip(labels, plans.inapplicable, strict=True):
        for entry in lines:
            yield rich.Text(f"does not apply to {label}: {entry.rule.text} ({entry.reason})", style="magenta")
    for label, notes in zip(labels, plans.notes, strict=True):
        for note in notes:
            yield rich.Text(f"note on {label}: {note.text}", style="magenta")
    if flows is not None:
        yield from flow_lines(flows)
    yield from _rules(plans, full=full)
    hidden = 0
    for topic, title in _TITLES.items():
        found = [change for change in plans.changes if change.topic == topic]
        shown = found if full else [short for change in found if (short := _short(change)) is not None]
        hidden += len(found) - len(shown)
        if shown:
            yield from heading(title)
            for change in shown:
                yield from _change(change)
    if hidden:
        yield rich.Text("")
        yield rich.Text(
            f"{hidden} more in files, MAC addresses and arguments of docker-proxy: --full", style="dim"
        )
    if plans.empty:
        yield rich.Text("\nThe two plans are the same.")


# ── rules ────────────────────────────────────────────────────────────────────────────────────────────────


def _rules(plans: PlanDiff, *, full: bool) -> Iterator[Text]:
    several = len({change.node for change in plans.rules}) > 1
    if plans.rules or plans.about("policy", "chain", "map"):
        yield from heading("rules", _count(plans))
    for change in plans.about("policy"):
        yield from _change(change, what="policy ")
    yield from _named_together(plans.about("chain"), "chains")
    yield from _named_together(plans.about("map"), "maps and sets")
    for (node, place), group in groupby(_by_chain(plans), key=lambda c: (c.node, c.rule.place)):
        yield rich.Text(f"  {node + ': ' if several else ''}{place}", style="bold cyan")
        alike: dict[object, list[RuleChange]] = {}
        for number, entry in enumerate(group):
            alike.setdefault(number if full else _likeness(entry), []).append(entry)
        for first, *others in alike.values():
            yield _rule(first, len(others))


def _named_together(changes: tuple[PlanDifference, ...], what: str) -> Iterator[Text]:
    """Chains and maps by name alone, a line for each node and table: their rules are shown one by one."""
    lines: dict[tuple[str, str, str], list[str]] = {}
    for change in changes:
        family, table, name = change.name.split(" ", 2)
        lines.setdefault((change.kind, change.node, f"{family} {table}"), []).append(name)
    for (kind, node, table), names in lines.items():
        sign, colour = _SIGNS[kind]
        yield rich.Text.assemble((f"  {sign} {node}: {what} of {table}", colour), f"  {', '.join(names)}")


def _count(plans: PlanDiff) -> str:
    kinds = [change.kind for change in plans.rules]
    words = [f"{kinds.count(kind)} {word}" for kind, word in _COUNTED.items() if kind in kinds]
    words.append(f"{plans.same_rules} stay")
    return ", ".join(words)


_COUNTED = {
    "goes": "go",
    "comes": "come",
    "moves": "move to another chain",
    "rewritten": "are rewritten",
    "reordered": "change places",
}


def _by_chain(plans: PlanDiff) -> list[RuleChange]:
    """Chains together, in the order of their first change: those of the first side, then the new ones."""
    order = {key: n for n, key in enumerate(dict.fromkeys((c.node, c.rule.place) for c in plans.rules))}
    return sorted(plans.rules, key=lambda change: order[change.node, change.rule.place])


def _likeness(change: RuleChange) -> tuple[object, ...]:
    """What rules have in common that differ in numbers only: ports, addresses, container numbers."""
    place = change.after.place if change.kind == "moves" and change.after is not None else ""
    return change.kind, _NUMBER.sub("N", change.rule.reason), _NUMBER.sub("N", change.rule.text), place


def _rule(change: RuleChange, others: int = 0) -> Text:
    """One rule, and how many ``others`` differ from it in numbers only."""
    sign, colour = _SIGNS[change.kind]
    rule = change.rule
    words = rule.reason
    if change.kind == "moves" and change.after is not None:
        words += f": to {change.after.place}"
    elif change.kind == "reordered":
        words += ": at another place"
    text = rule.text
    if change.after is not None and change.after.text != text:
        text += f"  =>  {change.after.text}"
    more = f"  and {others} more like it" if others else ""
    return rich.Text.assemble((f"    {sign} {words}", colour), ("  " + text, "dim"), more)


def _short(change: PlanDifference) -> PlanDifference | None:
    """A difference without its details; None if nothing remains."""
    if (change.topic, "") in _DETAILS:
        return None
    kept = [
        None if facts is None else {k: v for k, v in facts.items() if (change.topic, k) not in _DETAILS}
        for facts in (change.before, change.after)
    ]
    if change.kind == "changes" and kept[0] == kept[1]:
        return None
    return replace(change, before=kept[0], after=kept[1])


# ── the rest ─────────────────────────────────────────────────────────────────────────────────────────────


def _change(change: PlanDifference, what: str = "") -> Iterator[Text]:
    sign, colour = _SIGNS[change.kind]
    name = " ".join(word for word in (f"{change.node}:" if change.node else "", what + change.name) if word)
    if change.topic == "file":
        yield rich.Text(f"  {sign} {name}", style=colour)
        for old, new in changed_lines(change):
            yield rich.Text(f"      {_arrow(old, new)}", style="dim")
        return
    if change.kind == "changes":
        words = "; ".join(f"{key}: {_arrow(*_differing(old, new))}" for key, old, new in change.fields)
    else:
        words = ", ".join(f"{key} {value}" for key, value in (change.before or change.after or {}).items())
    yield rich.Text.assemble(
        (f"  {sign} {name}", colour), f"  {words}" if words else "", (f"  {change.reason}", "dim")
    )


def _differing(old: str, new: str) -> tuple[str, str]:
    """Of two lists of words, what only one has; single words stay as they are."""
    before, after = old.split(), new.split()
    if len(before) > 1 and len(after) > 1:
        return " ".join(w for w in before if w not in after), " ".join(w for w in after if w not in before)
    return old, new


def _arrow(old: str, new: str) -> str:
    return f"{old or 'nothing'} -> {new or 'nothing'}"


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────


def document(labels: tuple[str, str], plans: PlanDiff, flows: FlowDiff | None) -> DiffDocument:
    """Everything that differs, as JSON values; ``flows`` is null if nothing was measured."""
    before, after = plans.inapplicable
    return {
        "before": labels[0],
        "after": labels[1],
        "does_not_apply": {"before": _inapplicable(before), "after": _inapplicable(after)},
        "notes": {"before": _notes(plans.notes[0]), "after": _notes(plans.notes[1])},
        "flows": None if flows is None else _flows_document(flows),
        "rules": [
            {"kind": c.kind, "node": c.node, "before": _placed(c.before), "after": _placed(c.after)}
            for c in plans.rules
        ],
        "rules_that_stay": plans.same_rules,
        "changes": [
            {
                "kind": c.kind,
                "topic": c.topic,
                "node": c.node,
                "name": c.name,
                "before": None if c.before is None else dict(c.before),
                "after": None if c.after is None else dict(c.after),
                "reason": c.reason,
            }
            for c in plans.changes
        ],
    }


def _inapplicable(entries: Iterable[Inapplicable]) -> list[DoesNotApplyDocument]:
    return [{"node": one.node, "rule": one.rule.text, "reason": one.reason} for one in entries]


def _notes(notes: Iterable[Note]) -> list[SideNoteDocument]:
    return [{"position": str(note.position), "text": note.text} for note in notes]


def _placed(rule: PlacedRule | None) -> PlacedRuleDocument | None:
    if rule is None:
        return None
    place = rule.place
    return {
        "family": place.family,
        "table": place.table,
        "chain": place.chain,
        "rule": rule.text,
        "reason": rule.reason,
    }


def _flows_document(flows: FlowDiff) -> FlowDiffDocument:
    return {
        "refusals": [{"label": label, "reason": reason} for label, reason in flows.refusals],
        "same": flows.same,
        "changes": [
            {
                "kind": c.kind,
                "from": c.cell.flow.origin,
                "to": c.cell.flow.to,
                "family": c.cell.flow.family.word,
                "role": c.cell.role,
                "way": c.cell.way,
                "published": c.cell.published,
                "before": None if c.before is None else c.before.to_json(),
                "after": None if c.after is None else c.after.to_json(),
            }
            for c in flows.changes
        ],
    }
