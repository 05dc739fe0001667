"""The ways in which what the engines leave to chance can come out: how many there are, and one of them."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from netlab.model.identifiers import digest
from netlab.model.scenario import Scenario
from netlab.plan.build import fold, number_of_ways
from netlab.plan.node_names import distinct

#: A word after this picks the same way each time.
SEED = "seed:"
#: The choice that asks for every way, in verbs that compare.
ALL = "all"


def ways(scenario: Scenario) -> int:
    """In how many ways all hosts together can come out; raises ScenarioError for what cannot be planned."""
    return prod(_each(distinct(scenario)))


def _each(scenario: Scenario) -> list[int]:
    """The ways of each host, in the order of the file."""
    return [fold(scenario, replace(host, choice=1)).facts.choices for host in scenario.hosts]


def chosen(scenario: Scenario, choice: str) -> Scenario:
    """The scenario as one way makes it: its number from 1 on, or ``seed:WORD``.

    With several hosts, the first takes the first so many ways of its own, then the second one more, and so
    on. Raises ValueError, with a message, for any other text.
    """
    each = _each(distinct(scenario))
    number = _number(choice, prod(each), " and ".join(dict.fromkeys(host.engine for host in scenario.hosts)))
    hosts, left = [], number - 1
    for host, count in zip(scenario.hosts, each, strict=True):
        left, own = divmod(left, count)
        hosts.append(replace(host, choice=1 + own))
    return replace(scenario, hosts=tuple(hosts))


def _number(choice: str, total: int, engines: str) -> int:
    if choice.startswith(SEED):
        return 1 + int(digest("choice", choice.removeprefix(SEED))[:15], 16) % total
    if choice == ALL:
        words = f"{ALL} is for matrix, verify, diff and report"
        raise ValueError(f"{words}; give the number of a way or {SEED}WORD")
    if not (choice.isascii() and choice.isdigit()):
        raise ValueError(f'"{choice}" is neither the number of a way nor {SEED}WORD')
    if not 1 <= int(choice) <= total:
        raise ValueError(f"there is no way {choice}: {number_of_ways(total, engines)}")
    return int(choice)
