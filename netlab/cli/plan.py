"""``netlab plan FILE``: what would be built, without building it; needs no root and no Linux."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from netlab.model.plan import Node, Plan

#: ``--rules``: which part of the ruleset.
RULES = ("ipv4", "ipv6", "nft")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    from netlab.cli.common import add_scenario_options

    add_scenario_options(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--full", action="store_true", help="print every interface, sysctl, rule and listener")
    form.add_argument("--json", action="store_true", help="print all of it as JSON")
    form.add_argument("--rules", choices=RULES, help="print one host's ruleset, as iptables-save or nft does")
    parser.add_argument("--host", metavar="NAME", help="with --rules: the host, if there are several")


def run(args: argparse.Namespace) -> int:
    """Show the plan; returns 0, raises ScenarioError or UsageError."""
    import sys

    from netlab.cli.common import colours, load_plan, print_text, say
    from netlab.view.plain import visible

    plan = load_plan(args)
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
        import json

        from netlab.view.plan import document

        print_text(json.dumps(document(plan), indent=2, ensure_ascii=False))
        return 0
    if args.full:
        from netlab.view.console import console
        from netlab.view.plan import tree

        console(sys.stdout, markup=True).print(tree(plan))
        return 0
    from netlab.view import lab as view

    colour = colours(sys.stdout)
    print_text("\n".join(view.picture(plan, colour=colour)), styles=colour)
    for note in plan.notes:
        if not note.by_chance:
            say(str(note))
    return 0


def _host(plan: Plan, name: str | None) -> Node:
    from netlab.model.errors import UsageError

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
    from netlab.model.rules import IptablesRuleset, NftTable
    from netlab.plan.render import nft_input, restore_text

    texts = []
    for ruleset in host.rulesets:
        if isinstance(ruleset, IptablesRuleset):
            if ruleset.family.word == which:
                texts.append(restore_text(ruleset))
        elif which == "nft":
            texts.append(nft_input(ruleset) if isinstance(ruleset, NftTable) else ruleset.text)
    return "".join(texts)
