"""``netlab matrix``: who can reach what, by which path, and which source address the server sees."""

from __future__ import annotations

import argparse
import itertools
import sys
from functools import partial
from typing import TYPE_CHECKING

from netlab.cli.chance import every_way
from netlab.cli.output import print_json, say
from netlab.cli.scenarios import load_group, only_group, running_lab
from netlab.cli.sweeps import Reading, parcels, results
from netlab.journey.matrix import Selection, alike, not_allowed
from netlab.lab import temporary
from netlab.lab.client.instrument import measure_matrix
from netlab.lab.prediction import predicted_column, predicted_variant
from netlab.lab.sweep.sweep import Item
from netlab.plan.choices import ALL
from netlab.view.chance import counts
from netlab.view.console import console
from netlab.view.lab import remarks
from netlab.view.matrix_flows import document, table, unmeasured
from netlab.view.matrix_grid import report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.journey.matrix import Column


def run(args: argparse.Namespace) -> int:
    """Measure or predict the matrix.

    Returns 0; 1 if a target can be reached that ``--allow`` does not name; 2 if no variant applies; 3 if an
    answer could not be measured or predicted; 5 if there is nothing to ask.
    """
    selection = Selection(args.origins, args.targets, args.published, args.all or args.json)
    columns = _standing(args, selection) or _variants(args, selection)
    ways = ALL in args.choice
    if args.json:
        print_json(document(columns))
    else:
        _show(args, alike(columns) if ways else columns)
        if ways:
            for line in counts(columns):
                say(line)
    if all(column.refusal is not None for column in columns):
        return 2
    reached = not_allowed(args.allow, columns)
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
    out = console(sys.stdout)
    if len(columns) > 1 or args.all:
        out.print(table(columns, only_differences=args.differences))
    elif columns[0].answers:
        for part in report(columns[0], out.width):
            out.print(part)
    for column in columns:
        for line in dict.fromkeys(remarks(column.silent, column.unpublished)):
            say(f"{column.label}: {line}" if column.label else line)
        if column.refusal is not None:
            say(f"{column.label or 'this scenario'} does not apply: {column.refusal}")


def _standing(args: argparse.Namespace, selection: Selection) -> list[Column]:
    """The matrix of a lab that is up, if that is what was named; nothing if a file was."""
    lab = running_lab(args)
    if lab is None:
        return []
    if args.predict:
        return [predicted_column("", lab.plan, selection)]
    return [measure_matrix(lab, selection=selection)]


def _variants(args: argparse.Namespace, selection: Selection) -> list[Column]:
    """Every variant, some at the same time; raises errors in the scenario itself."""
    group = only_group(args)
    variants = list(every_way(variants_of(args), group))
    if len(variants) == 1:
        load_group(variants[0][1], group)  # errors in a file have no column
    items = [_item(label, Reading(chosen, group), selection, args.predict) for label, chosen in variants]
    return list(results(args, items, "variants"))


def _item(label: str, reading: Reading, selection: Selection, predicted: bool) -> Item[Column]:
    """The column of one variant, measured or predicted."""
    build = predicted_variant if predicted else temporary.column
    what = "predict matrix" if predicted else "matrix"
    parcel, opened = parcels(reading, what, label, label=label, selection=selected(selection))
    return Item(label, partial(build, label, reading.scenario, selection), parcel, opened)


def selected(selection: Selection) -> list[object]:
    """A selection in a parcel."""
    return [selection.origins, selection.targets, selection.published, selection.every_replica]


def variants_of(args: argparse.Namespace) -> Iterator[tuple[str, argparse.Namespace]]:
    """(label, arguments of one variant): engines × firewalls × choices × the settings given as ``both``."""
    axes: list[list[tuple[str, tuple[str, str] | None]]] = [
        [(name, ("engine", name)) for name in args.engine] or [("", None)],
        [(name, ("firewall", name)) for name in args.firewall] or [("", None)],
        [(f"choice {number}", ("choice", number)) for number in args.choice] or [("", None)],
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
        one.engine, one.firewall, one.choice, one.daemon = None, None, None, list(fixed)
        for _, choice in chosen:
            if choice is None:
                continue
            kind, value = choice
            if kind == "daemon":
                one.daemon.append(value)
            else:
                setattr(one, kind, value)
        several = [
            word
            for (word, choice), axis in zip(chosen, axes, strict=True)
            if len(axis) > 1 and choice != ("choice", ALL)
        ]
        yield " ".join(several), one
