"""Whether what netlab says of a flow is what plain sockets and the rules' own counters say."""

from __future__ import annotations

from collections.abc import Mapping

from netlab.model.journey import Journey
from witness.plain import PlainAnswer
from witness.rules import Planted

#: ICMP errors that a socket reports as it does a reset
_LIKE_A_RESET = ((3, 3), (1, 4))


def disagreement(journey: Journey, asked: PlainAnswer, hit: Mapping[str, int], planted: list[Planted]) -> str:
    """What is false, in words; empty if nothing is. ``hit``: rule → packets during the plain flow."""
    if journey.outcome == "unmeasured":
        return ""
    # A datagram socket is not told of most ICMP errors.
    unheard = journey.flow.to.endswith("/udp") and (journey.outcome, asked.outcome) == (
        "unreachable",
        "timeout",
    )
    if _outcome(journey) != asked.outcome and not unheard:
        return f"outcome {journey.outcome}, plain sockets say {asked.outcome} {asked.error}"
    if journey.outcome == "ok" and asked.sees and journey.sees and journey.sees.address != asked.sees:
        return f"sees {journey.sees.address}, plain sockets were seen as {asked.sees}"
    return _decider(journey, hit, planted)


def _outcome(journey: Journey) -> str:
    icmp = journey.icmp
    if journey.outcome == "unreachable" and icmp is not None and (icmp.type, icmp.code) in _LIKE_A_RESET:
        return "refused"
    if journey.outcome == "no-route" and journey.errno in ("EHOSTUNREACH", "ENETUNREACH", "EACCES"):
        return "unreachable"
    return journey.outcome


def _decider(journey: Journey, hit: Mapping[str, int], planted: list[Planted]) -> str:
    decision = journey.decided_by
    if decision.kind == "unmeasured":
        return ""
    named = [rule for rule in planted if _names(decision.rule, decision.table, rule)]
    if named and journey.outcome != "ok" and not any(hit[rule.name] for rule in named):
        return f"blames {named[0].words}, which no packet hit"
    enders = [rule for rule in planted if rule.ends and hit[rule.name]]
    if journey.outcome != "ok" and enders and not any(rule in named for rule in enders):
        blamed = f"{decision.kind} {decision.table} {decision.chain} {decision.rule}"
        return f"blames {blamed}, but {enders[0].words} was hit"
    return ""


def _names(rule: str | None, table: str | None, planted: Planted) -> bool:
    return table == planted.name or (rule is not None and planted.name in rule)
