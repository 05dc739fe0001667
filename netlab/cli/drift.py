"""``netlab drift``: what on a host is not as its engine and firewall would have made it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from netlab.cli.collections import collection_of
from netlab.cli.output import print_json, print_text
from netlab.lab.temporary import predict_flows
from netlab.lab.twins import Twin
from netlab.twin.drift import drift
from netlab.view.console import console, print_indented
from netlab.view.flow_diff import flow_lines

if TYPE_CHECKING:
    import argparse

    from netlab.journey.flow_diff import FlowDiff
    from netlab.twin.finding import Finding


def run(args: argparse.Namespace) -> int:
    """Show what is not as it should be; returns 1 if there is anything, else 0."""
    twin = Twin(collection_of(args.archive, args.origin))
    findings = drift(twin.drafted.host, twin.engine.facts)
    flows = _flows(twin) if findings and not args.no_flows else None
    if args.json:
        print_json({"findings": [_document(one) for one in findings], "flows": _changes(flows)})
    else:
        _print(findings, flows)
    return 1 if findings else 0


def _flows(twin: Twin) -> FlowDiff:
    expected, found = twin.plans()
    return predict_flows([("as the engine would write it", expected), ("as found", found)])


def _print(findings: list[Finding], flows: FlowDiff | None) -> None:
    for one in findings:
        print_text(f"{one.kind}: {one.what}")
        for rule in one.rules:
            print_text(f"    {rule}")
        print_text(f"  means: {one.means}")
        print_text(f"  mend:  {one.mend}")
        print_text()
    if not findings:
        print_text("nothing: the host is as its engine would have made it")
    if flows is not None:
        out = console(sys.stdout)
        lines = list(flow_lines(flows))
        if not lines:
            print_text("no flow of the matrix differs")
        for line in lines:
            print_indented(out, line)


def _document(one: Finding) -> dict[str, object]:
    return {
        "kind": one.kind,
        "what": one.what,
        "means": one.means,
        "mend": one.mend,
        "rules": list(one.rules),
        "tool": one.tool,
    }


def _changes(flows: FlowDiff | None) -> list[dict[str, object]] | None:
    if flows is None:
        return None
    return [
        {
            "kind": change.kind,
            "flow": str(change.cell.flow),
            "expected": change.before.outcome if change.before is not None else None,
            "found": change.after.outcome if change.after is not None else None,
        }
        for change in flows.changes
    ]
