"""``netlab probe``: the path of a flow, rule by rule, as the kernel reports it."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from netlab import predict
from netlab.cli.json_objects import object_of
from netlab.cli.output import SCHEMA_VERSION, print_text
from netlab.cli.status import the_lab
from netlab.first_use import at_first_use
from netlab.journey.sentence import sentence
from netlab.lab.client.instrument import measuring
from netlab.lab.output_file import open_output
from netlab.lab.probe_options import gathered, shape
from netlab.model.errors import UsageError
from netlab.model.outcome import UNKNOWN
from netlab.view import path
from netlab.view.console import console
from netlab.view.journey import journey_view

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from netlab.cli.documents import ProbeBothDocument
    from netlab.lab.client.client import Client
    from netlab.lab.probe_options import PacketOptions
    from netlab.model.flow import Flow
    from netlab.model.journey import Journey
    from netlab.model.plan import Plan
    from netlab.model.shape import Shape

#: imported when a file is asked about: a lab has its plan
_late: Any = at_first_use(__name__, {"plan_of": "netlab.cli.scenarios"})


def run(args: argparse.Namespace) -> int:
    """Measure or predict, and show.

    Returns 0; 3 if a flow could not be measured or predicted; with ``--both``, 1 if the two part.
    """
    if args.predict:
        return 3 if _predict(args).unknown else 0
    client, texts = question(args)
    flows = flows_of(client.plan, texts, args)
    show = _Show(args, client.plan)
    if args.both:
        show = _Both(args, client.plan, flows)
    _measure(client, flows, shape(options_of(args)), args.replies, show)
    _finish(args, show)
    if show.parted:
        return 1
    return 3 if show.unknown else 0


def question(args: argparse.Namespace) -> tuple[Client, list[tuple[str, int]]]:
    """The lab, and the flows as written, each with its line of stdin (or number of argument).

    Raises UsageError.
    """
    lab, texts = _split(args)
    return the_lab(lab), texts


def _split(args: argparse.Namespace) -> tuple[str | None, list[tuple[str, int]]]:
    """The lab's name, and the flows. What has an arrow in it, or is ``-``, is a flow and no lab."""
    lab, texts = args.lab, list(args.flows)
    if lab is not None and ("->" in lab or lab == "-"):
        lab, texts = None, [lab, *texts]
    if not texts:
        raise UsageError("no flow was given, such as 'client -> host:80/tcp'")
    return lab, list(_read(texts))


def predicted_question(args: argparse.Namespace) -> tuple[Plan, list[tuple[str, int]]]:
    """The plan of a file, a folder or a running lab, and the flows as written; raises UsageError."""
    lab, texts = _split(args)
    plan: Plan = _late("plan_of")(lab) if lab is not None and os.path.exists(lab) else the_lab(lab).plan
    return plan, texts


def _predict(args: argparse.Namespace) -> _Show:
    """Predict the flows, from a scenario file's plan or from a running lab's, and show them."""
    plan, texts = predicted_question(args)
    said = [name for name in _BY_HAND if getattr(args, name)]
    if said:
        raise UsageError(f"--predict does not know packets made by hand: --{', --'.join(said)}")
    show, predictor = _Show(args, plan), predict.Predictor.of(plan)
    for number, flow in enumerate(flows_of(plan, texts, args)):
        show(number, predictor.journey(flow))
    _finish(args, show)
    return show


def _finish(args: argparse.Namespace, show: _Show) -> None:
    """Show what waited for all journeys."""
    show.finish()
    if args.svg is not None:
        drawing = path.svg(show.journeys, show.plan).encode()
        with open_output(args.svg) as file:
            file.write(drawing)


def _read(texts: Iterable[str]) -> Iterable[tuple[str, int]]:
    for number, text in enumerate(texts, 1):
        if text != "-":
            yield text, number
            continue
        for line, words in enumerate(sys.stdin, 1):
            if words.strip() and not words.lstrip().startswith("#"):
                yield words.strip(), line


def flows_of(plan: Plan, texts: Iterable[tuple[str, int]], args: argparse.Namespace) -> list[Flow]:
    """The flows on the command line; raises ScenarioError with all syntax errors."""
    return gathered(plan, list(texts), args.family, options_of(args))


def options_of(args: argparse.Namespace) -> PacketOptions:
    """The command line's options for packets."""
    options: PacketOptions = {
        "protocol": args.protocol,
        "via": args.via,
        "source": args.from_address,
        "source_port": args.from_port,
    }
    if "syn" in args:
        options |= {
            "syn": args.syn,
            "flags": args.flags,
            "payload": args.payload,
            "hops": args.hops,
            "fragment": args.fragment,
        }
    return options


_BY_HAND = ("syn", "flags", "payload", "hops", "fragment")


class _Show:
    """Shows each journey as soon as it is known."""

    def __init__(self, args: argparse.Namespace, plan: Plan) -> None:
        self.json = args.json
        self.picture = args.picture
        self.plan = plan
        self.journeys: list[Journey] = []
        self.whole = args.verbose
        self.unknown = 0
        self.parted = 0

    def __call__(self, number: int, journey: Journey) -> None:
        self.unknown += journey.outcome in UNKNOWN
        self.journeys.append(journey)
        if self.json:
            print_text(json.dumps(journey.to_json(), ensure_ascii=False))
        elif self.picture:
            return  # its other family may follow
        else:
            screen = console(sys.stdout)
            if number:
                screen.print()
            screen.print(journey_view(journey, whole=self.whole))
        sys.stdout.flush()

    def finish(self) -> None:
        """Show what waited for all journeys."""
        if self.picture:
            for journeys in path.of_one_flow(self.journeys):
                print_text(path.text(journeys, self.plan))


class _Both(_Show):
    """Shows each measured journey, and where its prediction parts from it."""

    def __init__(self, args: argparse.Namespace, plan: Plan, flows: list[Flow]) -> None:
        super().__init__(args, plan)
        self._predictor = predict.Predictor.of(plan)
        self._flows = flows

    def __call__(self, number: int, journey: Journey) -> None:
        predicted = self._predictor.journey(predict.asked(self._flows[number], journey))
        known = not {predicted.outcome, journey.outcome} & set(UNKNOWN)
        found = predict.first_difference(predicted, journey) if known else None
        self.parted += found is not None
        if self.json:
            self.unknown += not known
            self.journeys.append(journey)
            both: ProbeBothDocument = {
                "schema_version": SCHEMA_VERSION,
                "measured": journey.to_json(),
                "predicted": predicted.to_json(),
                "parting": None if found is None else object_of(found),
            }
            print_text(json.dumps(both, ensure_ascii=False))
            return
        super().__call__(number, journey)
        if predicted.outcome in UNKNOWN:
            self.unknown += 1
            print_text(sentence(predicted))
        elif found is not None:
            print_text(f"The prediction parts from it at {found}")
        elif known:
            print_text("The prediction agrees.")


def _measure(client: Client, flows: list[Flow], shape: Shape | None, replies: bool, show: _Show) -> None:
    with measuring(client) as session:
        session.measure(flows, shape=shape, replies=replies, tell=show)
