"""``netlab verify``: check all expectations of each scenario in a lab of its own."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from netlab import json_text
from netlab.cli.chance import every_way
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
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from netlab.cli.documents import VerifyDocument, VerifyEndDocument, VerifyScenarioDocument
    from netlab.cli.scenarios import Files
    from netlab.journey.expect import Verdict
    from netlab.model.plan import Plan

    AnyVerdict = Verdict | ExposureVerdict


@dataclass(frozen=True, slots=True)
class Loaded:
    """A scenario to verify; ``way`` says which of the ways it is, with ``--choice all``.

    ``archives``: what a file was made of, by its path.
    """

    files: Files
    reading: Reading
    plan: Plan
    way: str = ""
    archives: Mapping[str, str] = field(default_factory=dict)

    @property
    def named(self) -> list[str]:
        """The files, as the command line has them."""
        return [self.archives.get(one, one) for one in self.files]

    @property
    def name(self) -> str:
        """How the output calls it."""
        return ", ".join(self.named) + (f" ({self.way})" if self.way else "")


def run(args: argparse.Namespace) -> int:
    """Verify; returns the exit code."""
    groups = scenario_groups(args)
    loaded = load_all(args, groups)
    verdicts = results(args, [_item(args, one) for one in loaded], "scenarios")
    names = [one.name for one in loaded]
    each: list[Sequence[AnyVerdict]] = []
    documents: list[VerifyScenarioDocument] = []
    for one, mine in zip(loaded, verdicts, strict=True):
        each.append(mine)
        documents.append(_document(one, mine))
        if args.json_lines:
            _print_line(documents[-1])
    found = dict(zip(names, each, strict=True))
    if args.junit:
        with open_output(args.junit) as file:
            file.write(junit(found))
    everything = [verdict for mine in each for verdict in mine]
    code = exit_code(verdict.word for verdict in everything)
    if args.json_lines:
        end: VerifyEndDocument = {"exit_code": code}
        _print_line(end)
    elif args.json:
        document: VerifyDocument = {"exit_code": code, "scenarios": documents}
        print_json(document)
    else:
        for one, mine in zip(loaded, each, strict=True):
            _show(one.name, one.plan, mine, args)
        for line in _by_chance(loaded, each):
            say(line)
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
            for words, chosen in every_way([("", args)], files):
                reading = Reading(chosen, files)
                plan = planned(reading.scenario())
                loaded.append(Loaded(files, reading, plan, words, getattr(args, "archives", {})))
        except ScenarioError as error:
            problems += error.problems
    if problems:
        raise ScenarioError(problems)
    return loaded


def _predicted(prediction: Prediction) -> list[AnyVerdict]:
    return [*prediction.verify_exposures(), *prediction.verify()]


def _by_chance(loaded: Sequence[Loaded], each: Sequence[Sequence[AnyVerdict]]) -> Iterator[str]:
    """What of a scenario passes in some of the ways and not in others."""
    words: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for one, verdicts in zip(loaded, each, strict=True):
        for verdict in verdicts if one.way else ():
            mine = words.setdefault(", ".join(one.files), {}).setdefault(_asked(verdict), [])
            mine.append((verdict.word, one.way.removeprefix("choice ")))
    for name, flows in words.items():
        for flow, ways in flows.items():
            if len({word for word, _ in ways}) > 1:
                shown = (
                    f"{word} with choice {', '.join(way for other, way in ways if other == word)}"
                    for word in dict.fromkeys(word for word, _ in ways)
                )
                yield f"{name}: {flow} depends on chance: {'; '.join(shown)}"


def _asked(verdict: AnyVerdict) -> str:
    if isinstance(verdict, ExposureVerdict):
        return f"{verdict.expectation.position}"
    return f"{verdict.claim.flow} {verdict.claim.flow.family.word}"


def _item(args: argparse.Namespace, one: Loaded) -> Item[Sequence[AnyVerdict]]:
    """The verdicts of one scenario, measured or predicted."""
    name, plan, reading = one.name, one.plan, one.reading
    here: Callable[[], Sequence[AnyVerdict]]
    if args.predict:
        here = partial(_predicted, Prediction(plan=plan))
    else:
        here = partial(verify, plan, reading.scenario(), warn=partial(_warn, name))
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


def _print_line(document: Mapping[str, object]) -> None:
    """A document as a line, at once."""
    print_text(json_text.dumps({"schema_version": SCHEMA_VERSION, **document}, ensure_ascii=False))
    sys.stdout.flush()


def _document(one: Loaded, verdicts: Sequence[AnyVerdict]) -> VerifyScenarioDocument:
    """One scenario in one way, as JSON values."""
    return {
        "files": one.named,
        "choice": one.plan.choice,
        "verdicts": [verdict_json(verdict) for verdict in verdicts],
    }
