"""``netlab explain``: where a rule blocks or allows a flow, with the proof that it does so, and only so."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from netlab.cli.output import print_json
from netlab.cli.probe import flows_of, predicted_question, question
from netlab.journey.sentence import sentence
from netlab.lab.explain import explain
from netlab.model.outcome import UNKNOWN
from netlab.predict.explain import explain as predicted
from netlab.view.console import console
from netlab.view.journey import summary

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from netlab.cli.documents import AdviceDocument, ExplainDocument, ExplanationDocument
    from netlab.journey.advise import Advice
    from netlab.journey.explain import Explanation


def run(args: argparse.Namespace) -> int:
    """Explain each flow; returns the exit code."""
    found = []
    for explanation in _explanations(args):
        found.append(explanation)
        if not args.json:
            _show(explanation)
    if args.json:
        document: ExplainDocument = {"explanations": [_document(explanation) for explanation in found]}
        print_json(document)
    journeys = [journey for one in found for journey in (one.before, one.after) if journey is not None]
    if any(journey.outcome in UNKNOWN for journey in journeys):
        return 3
    return 0 if all(one.proved or not one.rules for one in found) else 1


def _explanations(args: argparse.Namespace) -> Iterator[Explanation]:
    """Of each flow, from a running lab or from a plan alone."""
    if args.predict:
        plan, texts = predicted_question(args)
        yield from (predicted(plan, flow) for flow in flows_of(plan, texts, args))
    else:
        client, texts = question(args)
        yield from (explain(client, flow) for flow in flows_of(client.plan, texts, args))


def _show(explanation: Explanation) -> None:
    screen = console(sys.stdout)
    screen.print(summary(explanation.before), style="bold")
    screen.print(f"  {sentence(explanation.before)}")
    if explanation.wish is None:
        screen.print(f"  {explanation.cause or 'No rule decided this, so no rule changes it.'}")
    elif not explanation.rules:
        if not explanation.failed:
            screen.print(f"  No rule, route or sysctl is known that would {explanation.wish} it.")
        for rule in explanation.failed:
            screen.print(f"  tried, and it did not help: {' '.join(rule.add)}  (on {rule.node})")
    else:
        alone = "" if explanation.others else " and no other"
        screen.print(f"  To {explanation.wish} this flow{alone}, on {_nodes(explanation)}:")
        for rule in explanation.rules:
            screen.print(f"    {' '.join(rule.add)}", style="green")
        _proof(explanation)
    screen.print()


def _nodes(explanation: Explanation) -> str:
    return ", ".join(dict.fromkeys(rule.node for rule in explanation.rules))


def _proof(explanation: Explanation) -> None:
    screen = console(sys.stdout)
    after = explanation.after
    if after is not None:
        screen.print(f"  {'tried' if after.how == 'measured' else 'then'}: {summary(after)}")
    others = len(explanation.others)
    screen.print(f"  of {explanation.compared} other flows of the matrix {others or 'none'} changed")
    for change in explanation.others:
        screen.print(f"    {summary(change.before)}", style="yellow")
        screen.print(f"    → {summary(change.after)}", style="yellow")


def _advice(rule: Advice) -> AdviceDocument:
    return {"node": rule.node, "place": rule.place, "argv": list(rule.add)}


def _document(explanation: Explanation) -> ExplanationDocument:
    return {
        "wish": explanation.wish,
        "rules": [_advice(rule) for rule in explanation.rules],
        "failed": [_advice(rule) for rule in explanation.failed],
        "cause": explanation.cause,
        "proved": explanation.proved,
        "compared": explanation.compared,
        "before": explanation.before.to_json(),
        "after": explanation.after.to_json() if explanation.after else None,
        "others": [
            {"before": change.before.to_json(), "after": change.after.to_json()}
            for change in explanation.others
        ],
    }
