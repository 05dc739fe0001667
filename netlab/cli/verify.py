"""``netlab verify``: check all expectations of each scenario in a lab of its own."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from netlab import json_text
from netlab.cli.output import SCHEMA_VERSION, print_json, print_text, say
from netlab.cli.scenarios import scenario_groups
from netlab.cli.sweeps import Reading, parcels, results
from netlab.exposure.verdict import ExposureVerdict
from netlab.journey.expect import exit_code
from netlab.lab.output_file import open_output
from netlab.lab.prediction import Prediction
from netlab.lab.stages import planned
from netlab.lab.sweep.sweep import Item
from netlab.lab.temporary import verify
from netlab.model.problem import Problem, ScenarioError
from netlab.view.console import console
from netlab.view.journey import journey_view
from netlab.view.verify import after, counts, junit, table, verdict_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from netlab.cli.scenarios import Files
    from netlab.journey.expect import Verdict
    from netlab.model.plan import Plan

    AnyVerdict = Verdict | ExposureVerdict
    Loaded = tuple[Files, Reading, Plan]


def run(args: argparse.Namespace) -> int:
    """Verify; returns the exit code."""
    groups = scenario_groups(args)
    loaded = load_all(args, groups)
    verdicts = results(args, [_item(args, *one) for one in loaded], "scenarios")
    names = [", ".join(files) for files, _, _ in loaded]
    each: list[Sequence[AnyVerdict]] = []
    for (files, _, _), mine in zip(loaded, verdicts, strict=True):
        each.append(mine)
        if args.json_lines:
            _print_line(files, mine)
    found = dict(zip(names, each, strict=True))
    if args.junit:
        with open_output(args.junit) as file:
            file.write(junit(found))
    everything = [verdict for mine in each for verdict in mine]
    code = exit_code(verdict.word for verdict in everything)
    if args.json_lines:
        print_text(json_text.dumps({"schema_version": SCHEMA_VERSION, "exit_code": code}))
    elif args.json:
        _print_json(found, code)
    else:
        for name, mine, (_, _, plan) in zip(names, each, loaded, strict=True):
            _show(name, plan, mine, args)
        if code == 5:
            say("nothing was tested: no scenario expects anything (x-netlab.expect)")
        elif len(found) > 1:
            print_text(f"{len(found)} scenarios: {counts(everything)}")
    return code


def load_all(args: argparse.Namespace, groups: list[Files]) -> list[Loaded]:
    """All scenarios and their plans; raises ScenarioError with everything that is wrong with any of them."""
    loaded: list[Loaded] = []
    problems: list[Problem] = []
    for files in groups:
        try:
            reading = Reading(args, files)
            loaded.append((files, reading, planned(reading.scenario())))
        except ScenarioError as error:
            problems += error.problems
    if problems:
        raise ScenarioError(problems)
    return loaded


def _predicted(prediction: Prediction) -> list[AnyVerdict]:
    return [*prediction.verify_exposures(), *prediction.verify()]


def _item(args: argparse.Namespace, files: Files, reading: Reading, plan: Plan) -> Item[Sequence[AnyVerdict]]:
    """The verdicts of one scenario, measured or predicted."""
    name = ", ".join(files)
    here: Callable[[], Sequence[AnyVerdict]]
    if args.predict:
        here = partial(_predicted, Prediction(plan=plan))
    else:
        here = partial(verify, plan, reading.scenario(), warn=partial(_warn, name))
    if plan.exposures:  # their regions have no text that another process could send
        return Item(name, here)
    what = "predict verify" if args.predict else "verify"
    parcel, opened = parcels(reading, what, name)
    return Item(name, here, parcel, opened)


def _warn(name: str, text: str) -> None:
    say(f"{name}: {text}")


def _show(name: str, plan: Plan, verdicts: Sequence[AnyVerdict], args: argparse.Namespace) -> None:
    screen = console(sys.stdout)
    engines = ", ".join(plan.engines)
    screen.print(f"{name} ({engines}): {counts(verdicts)}")
    shown = [verdict for verdict in verdicts if not args.quiet or verdict.word != "passed"]
    if shown:
        screen.print(table(shown))
    for verdict in verdicts:
        if verdict.word == "passed":
            continue
        if isinstance(verdict, ExposureVerdict):
            screen.print(f"{verdict.expectation.position}: {verdict.word}")
            for problem in verdict.problems:
                screen.print(f"  {problem}")
            screen.print()
            continue
        screen.print(f"{verdict.claim.expectation.position}: {verdict.word}{after(verdict)}")
        for problem in verdict.check.problems:
            screen.print(f"  {problem}")
        screen.print(journey_view(verdict.journey, whole=args.verbose))
        screen.print()
    if shown and not args.quiet:
        screen.print()


def _print_line(files: Sequence[str], verdicts: Sequence[AnyVerdict]) -> None:
    """The verdicts of one scenario as a line, at once."""
    line = {"files": list(files), "verdicts": [verdict_json(verdict) for verdict in verdicts]}
    print_text(json_text.dumps({"schema_version": SCHEMA_VERSION, **line}, ensure_ascii=False))
    sys.stdout.flush()


def _print_json(results: dict[str, Sequence[AnyVerdict]], code: int) -> None:
    print_json(
        {
            "exit_code": code,
            "scenarios": [
                {"files": name.split(", "), "verdicts": [verdict_json(verdict) for verdict in verdicts]}
                for name, verdicts in results.items()
            ],
        }
    )
