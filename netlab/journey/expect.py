"""Expected × measured → passed, failed (with the reason in words), or unmeasured."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from netlab.journey.expand import Claim
from netlab.journey.resolve import Resolver
from netlab.model.errors import UsageError
from netlab.model.expectation import Expected
from netlab.model.family import bare, split_endpoint
from netlab.model.journey import DecidedBy, Journey
from netlab.model.outcome import UNKNOWN
from netlab.model.plan import Node, Plan

if TYPE_CHECKING:
    from collections.abc import Iterable


VerdictWord = Literal["passed", "failed", "unmeasured"]


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a comparison; ``problems`` has a sentence for each difference.

    >>> verdict = lab.verify()[0]
    >>> verdict.check
    Check(passed=True, problems=())

    ``passed`` is None if the journey is unmeasured, or unpredicted.
    """

    passed: bool | None
    problems: tuple[str, ...] = ()


def check(expected: Expected, journey: Journey, plan: Plan) -> Check:
    """Compare a journey with what is expected; ``problems`` has one sentence for each difference."""
    if journey.outcome in UNKNOWN:
        return Check(None, (f"{journey.outcome}: {journey.problem}",))
    if journey.decided_by.kind == "unmeasured" and (expected.by or expected.not_by):
        return Check(None, (f"who decided is unmeasured: {journey.decided_by.rule}",))
    problems = [
        _word("outcome", expected.outcome, journey.outcome),
        _word("path", expected.path, journey.path),
        _sees(expected.sees, journey, plan),
        _by(expected.by, journey.decided_by),
        _not_by(expected.not_by, journey.decided_by),
        _dnat(expected.dnat, journey),
    ]
    found = tuple(problem for problem in problems if problem)
    return Check(not found, found)


def _word(what: str, expected: str | None, measured: str) -> str:
    if expected is None or expected == measured:
        return ""
    return f"{what}: expected {expected}, measured {measured}"


def _sees(expected: str | None, journey: Journey, plan: Plan) -> str:
    if expected is None:
        return ""
    if journey.sees is None:
        return f"sees: expected {expected}, but no data came back ({journey.outcome})"
    address, node = journey.sees.address, journey.sees.node
    allowed = _allowed(expected, journey, plan)
    if node is not None and (node == expected or any(node == one.name for one in _nodes(expected, plan))):
        return ""
    if address in allowed:
        return ""
    meant = f"{expected} ({', '.join(sorted(allowed))})" if allowed - {expected} else expected
    return f"sees: expected {meant}, the server saw {address}" + (f" ({node})" if node else "")


def _allowed(expected: str, journey: Journey, plan: Plan) -> set[str]:
    """The addresses that the word means."""
    if expected == "sender":
        found = _node_addresses(plan, journey.flow.origin)
        if journey.flow.src is not None:
            found.add(split_endpoint(journey.flow.src)[0])
        return found
    if expected == "gateway":
        return _gateways(journey, plan)
    if _is_address(expected):
        return {str(ipaddress.ip_address(expected))}
    return {a for node in _nodes(expected, plan) for a in _node_addresses(plan, node.name)}


def check_sees(expected: Expected, plan: Plan) -> None:
    """Raise UsageError if ``sees`` means no node and no address."""
    if expected.sees is not None:
        _nodes(expected.sees, plan)


def _nodes(word: str, plan: Plan) -> list[Node]:
    """The nodes that a word of ``sees`` means; none for an address, sender and gateway. Raises UsageError."""
    if word in ("sender", "gateway") or _is_address(word):
        return []
    if word == "host" and not any(node.name == "host" for node in plan.nodes):
        return [node for node in plan.nodes if node.kind == "host"]
    try:
        return Resolver(plan).origins(word)
    except UsageError as error:
        raise UsageError(f"sees: {word!r} is neither a node nor an address: {error}") from None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _node_addresses(plan: Plan, name: str) -> set[str]:
    try:
        node = plan.node(name)
        home = plan.node(node.namespace)
    except KeyError:
        return set()
    return {bare(address) for interface in home.interfaces for address in interface.addresses}


