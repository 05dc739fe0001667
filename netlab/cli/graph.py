"""``netlab graph FILE|LAB``: draw the topology, without building it; needs no root and no Linux."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from netlab.cli.arguments.graph import FORMS
from netlab.cli.output import print_text
from netlab.cli.scenarios import one_scenario, running_lab
from netlab.lab.output_file import open_output
from netlab.plan import make
from netlab.view import graph

if TYPE_CHECKING:
    import argparse

    from netlab.model.plan import GraphForm


def run(args: argparse.Namespace) -> int:
    """Draw; returns 0, raises ScenarioError or UsageError."""
    form = form_of(args.format, args.output)
    lab = running_lab(args)
    drawing = graph.draw(make(one_scenario(args)) if lab is None else lab.plan, form)
    if args.output is None:
        print_text(drawing.removesuffix("\n"))
        return 0
    with open_output(args.output) as file:
        file.write(drawing.encode())
    return 0


def form_of(chosen: GraphForm | None, output: str | None) -> GraphForm:
    """The form that was asked for, or else that of the file's name."""
    if chosen is not None:
        return chosen
    ending = os.path.splitext(output or "")[1].lower()
    by_ending: dict[str, GraphForm] = {suffix: form for form, suffix in FORMS.items()}
    return by_ending.get(ending, "text")
