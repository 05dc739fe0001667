"""The rules that the scenario's author wrote as such: where each is, and whether its target exists.

They are the lines of rule files and of ufw's after.rules, and firewalld's direct rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netlab.firewall import arguments, firewalld_config, ufw
from netlab.model.family import Family
from netlab.model.iptables_save import saved_lines
from netlab.model.problem import Position, Problem, ScenarioError
from netlab.model.scenario import Firewall, Host
from netlab.scenario.rule_files import words_of
from netlab.scenario.tree import hint, shown
from netlab.scenario.xtables import is_extension, jumps


def rule_places(host: Host, family: Family) -> tuple[tuple[str, str, Position], ...]:
    """(table, text of the rule, position) of each rule whose place is known."""
    found = host.found
    if found is not None and family.iptables in found.files:
        text = found.files[family.iptables]
        return tuple(_lines(found.names, family.iptables, text))
    return tuple(_places(host.firewall, family))


def _places(firewall: Firewall, family: Family) -> Iterator[tuple[str, str, Position]]:
    yield from _lines(firewall.names, family.iptables, firewall.files.get(family.iptables, ""))
    if firewall.kind == "ufw":
        yield from _lines(firewall.names, ufw.AFTER[family], ufw.after_rules(family, firewall))
    if firewall.kind == "firewalld":
        for rule in firewalld_config.read(firewall).direct:
            if rule.family is family and rule.path in firewall.positions:
                yield rule.table, arguments.canonical(family, rule.args), firewall.positions[rule.path]


def _lines(names: Mapping[str, str], key: str, text: str) -> Iterator[tuple[str, str, Position]]:
    name = names.get(key)
    for line in saved_lines(text) if name is not None else ():
        if line.kind == "rule" and name is not None:
            yield line.table, line.text, Position(name, line.number, 1)


def check_jumps(host: Host) -> None:
    """Raise ScenarioError for rules that jump to a chain which the firewall does not have.

    The host's firewall starts before the engine, so there are no chains of the engine's yet.
    """
    problems = []
    for ruleset in host.firewall.rulesets:
        chains = {table.name: [chain.name for chain in table.chains] for table in ruleset.tables}
        for table, text, position in _places(host.firewall, ruleset.family):
            for jump in jumps([word for word, _ in words_of(text)]):
                there = chains.get(table, [])
                if jump.value not in there and not is_extension(jump.value):
                    what = f"there is no chain {shown(jump.value)} in the table {table}"
                    more = hint(jump.value, there) or " before the engine starts"
                    problems.append(Problem(position, f"{text}: {what}{more}"))
    if problems:
        raise ScenarioError(problems)
