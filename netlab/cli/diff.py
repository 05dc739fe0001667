"""``netlab diff``: what an upgrade, a setting or another firewall changes."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from netlab.cli.chance import every_way
from netlab.cli.matrix import variants_of
from netlab.cli.output import print_json
from netlab.cli.scenarios import scenario_groups
from netlab.cli.sweeps import Reading, parcels, results
from netlab.journey.flow_diff import compare
from netlab.lab import state
from netlab.lab.client.client import Client
from netlab.lab.prediction import predicted_column
from netlab.lab.sweep.sweep import Item
from netlab.lab.temporary import side_column
from netlab.model.errors import UsageError
from netlab.plan import make
from netlab.plan.choices import ALL
from netlab.plan.diff import diff
from netlab.view import rich
from netlab.view.chance import depending
from netlab.view.console import console, print_indented
from netlab.view.diff import document, report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.cli.scenarios import Files
    from netlab.journey.matrix import Column
    from netlab.model.plan import Plan
    from netlab.model.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the comparison: a plan, with its scenario, or the running lab that was named."""

    label: str
    plan: Plan
    origin: Scenario | Client
    #: of a scenario: what it was read from
    reading: Reading | None = None
    #: with ``--choice all``: ``choice 1``, and the other ways in which this side can come out
    way: str = ""
    other_ways: tuple[Side, ...] = ()


def run(args: argparse.Namespace) -> int:
    """Compare the two; returns 0, 2 if a side refuses to be built, 3 if an answer could not be measured."""
    first, second = sides(args, "diff")
    labels = (first.label, second.label)
    plans = diff(first.plan, second.plan)
    flows = None
    ways: list[list[Column]] = []
    if not args.plan_only:
        ways = _columns(args, (first, second))
        flows = compare(ways[0][0], ways[1][0])
    if args.json:
        found = document(labels, plans, flows)
        if ALL in args.choice:
            found["by_chance"] = [one for side in ways for one in depending(side)]
        print_json(found)
    else:
        out = console(sys.stdout)
        for line in report(labels, plans, flows, full=args.full):
            print_indented(out, line)
        for side, columns in zip((first, second), ways, strict=False):
            _show_chance(side, columns)
    if flows is None:
        return 0
    if flows.refusals:
        return 2
    return 3 if flows.of("unmeasured") else 0


def _columns(args: argparse.Namespace, both: tuple[Side, Side]) -> list[list[Column]]:
    """Every flow of both sides, of each in every way that it has with ``--choice all``."""
    items = [[_item(one, args.predict) for one in (side, *side.other_ways)] for side in both]
    found = iter(list(results(args, [item for side in items for item in side], "sides")))
    return [[next(found) for _ in side] for side in items]


def _show_chance(side: Side, columns: Sequence[Column]) -> None:
    """The flows of a side that depend on what its engine leaves to chance."""
    if len(columns) < 2:
        return
    lines = list(depending(columns))
    out = console(sys.stdout)
    print_indented(out, rich.Text(""))
    print_indented(out, rich.Text(f"left to chance by {side.label}, in {len(columns)} ways  {len(lines)}"))
    for line in lines:
        print_indented(out, rich.Text(f"    {line}"))


def _item(side: Side, predicted: bool) -> Item[Column]:
    """Every flow of a side, measured or predicted; a running lab is asked from here."""
    label = side.way or side.label
    if predicted:
        here = partial(predicted_column, label, side.plan)
    else:
        here = partial(side_column, label, side.plan, side.origin)
    if side.reading is None:
        return Item(label, here)
    what = "predict side" if predicted else "side"
    parcel, opened = parcels(side.reading, what, label, label=label)
    return Item(label, here, parcel, opened)


def sides(args: argparse.Namespace, verb: str) -> tuple[Side, Side]:
    """Both sides; ``verb`` is for messages. Raises UsageError unless the command line says exactly two."""
    standing = _standing(args)
    if standing is not None:
        return standing
    groups = scenario_groups(args)
    variants = list(variants_of(args))
    if len(groups) == 2 and len(variants) == 1:
        one, other = (_side(" ".join(files), variants[0][1], files) for files in groups)
        return one, other
    if len(groups) != 1:
        raise UsageError(f"{verb} compares two files, or two variants of one")
    chosen = [one for one in args.choice if one != ALL]
    if len(variants) == 1 and (args.engine or args.firewall or args.daemon or chosen):
        (_, changed), written = variants[0], _as_written(args)
        return _written_side(written, groups[0]), _side(_label(args), changed, groups[0])
    if len(variants) == 1 and args.choice:
        variants = list(every_way(variants, groups[0]))
    if len(variants) != 2:
        raise UsageError(
            f"{verb} compares two variants, and these are {len(variants)}: give two --engine, two --firewall,"
            " two --choice, --daemon KEY=both, or one of them to compare it with the file as it is written"
        )
    one, other = (_side(label, chosen, groups[0]) for label, chosen in variants)
    return one, other


def _side(label: str, args: argparse.Namespace, files: Files) -> Side:
    """A side as written or, with ``--choice all``, in its first way and all others."""
    ways = []
    for way, chosen in every_way([("", args)], files):
        reading = Reading(chosen, files)
        scenario = reading.scenario()
        ways.append(Side(label, make(scenario), scenario, reading, way))
    return replace(ways[0], other_ways=tuple(ways[1:]))


def _standing(args: argparse.Namespace) -> tuple[Side, Side] | None:
    """Both sides, if at least one is a running lab and no file has its name; otherwise None."""
    names = [name for name in args.files if not os.path.exists(name)]
    found = state.standing() if names else []
    labs = {record.name: Client(record) for record in found if record.name in names}
    if not labs:
        return None
    if len(args.files) + bool(args.merged) != 2:
        raise UsageError(f"{', '.join(labs)}: compare a running lab with a file or with another lab")
    (_, chosen), *more = variants_of(args)
    only_labs = not args.merged and all(name in labs for name in args.files)
    if more or (only_labs and (args.engine or args.firewall or args.daemon or args.choice)):
        raise UsageError(f"{', '.join(labs)}: a running lab has no variants: name its file")

    def side(file: str) -> Side:
        if file in labs:
            return Side(f"{file} as written", labs[file].plan, labs[file])
        (files,) = scenario_groups(argparse.Namespace(**{**vars(args), "files": [file], "merged": []}))
        return _side(" ".join(files), chosen, files)

    if args.merged:
        (files,) = scenario_groups(argparse.Namespace(**{**vars(args), "files": []}))
        return side(args.files[0]), _side(" ".join(files), chosen, files)
    one, other = map(side, args.files)
    return one, other


def _as_written(args: argparse.Namespace) -> argparse.Namespace:
    nothing: dict[str, object] = {"engine": None, "firewall": None, "choice": None, "daemon": []}
    return argparse.Namespace(**{**vars(args), **nothing})


def _written_side(args: argparse.Namespace, files: Files) -> Side:
    side = _side("", args, files)
    engines = dict.fromkeys(node.engine for node in side.plan.nodes if node.kind == "host")
    return replace(side, label=f"{', '.join(engines)} as written")


def _label(args: argparse.Namespace) -> str:
    choices = [f"choice {one}" for one in args.choice]
    return " ".join([*args.engine, *args.firewall, *choices, *args.daemon])
