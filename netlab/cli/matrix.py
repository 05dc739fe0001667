"""``netlab matrix``: who can reach what, by which path, and which source address the server sees."""

from __future__ import annotations

import itertools
import os
import sys
from typing import TYPE_CHECKING

from netlab.cli.common import add_scenario_options, load_group, print_json, say, scenario_groups

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from netlab.lab.matrix import Column


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    add_scenario_options(parser, variants=True)
    parser.add_argument("--json", action="store_true", help="every flow with its journeys, as JSON")
    parser.add_argument(
        "--differences", action="store_true", help="only the flows that differ between the variants"
    )
    parser.add_argument(
        "-j",
        "--jobs",
        type=int,
        default=2 * (os.cpu_count() or 1),  # a lab waits as long as it works
        metavar="N",
        help="labs at once; default: twice as many as there are processors",
    )
    parser.epilog = (
        "FILE may be the name of a lab that is up. Several --engine and --firewall, and\n"
        "--daemon KEY=both (true and false), put the variants side by side, and mark what differs."
    )


def run(args: argparse.Namespace) -> int:
    """Measure the matrix; returns 0, or 3 if an answer could not be measured."""
    from netlab.view.matrix import document, table, unmeasured

    columns = _standing(args) or _variants(args)
    if args.json:
        print_json(document(columns))
    else:
        from netlab.view.console import console

        console(sys.stdout).print(table(columns, only_differences=args.differences))
        for column in columns:
            if column.refusal is not None:
                say(f"{column.label or 'this scenario'} does not apply: {column.refusal}")
    if all(column.refusal is not None for column in columns):
        return 2
    return 3 if unmeasured(columns) else 0


def _standing(args: argparse.Namespace) -> list[Column]:
    """The matrix of a lab that is up, if that is what was named; nothing if a file was."""
    if len(args.files) != 1 or os.path.exists(args.files[0]):
        return []
    from netlab.lab import state
    from netlab.lab.client import attach

    name = args.files[0]
    if name not in (record.name for record in state.standing()):
        return []
    from netlab.lab.matrix import measure
    from netlab.model.errors import UsageError

    if args.engine or args.firewall or args.daemon:
        raise UsageError(f"{name} is a lab that stands: variants are built from its file")
    return [measure(attach(name))]


def _variants(args: argparse.Namespace) -> list[Column]:
    """Every variant, some at once; raises what is wrong with the scenario itself."""
    from concurrent.futures import ThreadPoolExecutor
    from functools import partial

    from netlab.lab.matrix import column
    from netlab.model.errors import UsageError

    groups = scenario_groups(args)
    if len(groups) > 1:
        raise UsageError("one scenario at a time, please (-f merges several files into one)")
    variants = list(variants_of(args))
    if len(variants) == 1:
        load_group(variants[0][1], groups[0])  # what is wrong with a file has no column to stand in
    with ThreadPoolExecutor(max(1, min(args.jobs, len(variants)))) as pool:
        futures = [
            pool.submit(column, label, partial(load_group, chosen, groups[0])) for label, chosen in variants
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
