"""A journey in one or two plain sentences: what happened, by which rule, and where a rule would change it."""

from __future__ import annotations

from typing import Final

from netlab.journey.expect import describe
from netlab.model.journey import Journey, Leg

_PATHS: Final = {
    "proxy": "by docker-proxy, through INPUT",
    "local": "through INPUT",
    "forward": "through FORWARD",
    "bridge": "over the bridge, from port to port",
    "output": "through OUTPUT",
    "inside": "without leaving its own namespace",
    "none": "without passing any hook of a host",
}
_HOOK_WORDS: Final = {"forward": "FORWARD", "input": "INPUT", "output": "OUTPUT", "bridge": "FORWARD"}


def sentence(journey: Journey) -> str:
    """The closing words of a journey."""
    words = {
        "ok": _ok,
        "refused": _refused,
        "closed": _closed,
        "unreachable": _unreachable,
        "no-route": _no_route,
        "timeout": _timeout,
        "unmeasured": _unmeasured,
    }[journey.outcome](journey)
    advice = _advice(journey)
    return f"{words} {advice}" if advice else words


def _family(journey: Journey) -> str:
    return "IPv6" if journey.flow.family == "ipv6" else "IPv4"


def _ok(journey: Journey) -> str:
    who = journey.answered_by or "the server"
    how = _PATHS[journey.path]
    words = f"{_family(journey)} reached {who} {how}"
    if journey.path == "proxy":
        words += f", because {_no_dnat(journey)}"
        if "DOCKER-USER" not in _chains(journey):
            words += "; DOCKER-USER was never consulted"
    elif rewritten := _dnat(journey):
        words += f", rewritten to {rewritten}"
    words += "."
    if journey.sees is not None:
        words += f" {_seen(journey)}."
    return words


def _seen(journey: Journey) -> str:
    assert journey.sees is not None
    sees, origin = journey.sees, journey.flow.origin
    if sees.node == origin:
        return f"The server saw the sender's own address, {sees.address}"
    whose = f" of {sees.node}" if sees.node else ""
    return f"The server saw {sees.address}{whose}, not {origin}"


def _no_dnat(journey: Journey) -> str:
    """Why the packet was not forwarded: what nat's first chain said."""
    family = "ip6" if journey.flow.family == "ipv6" else "ip"
    hook = "PREROUTING"
    for leg in journey.legs[:1]:
        for visit in leg.hooks:
            if visit.hook in ("prerouting", "output"):
                hook = visit.hook.upper()
                turned = [hit for hit in visit.rules if hit.verdict == "return" and hit.table == "nat"]
                if turned:
                    return f"in {family} nat/{turned[-1].chain} the rule {turned[-1].rule} turned it back"
                break
    return f"nothing in {family} nat/{hook} matched"


def _dnat(journey: Journey) -> str | None:
    return next((leg.nat.dnat for leg in journey.legs if leg.by is None and leg.nat.dnat), None)


def _refused(journey: Journey) -> str:
    decision = journey.decided_by
    if decision.kind in ("rule", "policy"):
        return f"Refused with a reset by {describe(decision)}."
    where = f"on {decision.node} " if decision.node else ""
    return f"Refused: the packet came {_PATHS[journey.path]}, and nobody {where}listens on that port."


def _closed(journey: Journey) -> str:
    if journey.path == "proxy":
        return "The userland proxy took the connection and closed it: its own one to the container failed."
    return f"The connection was taken {_PATHS[journey.path]}, and no data ever came back."


def _unreachable(journey: Journey) -> str:
    icmp = journey.icmp
    what = f"ICMP type {icmp.type} code {icmp.code} from {icmp.sender}" if icmp else "an ICMP error"
    decision = journey.decided_by
    if decision.kind in ("rule", "policy"):
        return f"Rejected with {what} by {describe(decision)}."
    if decision.kind == "socket":
        return f"Nobody listens on that port: the answer was {what}."
    return f"The answer was {what}."


def _no_route(journey: Journey) -> str:
    return f"No packet left {journey.flow.origin}: {journey.errno or 'it has no route there'}."


def _timeout(journey: Journey) -> str:
    decision = journey.decided_by
    dropped = decision.kind in ("rule", "policy") and (decision.kind == "rule" or decision.verdict == "drop")
    if dropped and _dropped(journey.legs):
        return f"Dropped in {(decision.hook or '').upper()} by {describe(decision)}."
    if dropped and _dropped(journey.replies):
        return f"The packet arrived, and its answer was dropped in {decision.hook} by {describe(decision)}."
    if decision.kind == "route" and journey.legs:
        return f"Lost after PREROUTING without a rule: {decision.rule}."
    if not journey.legs and not journey.switched:
        return "No answer, and no host saw the packet."
    if journey.replies:
        return f"An answer passed {journey.replies[-1].node} and did not reach {journey.flow.origin} as one."
    return f"The packet went {_PATHS[journey.path]}; no rule dropped it, and nobody answered."


def _dropped(legs: tuple[Leg, ...]) -> bool:
    """Whether a leg ends in a drop."""
    return any(
        visit.rules and visit.rules[-1].verdict in ("drop", "policy drop")
        for leg in legs
        for visit in leg.hooks
    )


def _unmeasured(journey: Journey) -> str:
    return f"Not measured: {journey.problem}."


def _advice(journey: Journey) -> str:
    """Where a rule would have a say, for what got through."""
    if journey.outcome != "ok" or journey.path not in ("proxy", "forward"):
        return ""
    if journey.path == "proxy":
        return "To block it, put the rule in INPUT."
    if "DOCKER-USER" in _chains(journey):
        return "To block it, put the rule in DOCKER-USER."
    return f"To block it, put the rule in {_HOOK_WORDS[journey.path]}."


def _chains(journey: Journey) -> set[str]:
    """Every chain that had a rule of it met."""
    return {hit.chain for leg in journey.legs for visit in leg.hooks for hit in visit.rules}
