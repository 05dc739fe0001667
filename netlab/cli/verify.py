"""``netlab verify``: check all expectations of each scenario in a lab of its own."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from netlab.cli.output import print_json, print_text, say
from netlab.cli.scenarios import read_group, scenario_groups
from netlab.exposure.verdict import ExposureVerdict
from netlab.journey.expect import exit_code
from netlab.lab.output_file import open_output
from netlab.lab.prediction import Prediction
from netlab.lab.stages import planned
from netlab.lab.temporary import verify
from netlab.model.problem import Problem, ScenarioError
from netlab.view.console import console
from netlab.view.journey import journey_view
from netlab.view.verify import after, counts, junit, table, verdict_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from netlab.cli.scenarios import Files
    from netlab.journey.expect import Verdict
    from netlab.model.plan import Plan
    from netlab.model.scenario import Scenario

    AnyVerdict = Verdict | ExposureVerdict
    Loaded = tuple[Files, Scenario, Plan]


def run(args: argparse.Namespace) -> int:
    """Verify; returns the exit code."""
    groups = scenario_groups(args)
    loaded = load_all(args, groups)
    results: dict[str, Sequence[AnyVerdict]] = {}
    for (files, _, plan), verdicts in zip(loaded, _verdicts(loaded, args), strict=True):
        name = ", ".join(files)
        results[name] = verdicts
        if not args.json:
            _show(name, plan, verdicts, args)
    if args.junit:
        with open_output(args.junit) as file:
            file.write(junit(results))
    code = exit_code(verdict.word for verdicts in results.values() for verdict in verdicts)
    if args.json:
        _print_json(results, code)
    elif code == 5:
        say("nothing was tested: no scenario expects anything (x-netlab.expect)")
    elif len(results) > 1:
        everything = [verdict for verdicts in results.values() for verdict in verdicts]
        print_text(f"{len(results)} scenarios: {counts(everything)}")
    return code


def load_all(args: argparse.Namespace, groups: list[Files]) -> list[Loaded]:
    """All scenarios and their plans; raises ScenarioError with everything that is wrong with any of them."""
    loaded: list[Loaded] = []
    problems: list[Problem] = []
    for files in groups:
        try:
            scenario = read_group(args, files)
            loaded.append((files, scenario, planned(scenario)))
        except ScenarioError as error:
            problems += error.problems
    if problems:
        raise ScenarioError(problems)
    return loaded


def _verdicts(loaded: list[Loaded], args: argparse.Namespace) -> Iterator[list[AnyVerdict]]:
    """All verdicts, measured or predicted, in the order of the scenarios."""
    if args.predict:
        return (_predicted(Prediction(plan=plan)) for _, _, plan in loaded)
    return iter(_verify(loaded, args.jobs))


def _predicted(prediction: Prediction) -> list[AnyVerdict]:
    return [*prediction.verify_exposures(), *prediction.verify()]


def _verify(loaded: list[Loaded], jobs: int) -> list[list[AnyVerdict]]:
    """All verdicts, in the order of the scenarios; the first error cancels the labs that have not begun."""
    with ThreadPoolExecutor(max(1, min(jobs, len(loaded)))) as pool:
        futures = [
            pool.submit(verify, plan, scenario, warn=partial(_warn, ", ".join(files)))
            for files, scenario, plan in loaded
        ]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


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
