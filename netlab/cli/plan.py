"""``netlab plan FILE``: what would be built, without building it; needs no root and no Linux."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from netlab.cli.arguments.plan import RULES
from netlab.cli.output import colours, print_text, say
from netlab.cli.scenarios import one_scenario
from netlab.lab.stages import planned
from netlab.model.errors import UsageError
from netlab.model.rules import IptablesRuleset, NftTable
from netlab.plan.render import nft_input, restore_text
from netlab.view import lab as view
from netlab.view.console import console
from netlab.view.plain import visible
from netlab.view.plan import document, tree

if TYPE_CHECKING:
    import argparse

    from netlab.model.plan import Node, Plan


def run(args: argparse.Namespace) -> int:
    """Show the plan; returns 0, raises ScenarioError or UsageError."""
    plan = planned(one_scenario(args))
    if plan.events:
        events = "; ".join(event.text for event in plan.events)
        where = plan.events[0].position
        say(f"{where}: the plan does not show the effects of what happens once the lab is up: {events}")
    if args.rules:
        host = _host(plan, args.host)
        text = rules_text(host, args.rules)
        sys.stdout.write(visible(text))
        if not text:
            others = [f"--rules {kind}" for kind in RULES if rules_text(host, kind)]
            more = f"; it has some for {' and '.join(others)}" if others else ""
            say(f"{host.engine} writes no rules for --rules {args.rules} here{more}")
        return 0
    if args.json:
        print_text(json.dumps(document(plan), indent=2, ensure_ascii=False))
        return 0
    if args.full:
        console(sys.stdout, markup=True).print(tree(plan))
        return 0

    colour = colours(sys.stdout)
    print_text("\n".join(view.picture(plan, colour=colour)), styles=colour)
    for note in plan.notes:
        if not note.by_chance:
            say(str(note))
    return 0


def _host(plan: Plan, name: str | None) -> Node:
    hosts = {node.name: node for node in plan.nodes if node.kind == "host"}
    if name is None and len(hosts) == 1:
        return next(iter(hosts.values()))
    if name is None:
        raise UsageError(f"say with --host which one of {', '.join(hosts)}")
    if name not in hosts:
        raise UsageError(f"there is no host {name!r}; hosts are {', '.join(hosts)}")
    return hosts[name]


def rules_text(host: Node, which: str) -> str:
    """The ruleset of one kind, exactly as its tool prints it; empty if there is none."""
    texts = []
    for ruleset in host.rulesets:
        if isinstance(ruleset, IptablesRuleset):
            if ruleset.family.word == which:
                texts.append(restore_text(ruleset))
        elif which == "nft":
            texts.append(nft_input(ruleset) if isinstance(ruleset, NftTable) else ruleset.text)
    return "".join(texts)
