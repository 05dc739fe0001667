"""``netlab matrix``: who can reach what, by which path, and which source address the server sees."""

from __future__ import annotations

import itertools
import os
import sys
from typing import TYPE_CHECKING

from netlab.cli.common import add_scenario_options, load_group, print_json, say, scenario_groups
from netlab.cli.help import examples

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from netlab.journey.matrix import Column, Selection


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    add_scenario_options(parser, variants=True)
    parser.add_argument(
        "--from", action="append", default=[], metavar="NODE", dest="origins",
        help="only flows from these nodes: a name, a glob, outside, hosts or containers; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--to", action="append", default=[], metavar="TARGET", dest="targets",
        help="only flows to these services, or to targets such as host:80; may be repeated",
    )  # fmt: skip
    parser.add_argument("--published", action="store_true", help="only published ports")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="TARGET",
        help="exit with 1 if any other port than these (such as host:443) can be reached; may be repeated",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="a line for each flow, and all replicas")
    parser.add_argument(
        "--json", action="store_true", help="every flow with its journeys, as JSON; includes --all"
    )
    parser.add_argument(
        "--differences", action="store_true", help="only the flows that differ between the variants"
    )
    parser.add_argument(
        "-j",
        "--jobs",
        type=int,
        default=2 * (os.cpu_count() or 1),  # a lab waits most of the time
        metavar="N",
        help="labs to run at once; default: two for each processor",
    )
    parser.epilog = (
        "FILE may be the name of a running lab. Several --engine and --firewall, and --daemon KEY=both "
        "(true and false), put the variants side by side and mark what differs."
    )
    examples(
        parser,
        ("netlab matrix compose.yaml --from outside --published", "which ports are open from outside"),
        (
            "netlab matrix compose.yaml --from outside --allow host:80 --allow host:443",
            "for CI: fail if anything else is open",
        ),
        ("netlab matrix compose.yaml --engine docker-20.10 --engine docker-28 --differences", "an upgrade"),
    )


def run(args: argparse.Namespace) -> int:
    """Measure the matrix.

    Returns 0; 1 if a target can be reached that ``--allow`` does not name; 2 if no variant applies; 3 if an
    answer could not be measured; 5 if there is nothing to ask.
    """
    from netlab.journey.matrix import Selection
    from netlab.view.matrix import document, unmeasured

    selection = Selection(args.origins, args.targets, args.published, args.all or args.json)
    columns = _standing(args, selection) or _variants(args, selection)
    if args.json:
        print_json(document(columns))
    else:
        _show(args, columns)
    if all(column.refusal is not None for column in columns):
        return 2
    reached = _not_allowed(args.allow, columns)
    for flow in reached:
        say(f"not allowed, but open: {flow}")
    if reached:
        return 1
    if unmeasured(columns):
        return 3
    if not any(column.answers for column in columns):
        say("there is nothing to ask: no service listens on a port that netlab knows of")
        return 5
    return 0


def _show(args: argparse.Namespace, columns: list[Column]) -> None:
    """A grid for one lab; a line for each flow with ``--all`` and for variants."""
    from netlab.view.console import console
    from netlab.view.lab import remarks

    out = console(sys.stdout)
    if len(columns) > 1 or args.all:
        from netlab.view.matrix import table

        out.print(table(columns, only_differences=args.differences))
    elif columns[0].answers:
        from netlab.view.grid import report

        for part in report(columns[0]):
            out.print(part)
    for column in columns:
        for line in dict.fromkeys(remarks(column.silent, column.unpublished)):
            say(f"{column.label}: {line}" if column.label else line)
        if column.refusal is not None:
            say(f"{column.label or 'this scenario'} does not apply: {column.refusal}")


def _not_allowed(allowed: list[str], columns: list[Column]) -> list[str]:
    """The flows that get through to a port that no ``--allow`` names; none without the option."""
    from netlab.journey.matrix import names_target

    if not allowed:
        return []
    return [
        f"{cell.flow} {cell.flow.family.word}" + (f" with {column.label}" if column.label else "")
        for column in columns
        for cell, journey in column.answers.values()
        if journey.outcome == "ok"
        and cell.flow.port is not None
        and not any(names_target(pattern, cell.flow) for pattern in allowed)
    ]


def _standing(args: argparse.Namespace, selection: Selection) -> list[Column]:
    """The matrix of a lab that is up, if that is what was named; nothing if a file was."""
    if len(args.files) != 1 or os.path.exists(args.files[0]):
        return []
    from netlab.lab import state
    from netlab.lab.client.client import attach

    name = args.files[0]
    if name not in (record.name for record in state.standing()):
        return []
    from netlab.lab.client.instrument import measure_matrix
    from netlab.model.errors import UsageError

    if args.engine or args.firewall or args.daemon:
        raise UsageError(f"{name} is a running lab: to build variants, name its file")
    return [measure_matrix(attach(name), selection=selection)]


def _variants(args: argparse.Namespace, selection: Selection) -> list[Column]:
    """Every variant, some at the same time; raises errors in the scenario itself."""
    from concurrent.futures import ThreadPoolExecutor
    from functools import partial

    from netlab.lab.temporary import column
    from netlab.model.errors import UsageError

    groups = scenario_groups(args)
    if len(groups) > 1:
        raise UsageError("one scenario at a time, please (-f merges several files into one)")
    variants = list(variants_of(args))
    if len(variants) == 1:
        load_group(variants[0][1], groups[0])  # errors in a file have no column
    with ThreadPoolExecutor(max(1, min(args.jobs, len(variants)))) as pool:
        futures = [
            pool.submit(column, label, partial(load_group, chosen, groups[0]), selection)
            for label, chosen in variants
        ]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def variants_of(args: argparse.Namespace) -> Iterator[tuple[str, argparse.Namespace]]:
    """(label, arguments of one variant): engines × firewalls × the settings that were given as ``both``."""
    import argparse

    axes: list[list[tuple[str, tuple[str, str] | None]]] = [
        [(name, ("engine", name)) for name in args.engine] or [("", None)],
        [(name, ("firewall", name)) for name in args.firewall] or [("", None)],
    ]
    fixed = []
    for setting in args.daemon:
        key, _, value = setting.partition("=")
        if value == "both":
            axes.append([(f"{key}={v}", ("daemon", f"{key}={v}")) for v in ("true", "false")])
        else:
            fixed.append(setting)
    for chosen in itertools.product(*axes):
        one = argparse.Namespace(**vars(args))
        one.engine, one.firewall, one.daemon = None, None, list(fixed)
        for _, choice in chosen:
            if choice is None:
                continue
            kind, value = choice
            if kind == "daemon":
                one.daemon.append(value)
            else:
                setattr(one, kind, value)
        several = [word for (word, _), axis in zip(chosen, axes, strict=True) if len(axis) > 1]
        yield " ".join(several), one
