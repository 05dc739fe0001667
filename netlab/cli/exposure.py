"""``netlab exposure``: what becomes of all packets at once, and the kernel's proof."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from netlab.cli.diff import sides
from netlab.cli.matrix import variants_of
from netlab.cli.output import print_json, say
from netlab.cli.scenarios import running_lab, scenario_groups
from netlab.cli.sweeps import Reading, parcels, results
from netlab.exposure.difference import compare
from netlab.exposure.fate import UNSURE
from netlab.exposure.proof import silent
from netlab.exposure.witness import disagreement
from netlab.lab.client.client import Client
from netlab.lab.codec import encode
from netlab.lab.exposure import Asked, exposed, send
from netlab.lab.sweep.sweep import Item
from netlab.model.errors import UsageError
from netlab.model.family import FAMILIES, Family
from netlab.plan import make
from netlab.plan.diff import applicable
from netlab.view.console import console
from netlab.view.exposure import (
    difference_document,
    difference_report,
    document,
    proof_document,
    proof_lines,
    report,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from netlab.cli.diff import Side
    from netlab.exposure.described import Described
    from netlab.exposure.difference import Comparison
    from netlab.model.flow import Flow
    from netlab.model.journey import Journey
    from netlab.model.plan import Plan


def run(args: argparse.Namespace) -> int:
    """Show the exposure, and prove it.

    Returns 0; 1 if a packet did otherwise than its region says; 3 if one could not be measured.
    """
    both = _both(args)
    if both is not None:
        return _compare(args, both)
    (found,) = results(args, [_item(args)], "exposures")
    if args.json:
        shown = document(found)
        if found.proof is not None:
            shown["proof"] = proof_document(found.proof)
        print_json(shown)
    else:
        out = console(sys.stdout)
        for line in report(found):
            out.print(line)
        if found.proof is not None:
            for line in proof_lines(found.proof):
                out.print(line)
    if found.proof is None:
        return 0
    for one in found.proof.unmeasured[:1]:
        say(f"unmeasured: {one.flow}")
    return 1 if found.proof.wrong else 3 if found.proof.unmeasured else 0


def _both(args: argparse.Namespace) -> tuple[Side, Side] | None:
    """The two sides of a comparison, if the command line names two; raises UsageError."""
    variants = sum(1 for _ in variants_of(args))
    if len(args.files) + bool(args.merged) < 2 and variants < 2:
        return None
    return sides(args, "exposure")


def _compare(args: argparse.Namespace, both: tuple[Side, Side]) -> int:
    """Show the packets whose fate differs, and let the kernel say whether it does on both sides."""
    plans = [applicable(side.plan) for side in both]
    found = compare((plans[0], plans[1]), args.origin, args.target, _families(args))
    wrong = [] if args.no_proof else _prove_changes(args, both, plans, found)
    labels = (both[0].label, both[1].label)
    if args.json:
        print_json(difference_document(labels, found))
    else:
        out = console(sys.stdout)
        for line in difference_report(labels, found):
            out.print(line)
    for problem in wrong:
        say(problem)
    return 1 if wrong else 0


def _prove_changes(
    args: argparse.Namespace, both: tuple[Side, Side], plans: Sequence[Plan], found: Sequence[Comparison]
) -> list[str]:
    """Send the witness of each change in a lab of each side; what did otherwise."""
    changes = [change for one in found for change in one.changes if change.witness is not None]
    flows = [change.witness for change in changes if change.witness is not None]
    items = [_sent(side, plan, flows) for side, plan in zip(both, plans, strict=True)]
    wrong = []
    for number, journeys in enumerate(results(args, items, "sides") if flows else ()):
        side, plan = both[number], plans[number]
        fates = [(change.before, change.after)[number] for change in changes]
        for flow, fate, journey in zip(flows, fates, journeys, strict=True):
            problem = None if silent(journey) else disagreement(fate, journey, plan)
            if problem is not None and fate.word not in UNSURE:
                wrong.append(f"{side.label}: {flow} {flow.family.word}: {problem}")
    return wrong


def _sent(side: Side, plan: Plan, flows: Sequence[Flow]) -> Item[Sequence[Journey]]:
    """The journeys of flows in a lab of one side; a running lab is asked from here."""
    here = partial(send, side.origin if isinstance(side.origin, Client) else None, plan, flows)
    if side.reading is None:
        return Item(side.label, here)
    parcel, opened = parcels(side.reading, "send", side.label, flows=encode(tuple(flows)))
    return Item(side.label, here, parcel, opened)


def _item(args: argparse.Namespace) -> Item[Described]:
    """The exposure of a scenario or a running lab; raises UsageError and ScenarioError."""
    asked = Asked(args.origin, args.target, _families(args), not args.no_proof, args.json)
    client = running_lab(args) if not (args.engine or args.firewall or args.daemon or args.choice) else None
    if client is not None:
        return Item(client.name, partial(exposed, client, client.plan, asked))
    groups = scenario_groups(args)
    variants = list(variants_of(args))
    if len(groups) != 1 or len(variants) != 1:
        raise UsageError("one scenario at a time, please")
    reading = Reading(variants[0][1], groups[0])
    plan = applicable(make(reading.scenario()))
    parcel, opened = parcels(reading, "exposure", plan.name, asked=list(asked))
    return Item(plan.name, partial(exposed, None, plan, asked), parcel, opened)


def _families(args: argparse.Namespace) -> tuple[Family, ...]:
    return tuple(family for family in FAMILIES if args.family in (None, family))
