"""``netlab bench FILE|LAB [FLOW…]``: what each way into a lab costs, beside a single veth pair."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from netlab.cli.matrix import variants_of
from netlab.cli.output import print_json, say
from netlab.cli.progress import Progress
from netlab.cli.scenarios import as_typed, only_group, read_group, running_lab
from netlab.lab.cost.measure import BenchVariant, measure
from netlab.lab.output_file import open_output
from netlab.model.errors import OptionError
from netlab.plan import make
from netlab.plan.diff import applicable
from netlab.view.console import console
from netlab.view.cost import document, report
from netlab.view.cost_svg import svg

if TYPE_CHECKING:
    from netlab.model.cost import Costs


def run(args: argparse.Namespace) -> int:
    """Measure, and show; returns 0, 3 if a way could not be measured, 5 if none has figures."""
    texts = [*(word for word in args.files if _is_flow(word)), *args.flows]
    args.files = [word for word in args.files if not _is_flow(word)]
    variants = _variants(args)
    with Progress(sys.stderr) as progress:
        try:
            costs = measure(
                variants,
                texts,
                family=args.family,
                rounds=args.rounds,
                seconds=args.seconds,
                generator=args.tool,
                allow_programs=args.allow_programs,
                tell=lambda what: progress.show([what]),
            )
        except OptionError as error:
            raise error.spelled(as_typed) from error
    if args.json:
        print_json(document(costs))
    else:
        out = console(sys.stdout)
        for part in report(costs, out.width if sys.stdout.isatty() else 0):
            out.print(part)
    if args.svg:
        with open_output(args.svg) as file:
            file.write(svg(costs).encode())
    return _code(costs)


def _is_flow(word: str) -> bool:
    return "->" in word


def _variants(args: argparse.Namespace) -> list[BenchVariant]:
    """The labs to measure: a copy of a running one, or each variant of a scenario."""
    client = running_lab(args)
    if client is not None:
        say(f"measuring a copy of {client.name}: what was changed by hand in the lab is not in it")
        return [BenchVariant("", replace(client.plan, events=()), None)]
    group = only_group(args)
    found = []
    for label, chosen in variants_of(args):
        scenario = read_group(chosen, group)
        found.append(BenchVariant(label, applicable(make(scenario)), scenario))
    return found


def _code(costs: Costs) -> int:
    if any(way.problem is not None and way.outcome in ("ok", "unmeasured") for way in costs.ways):
        return 3
    return 0 if any(way.figures and way.path != "none" for way in costs.ways) else 5
