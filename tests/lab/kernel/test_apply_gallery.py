"""The plans of the gallery, applied: what the kernel then holds is what the plan says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support import inventory

from netlab.kernel import netns, ruleset, sysctl
from netlab.lab.build.apply import Applied
from netlab.model.plan import Node, Plan
from netlab.model.rules import IptablesRuleset
from netlab.plan import make
from netlab.plan.render import restore_text
from netlab.scenario.loader import load

GALLERY = sorted((Path(__file__).parents[3] / "scenarios").glob("*.yaml"))


def without_counters(saved: str) -> list[str]:
    """The lines of iptables-save, without remarks and the counters of chains."""
    lines = (line for line in saved.splitlines() if not line.startswith("#"))
    return [line.partition(" [")[0] if line.startswith(":") else line for line in lines]


def check(lab: Applied, node: Node) -> None:
    for rules in node.rulesets:
        if isinstance(rules, IptablesRuleset) and not node.commands:
            assert set(restore_text(rules).splitlines()) <= set(without_counters(ruleset.save(rules.family)))
    final = {one.key: one.value for one in node.sysctls}
    assert {key: sysctl.read(key).replace("\t", " ") for key in final} == final
    links = {link.name: link for link in inventory.links()}
    addresses = inventory.addresses()
    for interface in node.interfaces:
        link = links[interface.name]
        assert (link.kind, link.up) == (interface.kind, interface.up)
        assert interface.mac in (None, link.mac)
        assert interface.index in (None, link.index)
        assert link.master == (links[interface.master].index if interface.master else 0)
        assert {(link.index, address) for address in interface.addresses if ":" not in address} <= addresses


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_the_kernel_has_what_was_planned(applied: Callable[[Plan], Applied], path: Path) -> None:
    plan = make(load([path]))
    lab = applied(plan)
    for node in plan.nodes:
        with netns.entered(lab.namespace_of(node.name)):
            check(lab, node)
    lab.run_commands()
