"""``{bridge:NETWORK}`` in an administrator's line: the name of that bridge, which the engine makes up."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Collection, Container, Iterator, Sequence
from dataclasses import replace

from netlab.model.plan import NetworkFacts
from netlab.model.problem import Problem, ScenarioError
from netlab.model.scenario import HostRule
from netlab.scenario.rules import RuleError, parse_rule

_PLACE = re.compile(r"\{bridge:([^{}]*)\}")


class _AllBut(Container[str]):
    """Every name but these: a line may jump to the administrator's chains, which were checked before."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names

    def __contains__(self, name: object) -> bool:
        return name not in self._names


def with_bridges(rules: Sequence[HostRule], facts: Sequence[NetworkFacts]) -> Iterator[HostRule]:
    """The lines with the names of bridges; raises ScenarioError, at the line, for an unknown network.

    A network is named by its Compose key, or as Docker calls it. The scenario chooses the name of a bridge,
    so a line is checked again with it: a bridge can be called ``monitor`` or ``-f``.
    """
    bridges = {known.name: known.bridge for known in facts} | {known.key: known.bridge for known in facts}

    def bridge(rule: HostRule, name: str) -> str:
        if name in bridges:
            return bridges[name]
        near = difflib.get_close_matches(name, bridges, 1)
        more = f" (did you mean {near[0]}?)" if near else ""
        what = f"{{bridge:{name}}}: there is no network {name!r}{more}"
        raise ScenarioError([Problem(rule.position, what)])

    for rule in rules:
        words = tuple(_PLACE.sub(lambda found: bridge(rule, found[1]), word) for word in rule.argv)  # noqa: B023
        if words == rule.argv:
            yield rule
            continue
        try:
            parse_rule(shlex.join(words), _AllBut(bridges.values()))
        except RuleError as error:
            raise ScenarioError([Problem(rule.position, str(error))]) from None
        yield replace(rule, argv=words)
