"""``netlab report FILE|LAB…``: what a matrix measured, as one page to look at."""

from __future__ import annotations

from argparse import Namespace
from functools import partial
from typing import TYPE_CHECKING

from netlab.cli.chance import every_way
from netlab.cli.matrix import selected, variants_of
from netlab.cli.output import say
from netlab.cli.scenarios import load_group, running_lab, scenario_groups
from netlab.cli.sweeps import Reading, parcels, results
from netlab.journey.matrix import Selection
from netlab.lab.output_file import open_output
from netlab.lab.sweep.sweep import Item
from netlab.lab.temporary import observe, observed
from netlab.plan import make
from netlab.version import __version__
from netlab.view.matrix_flows import unmeasured
from netlab.view.page.report import Side, report

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from netlab.lab.temporary import Observed


def run(args: argparse.Namespace) -> int:
    """Measure, and write the page; returns 0, 2 if no variant applies, 3 if an answer could not be measured,
    5 if there is nothing to ask.
    """
    selection = Selection(args.origins, args.targets, args.published, args.all)
    sides = [Side(*found) for found in results(args, list(_items(args, selection)), "columns")]
    columns = [side.column for side in sides]
    for column in columns:
        if column.refusal is not None:
            say(f"{column.label or 'this scenario'} does not apply: {column.refusal}")
    if all(column.refusal is not None for column in columns):
        return 2
    if not any(column.answers for column in columns):
        say("there is nothing to ask: no service listens on a port that netlab knows of")
        return 5
    page = report(sides, __version__)
    with open_output(args.output) as file:
        file.write(page.encode())
    say(f"{args.output}: {sum(len(column.answers) for column in columns)} flows, {len(page) // 1024} KiB")
    return 3 if unmeasured(columns) else 0


def _items(args: argparse.Namespace, selection: Selection) -> Iterator[Item[Observed]]:
    """What gives each column: a running lab, or a variant of a scenario. Raises errors in the scenarios."""
    groups = scenario_groups(args)
    for group in groups:
        merged = args.merged if group is groups[-1] else []
        lab = running_lab(Namespace(**{**vars(args), "files": list(group), "merged": merged}))
        if lab is not None:
            label = lab.name if len(groups) > 1 else ""
            yield Item(label, partial(observe, lab, label, selection))
            continue
        variants = list(every_way(variants_of(args), group))
        name = ""
        if len(variants) == 1 or len(groups) > 1:  # errors in a file have no column
            plan = load_group(variants[0][1], group)
            name = plan.name if len(groups) > 1 else ""
        for words, chosen in variants:
            yield _built(" ".join(filter(None, [name, words])), Reading(chosen, group), selection)


def _built(label: str, reading: Reading, selection: Selection) -> Item[Observed]:
    here = partial(observed, label, lambda: make(reading.scenario()), selection)
    parcel, opened = parcels(reading, "report", label, label=label, selection=selected(selection))
    return Item(label, here, parcel, opened)
