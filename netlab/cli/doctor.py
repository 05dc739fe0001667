"""``netlab doctor``: what this machine offers, what it lacks, and what to do about it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from netlab.cli.json_objects import object_of
from netlab.cli.output import colours, print_json, print_text
from netlab.kernel.features import examine
from netlab.kernel.machine import Finding
from netlab.lab import state
from netlab.model.errors import MachineError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from netlab.cli.documents import DoctorDocument

MARKS = {"ok": ("✓", "32"), "limited": ("!", "33"), "missing": ("✗", "31")}


def stale_labs() -> Iterator[Finding]:
    """The remains of killed labs: only names, because nothing else of a lab outlives its supervisor."""
    use = "the names of labs"
    try:
        records = state.records()
    except MachineError as error:
        remedy = "remove it, or set NETLAB_STATE to a directory of yours"
        yield Finding("state", "labs", "missing", str(error), use, remedy)
        return
    stale = [record.name for record in records if not record.alive]
    standing = len(records) - len(stale)
    yield Finding("state", "labs", "ok", f"{standing} up", use)
    if stale:
        yield Finding("state", "stale labs", "limited", ", ".join(stale), use, "netlab clean")


def exit_code(findings: Sequence[Finding]) -> int:
    """0, or 4 if something that netlab needs is missing."""
    return 4 if any(finding.status == "missing" for finding in findings) else 0


def report(findings: Sequence[Finding], *, colour: bool) -> Iterator[str]:
    """The lines of the report, group by group, each remedy under its finding."""
    width = max(len(finding.name) for finding in findings)
    group = ""
    for finding in findings:
        if finding.group != group:
            yield from ("", finding.group) if group else (finding.group,)
            group = finding.group
        mark, code = MARKS[finding.status]
        mark = f"\033[{code}m{mark}\033[0m" if colour else mark
        yield f"  {mark} {finding.name:<{width}}  {finding.found}"
        if finding.status != "ok":
            yield f"    {'':<{width}}  for: {finding.use}"
            if finding.remedy:
                yield f"    {'':<{width}}  do:  {finding.remedy}"
    yield ""
    yield verdict(findings)


def verdict(findings: Sequence[Finding]) -> str:
    """The closing sentence."""
    missing = [finding.name for finding in findings if finding.status == "missing"]
    if missing:
        return f"netlab cannot work here: {', '.join(missing)} missing."
    limited = sum(finding.status == "limited" for finding in findings)
    return "netlab can work here." if not limited else f"netlab can work here, with {limited} limits."


def run(args: argparse.Namespace) -> int:
    """Examine the machine; returns 0, or 4 if something needed is missing."""
    findings = [*examine(), *stale_labs()]
    if args.json:
        works = exit_code(findings) == 0
        document: DoctorDocument = {
            "works": works,
            "findings": [object_of(finding) for finding in findings],
        }
        print_json(document)
    else:
        colour = colours(sys.stdout)
        print_text("\n".join(report(findings, colour=colour)), styles=colour)
    return exit_code(findings)
