"""``netlab drift``: what on a host is not as its engine and firewall would have made it."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from netlab.cli.collections import collection_of
from netlab.cli.output import print_json, print_text
from netlab.lab.drift_flows import drift_flows
from netlab.lab.twins import Twin
from netlab.twin.drift import drift
from netlab.view import rich
from netlab.view.console import console, print_indented
from netlab.view.flow_diff import change_lines

if TYPE_CHECKING:
    import argparse

    from rich.console import Console

    from netlab.cli.documents import DriftDocument, DriftFindingDocument, DriftFlowDocument
    from netlab.journey.flow_diff import FlowDiff
    from netlab.lab.drift_flows import DriftFlows, Effect
    from netlab.twin.finding import Finding


def run(args: argparse.Namespace) -> int:
    """Show what is not as it should be; returns 1 if there is anything, else 0."""
    twin = Twin(collection_of(args.archive, args.origin))
    findings = drift(twin.drafted.host, twin.facts)
    flows = drift_flows(twin, findings) if findings and not args.no_flows else None
    if args.json:
        each = flows.each if flows is not None else (None,) * len(findings)
        document: DriftDocument = {
            "findings": [_document(*pair) for pair in zip(findings, each, strict=True)],
            "flows": _changes(flows.together) if flows is not None else None,
        }
        print_json(document)
    else:
        _print(findings, flows)
    return 1 if findings else 0


def _print(findings: list[Finding], flows: DriftFlows | None) -> None:
    out = console(sys.stdout)
    for number, one in enumerate(findings):
        print_text(f"{one.kind}: {one.what}")
        for rule in one.rules:
            print_text(f"    {rule}")
        print_text(f"  means: {one.means}")
        for words in one.evidence:
            print_text(f"  because: {words}")
        print_text(f"  mend:  {one.mend}")
        if flows is not None:
            _print_flows(out, one, flows.each[number])
        print_text()
    if not findings:
        print_text("nothing: the host is as its engine would have made it")
    if flows is not None:
        changed, several = len(flows.together.flows.changes), flows.of_several
        print_text(f"all together: {changed} flows of the matrix differ, {flows.together.flows.same} do not")
        if flows.together.unpredicted:
            print_text(f"    {_unpredicted(flows.together)}")
        if several:
            print_text(f"    {several} of them differ by several findings, and no single one mends them")


def _print_flows(out: Console, finding: Finding, effect: Effect) -> None:
    """The flows that differ because of one finding."""
    if finding.unpredicted:
        print_text(f"  flows: unpredicted: {finding.unpredicted}")
        return
    count = len(effect.flows.changes)
    print_text(f"  flows: {count or 'none'} of the matrix {'differs' if count == 1 else 'differ'} by it")
    if effect.unpredicted:
        print_text(f"    {_unpredicted(effect)}")
    if failing := len(effect.flows.of("otherwise")):
        print_text(f"    {failing} of them fail with the finding and without, in another way (--json)")
    for line in change_lines(_telling(effect.flows)):
        if line.plain:
            print_indented(out, rich.Text("    ") + line)


def _telling(flows: FlowDiff) -> FlowDiff:
    """Without the flows that fail with the finding and without it."""
    return replace(flows, changes=tuple(one for one in flows.changes if one.kind != "otherwise"))


def _unpredicted(effect: Effect) -> str:
    return f"{effect.unpredicted} are unpredicted, with the finding and without"


def _document(one: Finding, effect: Effect | None) -> DriftFindingDocument:
    return {
        "kind": one.kind,
        "what": one.what,
        "means": one.means,
        "mend": one.mend,
        "rules": list(one.rules),
        "tool": one.tool,
        "evidence": list(one.evidence),
        "unpredicted": one.unpredicted,
        "flows": _changes(effect) if effect is not None and not one.unpredicted else None,
    }


def _changes(effect: Effect) -> list[DriftFlowDocument]:
    return [
        {
            "kind": change.kind,
            "flow": str(change.cell.flow),
            "expected": change.before.outcome if change.before is not None else None,
            "found": change.after.outcome if change.after is not None else None,
        }
        for change in effect.flows.changes
    ]
