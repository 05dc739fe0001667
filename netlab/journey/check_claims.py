"""Find what a measurement would refuse of flows, before there is a lab to measure in."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from netlab.journey.expand import Claim
from netlab.journey.expect import check_sees
from netlab.journey.topology import Topology, topology_of
from netlab.model.errors import UsageError
from netlab.model.near import nearest
from netlab.model.plan import Plan
from netlab.model.problem import Problem, ScenarioError


def check_claims(claims: Iterable[Claim], plan: Plan, changed: Container[str]) -> None:
    """Raise ScenarioError, at the expectations, for every flow that cannot be measured.

    ``changed``: nodes whose interfaces may not be those of the plan, because of a command.
    """
    facts = topology_of(plan)
    problems = [
        Problem(claim.expectation.position, wrong)
        for claim in claims
        for wrong in _wrong(claim, plan, facts, changed)
    ]
    if problems:
        raise ScenarioError(list(dict.fromkeys(problems)))


def _wrong(claim: Claim, plan: Plan, facts: Topology, changed: Container[str]) -> Iterator[str]:
    try:
        check_sees(claim.expected, plan)
    except UsageError as error:
        yield str(error)
    flow = claim.flow
    home = facts.namespace(flow.origin)
    own = facts.segments.get(home, {})
    if flow.via is not None:
        theirs = facts.segments.get(facts.namespace(flow.via), {})
        if set(own.values()).isdisjoint(theirs.values()):
            what = f"{flow.origin} and {flow.via} share no segment"
            yield f"flow: {what}, so no frame can go from one to the other"
    scope = flow.target.scope
    if scope is not None and scope not in own and home not in changed:
        near = nearest(scope, own)
        more = f" (did you mean {near}?)" if near else f"; it has {', '.join(own) or 'none'}"
        yield f"flow: {flow.origin} has no interface {scope!r}{more}"
