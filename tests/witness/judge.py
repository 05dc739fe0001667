"""Whether what netlab says of a flow is what plain sockets and the rules' own counters say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netlab.model.journey import Journey
from witness.plain import PlainAnswer
from witness.rules import Planted

#: ICMP errors that a socket reports as it does a reset
_LIKE_A_RESET = ((3, 3), (1, 4))


def disagreement(journey: Journey, told: PlainAnswer, planted: Sequence[Planted]) -> str:
    """What of outcome, answering node and address seen is false, in words; empty if nothing is."""
    if journey.outcome == "unmeasured":
        return ""
    pair = _outcome(journey), told.outcome
    # A datagram socket is not told of most ICMP errors; and the kernel's limit withholds them as it likes.
    unheard = journey.flow.to.endswith("/udp") and pair == ("unreachable", "timeout")
    withheld = any(rule.limits_errors for rule in planted) and set(pair) <= {
        "unreachable",
        "refused",
        "timeout",
    }
    if pair[0] != pair[1] and not unheard and not withheld:
        return f"outcome {journey.outcome}, plain sockets say {told.outcome} {told.error}"
    if pair != ("ok", "ok"):
        return ""
    if told.sees and journey.sees and journey.sees.address != told.sees:
        return f"sees {journey.sees.address}, plain sockets were seen as {told.sees}"
    if told.node and journey.answered_by != told.node:
        return f"answered by {journey.answered_by}, plain sockets by {told.node}"
    return ""


def _outcome(journey: Journey) -> str:
    icmp = journey.icmp
    pinged = journey.flow.to.endswith("/icmp")  # a ping is told of each error
    reset = icmp is not None and (icmp.type, icmp.code) in _LIKE_A_RESET
    if journey.outcome == "unreachable" and reset and not pinged:
        return "refused"
    if journey.outcome == "no-route" and journey.errno in ("EHOSTUNREACH", "ENETUNREACH", "EACCES"):
        return "unreachable"
    return journey.outcome


def blamed(journey: Journey, planted: Sequence[Planted]) -> list[Planted]:
    """The planted rule that decided, by netlab's word."""
    decision = journey.decided_by
    return [rule for rule in planted if _names(decision.rule, decision.table, rule)]


def wrong_decision(journey: Journey, hit: Mapping[str, int], planted: Sequence[Planted]) -> str:
    """What is false of the decision about a flow that was not ok; ``hit``: rule → packets that it saw."""
    decision = journey.decided_by
    if decision.kind == "unmeasured":
        return ""
    named = blamed(journey, planted)
    if named and not any(hit[rule.name] for rule in named):
        return f"blames {named[0].words}, which no packet hit"
    enders = [rule for rule in planted if rule.ends and hit[rule.name]]
    copied = any(rule.copies for rule in planted)
    if enders and not copied and not any(rule in named for rule in enders):
        said = f"{decision.kind} {decision.table} {decision.chain} {decision.rule}"
        return f"blames {said}, but {enders[0].words} was hit"
    return ""


def _names(rule: str | None, table: str | None, planted: Planted) -> bool:
    return table == planted.name or (
        rule is not None and (f"--comment {planted.name} " in f"{rule} " or f'"{planted.name}"' in rule)
    )
