"""``netlab diff``: what changes for whoever upgrades, flips the proxy, or takes another firewall."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from netlab.cli.common import add_scenario_options, load_group, print_json, scenario_groups

if TYPE_CHECKING:
    import argparse

    from netlab.cli.common import Files
    from netlab.model.plan import Plan

    Side = tuple[str, Plan]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    add_scenario_options(parser, variants=True)
    parser.add_argument(
        "--plan-only", action="store_true", help="compare what would be built, and measure nothing: no root"
    )
    parser.add_argument("--json", action="store_true", help="every difference, as JSON")
    parser.add_argument("-j", "--jobs", type=int, default=2, metavar="N", help="labs at once; default: 2")
    parser.epilog = (
        "Two --engine, two --firewall, or --daemon KEY=both: those two. One of them: the file\n"
        "as it is written, and with it. Two files: the one and the other. Flows that close or\n"
        "open come first."
    )


def run(args: argparse.Namespace) -> int:
    """Compare the two; returns 0, 2 if a side refuses to be built, 3 if an answer could not be measured."""
    from netlab.plan.diff import diff
    from netlab.view.diff import document, report

    first, second = sides(args)
    labels = (first[0], second[0])
    plans = diff(first[1], second[1])
    flows = None
    if not args.plan_only:
        from netlab.lab.diff import measure

        flows = measure((first, second), args.jobs)
    if args.json:
        print_json(document(labels, plans, flows))
    else:
        from netlab.view.console import console

        out = console(sys.stdout)
        for line in report(labels, plans, flows):
            out.print(line)
    if flows is None:
        return 0
    if flows.refusals:
        return 2
    return 3 if flows.of("unmeasured") else 0


def sides(args: argparse.Namespace) -> tuple[Side, Side]:
    """(label, plan) of both sides; raises UsageError unless the command line says exactly two."""
    from netlab.cli.matrix import variants_of
    from netlab.model.errors import UsageError

    groups = scenario_groups(args)
    variants = list(variants_of(args))
    if len(groups) == 2 and len(variants) == 1:
        one, other = ((" ".join(files), load_group(variants[0][1], files)) for files in groups)
        return one, other
    if len(groups) != 1:
        raise UsageError("diff compares two files, or two variants of one")
    if len(variants) == 1 and (args.engine or args.firewall or args.daemon):
        (_, changed), written = variants[0], _as_written(args)
        return _written_side(written, groups[0]), (_label(args), load_group(changed, groups[0]))
    if len(variants) != 2:
        raise UsageError(
            f"diff compares two variants, and these are {len(variants)}: give two --engine, two --firewall,"
            " --daemon KEY=both, or one of them to compare it with the file as it is written"
        )
    one, other = ((label, load_group(chosen, groups[0])) for label, chosen in variants)
    return one, other


def _as_written(args: argparse.Namespace) -> argparse.Namespace:
    import argparse

    return argparse.Namespace(**{**vars(args), "engine": None, "firewall": None, "daemon": []})


def _written_side(args: argparse.Namespace, files: Files) -> Side:
    plan = load_group(args, files)
    engines = dict.fromkeys(node.engine for node in plan.nodes if node.kind == "host")
    return f"{', '.join(engines)} as written", plan


def _label(args: argparse.Namespace) -> str:
    return " ".join([*args.engine, *args.firewall, *args.daemon])
