"""Try changes in the model of a plan, for :mod:`netlab.journey.explain`: no root, no lab."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from netlab.journey import explain as journey_explain
from netlab.journey.advise import Advice
from netlab.journey.explain import Explanation
from netlab.model.family import Family
from netlab.model.flow import Flow
from netlab.model.journey import Journey
from netlab.model.plan import Plan
from netlab.model.problem import Position
from netlab.model.scenario import HostRule
from netlab.predict.packet import address_text
from netlab.predict.predictor import Predictor
from netlab.predict.routes import MAIN

_REFUSING = ("unreachable", "prohibit", "blackhole")
_POSITION = Position("explain", 1, 1)


def explain(plan: Plan, flow: Flow) -> Explanation:
    """Try the rules as commands that the administrator types once everything is up."""
    return journey_explain.explain(flow, _Bench(plan))


class _Bench:
    """A plan, and the commands that are tried on its nodes."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._predictors = [Predictor.of(plan)]

    def measure(self, flows: Sequence[Flow]) -> Sequence[Journey]:
        return self._predictors[-1].journeys(flows)

    def change(self, advice: Advice) -> Callable[[], object]:
        plan = self._predictors[-1].plan
        typed = HostRule(advice.add, _POSITION)
        nodes = (
            replace(node, commands=(*node.commands, typed)) if node.name == advice.node else node
            for node in plan.nodes
        )
        self._predictors.append(Predictor.of(replace(plan, nodes=tuple(nodes))))
        return self._undo

    def _undo(self) -> None:
        self._predictors.pop()

    def sysctl(self, node: str, name: str) -> str | None:
        predictor = self._predictors[-1]
        return predictor.spaces[self.plan.node(node).namespace].setting(name)

    def routes(self, node: str, family: Family) -> Sequence[str]:
        return list(self._refusing(node, family))

    def _refusing(self, node: str, family: Family) -> Iterator[str]:
        """Routes that turn packets away, as ``ip route show table all`` prints them."""
        tables = self._predictors[-1].spaces[self.plan.node(node).namespace].routes[family].tables
        for number, routes in tables.items():
            for route in routes:
                if route.kind in _REFUSING:
                    network = ipaddress.ip_network((address_text(family, route.start), route.length))
                    table = "" if number == MAIN else f" table {number}"
                    yield f"{route.kind} {network}{table}"
