"""``netlab exposure``: what becomes of all packets at once, and the kernel's proof."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from netlab.cli.diff import sides
from netlab.cli.matrix import variants_of
from netlab.cli.output import print_json, say
from netlab.cli.scenarios import load_group, running_lab, scenario_groups
from netlab.exposure.difference import compare
from netlab.exposure.exposure import Exposure
from netlab.exposure.fate import UNSURE
from netlab.exposure.proof import silent
from netlab.exposure.witness import disagreement
from netlab.lab.client.client import Client
from netlab.lab.exposure import prove, send
from netlab.model.errors import UsageError
from netlab.model.family import FAMILIES, Family
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
    from netlab.exposure.difference import Comparison
    from netlab.exposure.proof import Proof
    from netlab.model.plan import Plan


def run(args: argparse.Namespace) -> int:
    """Show the exposure, and prove it.

    Returns 0; 1 if a packet did otherwise than its region says; 3 if one could not be measured.
    """
    both = _both(args)
    if both is not None:
        return _compare(args, both)
    plan, client = _asked(args)
    exposure = Exposure.of(plan, args.origin, args.target, _families(args))
    proof: Proof | None = None if args.no_proof else prove(client, exposure)
    if args.json:
        found = document(exposure)
        if proof is not None:
            found["proof"] = proof_document(proof)
        print_json(found)
    else:
        out = console(sys.stdout)
        for line in report(exposure):
            out.print(line)
        if proof is not None:
            for line in proof_lines(proof):
                out.print(line)
    if proof is None:
        return 0
    for one in proof.unmeasured[:1]:
        say(f"unmeasured: {one.flow}")
    return 1 if proof.wrong else 3 if proof.unmeasured else 0


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
    wrong = [] if args.no_proof else _prove_changes(both, plans, found)
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


def _prove_changes(both: tuple[Side, Side], plans: Sequence[Plan], found: Sequence[Comparison]) -> list[str]:
    """Send the witness of each change in a lab of each side; what did otherwise."""
    changes = [change for one in found for change in one.changes if change.witness is not None]
    wrong = []
    for number, (side, plan) in enumerate(zip(both, plans, strict=True)):
        fates = [(change.before, change.after)[number] for change in changes]
        flows = [change.witness for change in changes if change.witness is not None]
        client = side.origin if isinstance(side.origin, Client) else None
        journeys = send(client, plan, flows)
        for flow, fate, journey in zip(flows, fates, journeys, strict=True):
            problem = None if silent(journey) else disagreement(fate, journey, plan)
            if problem is not None and fate.word not in UNSURE:
                wrong.append(f"{side.label}: {flow} {flow.family.word}: {problem}")
    return wrong


def _asked(args: argparse.Namespace) -> tuple[Plan, Client | None]:
    """The plan, and the running lab if one was named; raises UsageError and ScenarioError."""
    client = running_lab(args) if not (args.engine or args.firewall or args.daemon or args.choice) else None
    if client is not None:
        return client.plan, client
    groups = scenario_groups(args)
    variants = list(variants_of(args))
    if len(groups) != 1 or len(variants) != 1:
        raise UsageError("one scenario at a time, please")
    return applicable(load_group(variants[0][1], groups[0])), None


def _families(args: argparse.Namespace) -> tuple[Family, ...]:
    return FAMILIES if args.family is None else (Family(args.family),)
