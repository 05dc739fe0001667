"""``netlab probe``: the path of a flow, rule by rule, as the kernel reports it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from netlab.cli.output import open_output, print_text
from netlab.cli.status import the_lab
from netlab.lab.client.instrument import measuring
from netlab.lab.probe_options import gathered, shape
from netlab.model.errors import UsageError
from netlab.view import path
from netlab.view.console import console
from netlab.view.journey import journey_view

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from netlab.lab.client.client import Client
    from netlab.lab.probe_options import PacketOptions
    from netlab.model.flow import Flow
    from netlab.model.journey import Journey
    from netlab.model.plan import Plan
    from netlab.model.shape import Shape


def run(args: argparse.Namespace) -> int:
    """Measure and show; returns 0 if every flow was measured, otherwise 3."""
    client, texts = question(args)
    flows = flows_of(client.plan, texts, args)
    show = _Show(args, client.plan)
    _measure(client, flows, shape(options_of(args)), args.replies, show)
    show.finish()
    if args.svg is not None:
        with open_output(args.svg) as file:
            file.write(path.svg(show.journeys, client.plan).encode())
    return 3 if show.unmeasured else 0


def question(args: argparse.Namespace) -> tuple[Client, list[tuple[str, int]]]:
    """The lab, and the flows as written, each with its line of stdin (or number of argument).

    What has an arrow in it, or is ``-``, is a flow and no lab. Raises UsageError.
    """
    lab, texts = args.lab, list(args.flows)
    if lab is not None and ("->" in lab or lab == "-"):
        lab, texts = None, [lab, *texts]
    if not texts:
        raise UsageError("no flow was given, such as 'client -> host:80/tcp'")
    return the_lab(lab), list(_read(texts))


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


class _Show:
    """Shows each journey as soon as it is known."""

    def __init__(self, args: argparse.Namespace, plan: Plan) -> None:
        self.json = args.json
        self.picture = args.picture
        self.plan = plan
        self.journeys: list[Journey] = []
        self.whole = args.verbose
        self.unmeasured = 0

    def __call__(self, number: int, journey: Journey) -> None:
        self.unmeasured += journey.outcome == "unmeasured"
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


def _measure(client: Client, flows: list[Flow], shape: Shape | None, replies: bool, show: _Show) -> None:
    with measuring(client) as session:
        session.measure(flows, shape=shape, replies=replies, tell=show)
