"""``netlab explain``: where a rule blocks or allows a flow, with the proof that it does so, and only so."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from netlab.cli.common import print_json
from netlab.cli.complete import hint
from netlab.cli.help import FLOW_GRAMMAR, examples
from netlab.cli.probe import flows_of, question

if TYPE_CHECKING:
    import argparse

    from netlab.lab.explain import Explanation


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    option = parser.add_argument
    hint(option("lab", nargs="?", metavar="LAB", help="the lab; default: the one running lab"), "lab")
    option("flows", nargs="*", metavar="FLOW", help="'client -> host:80/tcp'")
    family = parser.add_mutually_exclusive_group()
    family.add_argument("-4", dest="family", action="store_const", const=4, help="IPv4 only")
    family.add_argument("-6", dest="family", action="store_const", const=6, help="IPv6 only")
    option("--json", action="store_true", help="print JSON")
    parser.set_defaults(protocol=None, via=None, from_address=None, from_port=None)
    parser.epilog = (
        f"{FLOW_GRAMMAR}\n\n"
        "netlab adds the rule in the lab, measures the whole matrix again, and removes the rule. If a "
        "route or a sysctl decided, it tries to change that in the same way. It suggests only changes that "
        "help. Exit code: 0 if each rule changed its own flow and no other, 1 if not, 3 if that could "
        "not be measured."
    )
    examples(
        parser, ("netlab explain -4 'client -> host:80'", "which rule lets it through, and how to block it")
    )


def run(args: argparse.Namespace) -> int:
    """Explain each flow; returns the exit code."""
    from netlab.lab.explain import explain

    client, texts = question(args)
    found = []
    for flow in flows_of(client.plan, texts, args):
        explanation = explain(client, flow)
        found.append(explanation)
        if not args.json:
            _show(explanation)
    if args.json:
        print_json({"explanations": [_document(explanation) for explanation in found]})
    journeys = [journey for one in found for journey in (one.before, one.after) if journey is not None]
    if any(journey.outcome == "unmeasured" for journey in journeys):
        return 3
    return 0 if all(one.proved or not one.rules for one in found) else 1


def _show(explanation: Explanation) -> None:
    from netlab.journey.sentence import sentence
    from netlab.view.console import console
    from netlab.view.journey import summary

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
    from netlab.view.console import console
    from netlab.view.journey import summary

    screen = console(sys.stdout)
    after = explanation.after
    if after is not None:
        screen.print(f"  tried: {summary(after)}")
    others = len(explanation.others)
    screen.print(f"  of {explanation.compared} other flows of the matrix {others or 'none'} changed")
    for change in explanation.others:
        screen.print(f"    {summary(change.before)}", style="yellow")
        screen.print(f"    → {summary(change.after)}", style="yellow")


def _document(explanation: Explanation) -> dict[str, Any]:
    return {
        "wish": explanation.wish,
        "rules": [
            {"node": rule.node, "place": rule.place, "argv": list(rule.add)} for rule in explanation.rules
        ],
        "failed": [
            {"node": rule.node, "place": rule.place, "argv": list(rule.add)} for rule in explanation.failed
        ],
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