def _gateways(journey: Journey, plan: Plan) -> set[str]:
    """The gateways of the network by which the answering container was reached."""
    reached = _reached(journey)
    found: set[str] = set()
    for network in plan.networks:
        inside = any(
            reached is not None
            and reached.version == ipaddress.ip_network(subnet, strict=False).version
            and reached in ipaddress.ip_network(subnet, strict=False)
            for subnet in network.subnets
        )
        if inside:
            found |= {bare(address) for address in network.gateways}
    return found


def _reached(journey: Journey) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address at which the packet arrived in the end."""
    return ipaddress.ip_address(split_endpoint(destination(journey))[0])


def destination(journey: Journey) -> str:
    """The endpoint to which the packet went in the end: behind DNAT, of the last leg."""
    if not journey.legs:
        return journey.flow.dst
    last = journey.legs[-1]
    return last.nat.dnat or (last.hooks[-1].packet.dst if last.hooks else journey.flow.dst)


def names_chain(word: str, decision: DecidedBy) -> bool:
    """Whether ``word`` names the chain that decided, as messages do.

    Alone (``DOCKER-USER``), with its table (``raw PREROUTING``), or with its family as well
    (``inet filter forward``).
    """
    if decision.chain is None:
        return False
    said, place = word.split(), [decision.family, decision.table, decision.chain]
    return bool(said) and said == place[-len(said) :]


def names(word: str, decision: DecidedBy) -> bool:
    """Whether ``word`` names what decided: its chain, its whole description, or a part of its rule."""
    in_rule = decision.rule is not None and word in decision.rule
    return in_rule or names_chain(word, decision) or word == decision_words(decision)


def _by(expected: str | None, decision: DecidedBy) -> str:
    if expected is None or names(expected, decision):
        return ""
    return f"by: expected {expected}, it was {decision_words(decision)}"


def _not_by(expected: str | None, decision: DecidedBy) -> str:
    if expected is None or not names(expected, decision):
        return ""
    return f"not-by: {expected} was expected to have no say, it was {decision_words(decision)}"


def decision_words(decision: DecidedBy) -> str:
    """Who decided, in a few words."""
    if decision.kind == "rule":
        return f"{decision.family} {decision.table} {decision.chain}: {decision.rule}"
    if decision.kind == "policy":
        return f"the policy {decision.verdict} of {decision.family} {decision.table} {decision.chain}"
    if decision.kind == "socket":
        return f"a socket that nobody has open{f' on {decision.node}' if decision.node else ''}"
    if decision.kind == "route":
        return f"the routing table{f' of {decision.node}' if decision.node else ''}"
    if decision.kind == "unmeasured":
        return f"unmeasured: {decision.rule}"
    return decision.rule or "nothing: no filter chain saw it"


def _dnat(expected: str | None, journey: Journey) -> str:
    if expected is None:
        return ""
    rewritten = next((leg.nat.dnat for leg in journey.legs if leg.by is None and leg.nat.dnat), None)
    if (rewritten or "none") == expected:
        return ""
    return f"dnat: expected {expected}, measured {rewritten or 'none'}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One flow with an expectation, the journey that was measured, and the comparison of both.

    >>> verdict = lab.verify()[0]
    >>> str(verdict.claim.flow), verdict.journey.outcome, verdict.check.passed
    ('client -> host:80/tcp', 'ok', True)
    """

    claim: Claim
    journey: Journey
    check: Check

    @property
    def word(self) -> VerdictWord:
        """``passed``, ``failed`` or ``unmeasured``.

        >>> lab.verify()[0].word
        'passed'
        """
        if self.check.passed is None:
            return "unmeasured"
        return "passed" if self.check.passed else "failed"


def exit_code(verdicts: Iterable[str]) -> int:
    """Of the words of verdicts: 1 if any failed, else 3 if any is unmeasured, else 5 if none ran, else 0."""
    words = set(verdicts)
    if "failed" in words:
        return 1
    if "unmeasured" in words:
        return 3
    return 0 if words else 5
