"""Summarize a journey in one or two sentences: what happened, by which rule, and where a rule would change
it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from netlab.journey.advise import blocking_chain, dropped, stopped_by
from netlab.journey.expect import decision_words
from netlab.model.journey import DecidedBy, HookVisit, Icmp, Journey

_PATHS: Final = {
    "local": "through INPUT",
    "forward": "through FORWARD",
    "bridge": "over the bridge, from port to port",
    "output": "through OUTPUT",
    "inside": "without leaving its own namespace",
    "none": "without passing any hook of a host",
}
#: Programs of a user's that are a rootless container's network, or lead to its ports.
USER_PROGRAMS: Final = ("pasta", "slirp4netns", "rootlessport", "rootlesskit")
#: What types and codes mean (RFC 792, 1812; RFC 4443 for ICMPv6), by family.
_ICMP: Final = {
    "ipv4": {
        (3, 0): "network unreachable",
        (3, 1): "host unreachable",
        (3, 2): "protocol unreachable",
        (3, 3): "port unreachable",
        (3, 4): "fragmentation needed",
        (3, 9): "network prohibited",
        (3, 10): "host prohibited",
        (3, 13): "administratively prohibited",
        (11, 0): "time to live exceeded",
    },
    "ipv6": {
        (1, 0): "no route",
        (1, 1): "administratively prohibited",
        (1, 3): "address unreachable",
        (1, 4): "port unreachable",
        (1, 5): "source address failed policy",
        (1, 6): "route rejects",
        (2, 0): "packet too big",
        (3, 0): "hop limit exceeded",
    },
}
_BELOW: Final = {"bridge": "on the bridge", "netdev": "at the device", "arp": "in the search for a neighbour"}
_NO_ROUTE: Final = ("network unreachable", "no route", "route rejects")
_NOBODY_THERE: Final = ("host unreachable", "address unreachable")
_ERRNOS: Final = {
    "ENETUNREACH": "it has no route there",
    "EHOSTUNREACH": "no neighbour on its link answers for the next hop",
    "EADDRNOTAVAIL": "it has no address of that family to send from",
    "EAFNOSUPPORT": "its kernel does not support that family",
    "EPROTONOSUPPORT": "its kernel does not support that protocol",
    "EACCES": "its routing table prohibits it",
    "EINVAL": "its routing table has a black hole there, or the source address cannot go out there",
    "ENETDOWN": "its link is down",
}


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
        "unpredicted": _unpredicted,
    }[journey.outcome](journey)
    if journey.decided_by.kind == "unmeasured" and journey.outcome != "unmeasured":
        return _undecided(journey)
    if journey.outcome == "timeout" and journey.notes:
        return " ".join((words, *(f"{note[0].upper()}{note[1:]}." for note in journey.notes)))
    advice = _advice(journey) if journey.outcome == "ok" else ""
    return f"{words} {advice}" if advice else words


def _undecided(journey: Journey) -> str:
    """The outcome was seen, its cause was not."""
    known = journey.decided_by.rule or "nothing is known"
    if journey.outcome == "ok":
        who = journey.answered_by or "the server"
        seen = f" {_seen(journey)}." if journey.sees is not None else ""
        reached = f"{family_word(journey)} reached {who} {_way(journey)}.{seen}"
        return f"{reached} Which rule let it in is unmeasured: {known}."
    what = {
        "timeout": "No answer came",
        "closed": "The connection was accepted, but no data came back",
        "refused": "Refused with a reset",
        "unreachable": f"The answer was {icmp_words(journey.icmp) if journey.icmp else 'an ICMP error'}",
        "no-route": f"No packet left {journey.flow.origin}",
    }[journey.outcome]
    return f"{what}; what decided is unmeasured: {known}."


def icmp_words(icmp: Icmp) -> str:
    """``ICMP type 3 code 13 (administratively prohibited) from 192.0.2.1``."""
    known = _meaning(icmp)
    what = f"ICMP{'v6' if ':' in icmp.sender else ''} type {icmp.type} code {icmp.code}"
    return f"{what}{f' ({known})' if known else ''} from {icmp.sender}"


def _meaning(icmp: Icmp) -> str | None:
    return _ICMP["ipv6" if ":" in icmp.sender else "ipv4"].get((icmp.type, icmp.code))


def family_word(journey: Journey) -> str:
    """``IPv4`` or ``IPv6``."""
    return "IPv6" if journey.flow.family == "ipv6" else "IPv4"


def _ok(journey: Journey) -> str:
    who = journey.answered_by or "the server"
    words = f"{family_word(journey)} reached {who} {_way(journey)}"
    if rewritten := rewritten_to(journey):
        words += f", rewritten to {rewritten}"
    elif journey.path == "proxy" and not rootless(journey):
        words += f" and not FORWARD, because {_no_dnat(journey)}"
    words += "."
    if journey.sees is not None:
        words += f" {_seen(journey)}."
    if journey.probe == "syn":
        words += " Only the first packet of the connection was sent."
    return words


def rootless(journey: Journey) -> bool:
    """Whether a program of a rootless container's user took the packet."""
    return journey.path == "proxy" and proxy_name(journey) in USER_PROGRAMS


def by_frames(journey: Journey) -> bool:
    """Whether the packet came out of a rootless container, to the program that is its network."""
    hooks = journey.legs[0].hooks if journey.legs else ()
    return rootless(journey) and bool(hooks) and hooks[-1].hook == "postrouting"


def keeps_sender(journey: Journey) -> bool:
    """Whether the program of a rootless container showed it the sender's own address."""
    return rootless(journey) and journey.sees is not None and journey.sees.node == journey.flow.origin


def _seen(journey: Journey) -> str:
    assert journey.sees is not None
    sees, origin = journey.sees, journey.flow.origin
    whose = f" of {sees.node}" if sees.node else ""
    if journey.path == "proxy" and not keeps_sender(journey):
        instead = "" if sees.node == origin else f", not {origin}"
        return f"The server saw the proxy's connection, from {sees.address}{whose}{instead}"
    if sees.node == origin:
        return f"The server saw the sender's own address, {sees.address}"
    return f"The server saw {sees.address}{whose}, not {origin}"


def _no_dnat(journey: Journey) -> str:
    """Why the packet was not forwarded. It names no chain that the trace does not have."""
    where, rule = nat_answer(journey)
    if rule is None:
        return f"no rule in {where} rewrote its destination"
    return f"in {where} the rule {rule} returned it"


def nat_answer(journey: Journey) -> tuple[str, str | None]:
    """Where the packet of a proxied connection met no DNAT: the hook and None if no rule matched, otherwise
    the chain (``ip nat/DOCKER``) and the rule that returned it.
    """
    hook = "PREROUTING"
    for leg in journey.legs[:1]:
        for visit in leg.hooks:
            if visit.hook in ("prerouting", "output"):
                hook = visit.hook.upper()
                turned = [hit for hit in visit.rules if hit.verdict == "return" and hit.table == "nat"]
                if turned:
                    return f"{turned[-1].family} nat/{turned[-1].chain}", turned[-1].rule
                break
    return hook, None


def rewritten_to(journey: Journey) -> str | None:
    """The endpoint to which the packet's destination was rewritten, if it was."""
    return next((leg.nat.dnat for leg in journey.legs if leg.by is None and leg.nat.dnat), None)


def proxy_name(journey: Journey) -> str | None:
    """The name of the userland proxy on a journey's path."""
    return next((leg.by for leg in (*journey.legs, *journey.replies) if leg.by), None)


def _proxy(journey: Journey) -> str:
    return proxy_name(journey) or "the userland proxy"


def _way(journey: Journey) -> str:
    """``through FORWARD``: how the packet came to the end of its path."""
    if journey.path == "proxy":
        return f"by {_proxy(journey)}, through {'OUTPUT' if by_frames(journey) else 'INPUT'}"
    return _PATHS[journey.path]


def _went(journey: Journey) -> str:
    """How the packet reached the end of its path, as the beginning of a sentence."""
    if journey.path == "inside":
        return f"the packet stayed in {journey.flow.origin}'s own namespace"
    if by_frames(journey):
        return f"the packet reached {_proxy(journey)}, which sent one of its own through OUTPUT"
    if journey.path in ("proxy", "local"):
        return f"the packet reached {f'{_proxy(journey)}, through ' if journey.path == 'proxy' else ''}INPUT"
    if journey.path == "none":
        return "the packet passed no hook of a host" if not journey.legs else "the packet reached PREROUTING"
    return f"the packet went {_way(journey)}"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _refused(journey: Journey) -> str:
    decision = journey.decided_by
    if decision.kind in ("rule", "policy"):
        return f"Refused with a reset by {decision_words(decision)}."
    where = f"on {decision.node} " if decision.node else ""
    if journey.probe == "segment":
        return f"Refused: {_went(journey)}, and no connection {where}is one that it belongs to."
    return f"Refused: {_went(journey)}, and nothing {where}listens on that port."


def _closed(journey: Journey) -> str:
    decision = journey.decided_by
    if stopped_by(journey) is not None:
        proxied = next((leg for leg in journey.legs if leg.by and dropped_at(leg.hooks)), None)
        if proxied is None:
            return _timeout(journey)
        how = "rejected" if rejects(decision) else "dropped"
        return (
            f"The userland proxy accepted the connection; its own connection to the container was {how}"
            f" in {(decision.hook or '').upper()} by {decision_words(decision)}."
        )
    if decision.kind == "socket" and decision.rule:
        return f"The kernel of {decision.node} completed the connection, but {decision.rule}."
    if decision.kind == "route" and decision.rule:
        return (
            f"The userland proxy accepted the connection, but {decision.node} has no route"
            f" to its container: {decision.rule}."
        )
    if journey.path == "proxy":
        return (
            "The userland proxy accepted the connection and closed it: "
            "its own connection to the container failed."
        )
    return f"The connection was accepted: {_went(journey)}; but no data came back."


def _unreachable(journey: Journey) -> str:
    icmp, decision = journey.icmp, journey.decided_by
    what = icmp_words(icmp) if icmp else "an ICMP error"
    if decision.kind in ("rule", "policy"):
        return f"Rejected with {what} by {decision_words(decision)}."
    if decision.kind == "socket":
        where = f"on {decision.node} " if decision.node else ""
        return f"Nothing {where}listens on that port: {_went(journey)}, and the answer was {what}."
    who = decision.node or "A router"
    if decision.kind == "route" and decision.rule is not None:
        table = f"The routing table of {decision.node or 'a host'}"
        return f"{table} rejected it ({decision.rule}): the answer was {what}."
    if icmp is not None and _meaning(icmp) in _NO_ROUTE:
        return f"{who} has no route there: the answer was {what}."
    if icmp is not None and _meaning(icmp) in _NOBODY_THERE:
        return f"{who} found no neighbour with that address on its link: the answer was {what}."
    return f"{_capital(_went(journey))}, and the answer was {what}."


def _no_route(journey: Journey) -> str:
    known = _ERRNOS.get(journey.errno or "", "")
    why = f"{known} ({journey.errno})" if known else journey.errno or "it has no route there"
    return f"No packet left {journey.flow.origin}: {why}."


def _timeout(journey: Journey) -> str:
    decision = journey.decided_by
    if stopped_by(journey) is not None:
        hook = (decision.hook or "").upper()
        if rejects(decision):
            return f"Rejected in {hook} by {decision_words(decision)}; but {_missing_answer(journey)}"
        for leg in journey.legs:
            if dropped_at(leg.hooks):
                whose = f", on {leg.by}'s own connection," if leg.by else ""
                return f"Dropped in {hook}{whose} by {decision_words(decision)}."
        if dropped_at(journey.switched):
            return f"Dropped on the bridge, in {hook}, by {decision_words(decision)}."
        if decision.verdict in ("queue", "stolen"):
            return f"Handed to another program in {hook} by {decision_words(decision)}, and never returned."
        if decision.family in _BELOW:
            return f"Dropped {_BELOW[decision.family]}, in {hook}, by {decision_words(decision)}."
        if journey.outcome == "closed":
            by = decision_words(decision)
            return f"The connection was accepted; later packets were dropped in {hook} by {by}."
        if not any(dropped_at(leg.hooks) for leg in journey.replies):
            if decision.direction == "reply":  # an ICMP error
                where = f"{hook} of {decision.node}"
                return (
                    f"It was answered, and the answer was dropped in {where} by {decision_words(decision)}."
                )
            return f"Dropped in {hook} by {decision_words(decision)}."
        return f"The packet arrived, and its answer was dropped in {hook} by {decision_words(decision)}."
    if decision.kind == "route" and decision.direction == "reply":
        return f"The packet arrived, and {decision.node} has no way back for its answer: {decision.rule}."
    if decision.kind == "route" and journey.legs:
        if decision.node not in (None, journey.legs[-1].node):
            return f"The packet arrived at {decision.node}, whose kernel does not take it: {decision.rule}."
        return f"Lost after PREROUTING without a rule: {decision.rule}."
    if decision.kind == "none" and decision.rule:
        return f"No answer reached {journey.flow.origin}: {decision.rule}."
    if not journey.legs and not journey.switched:
        return "No answer, and no host saw the packet."
    if journey.replies:
        return _answer_lost(journey)
    return f"{_capital(_went(journey))}; no rule dropped it, and there was no answer."


def rejects(decision: DecidedBy) -> bool:
    """Whether a rule answers the packet that it stops."""
    rule = decision.rule or ""
    return " -j REJECT" in rule or "reject" in rule.split()


def _missing_answer(journey: Journey) -> str:
    """Why the sender of a rejected packet got no answer."""
    rule = journey.decided_by.rule or ""
    if "tcp-reset" in rule or "tcp reset" in rule:
        return "its reset never arrived."
    limit = "net.ipv6.icmp.ratelimit" if journey.flow.family == "ipv6" else "net.ipv4.icmp_ratelimit"
    node = journey.decided_by.node or "the host"
    return f"its ICMP error never arrived: lost on the way back, or over the limit of {node} ({limit})."


def _answer_lost(journey: Journey) -> str:
    """An answer was sent, and no rule dropped it."""
    origin = journey.flow.origin
    if journey.path == "proxy" and not any(leg.by for leg in journey.replies):
        proxy = _proxy(journey).replace("the ", "The ", 1)
        return (
            f"{proxy} got the server's answer, but did not answer from {journey.flow.dst}: "
            f"{origin} sent to that address, and accepts answers only from it."
        )
    return f"An answer passed {journey.replies[-1].node} but did not reach {origin} as an answer."


def dropped_at(visits: Iterable[HookVisit]) -> bool:
    """Whether a packet ended at one of these hooks."""
    return any(dropped(visit) for visit in visits)


def _unmeasured(journey: Journey) -> str:
    return f"Not measured: {journey.problem}."


def _unpredicted(journey: Journey) -> str:
    words = f"Not predicted: {journey.problem}."
    return words + "".join(
        f" If {one.condition}: {one.journey.outcome}, {one.journey.path}." for one in journey.continuations
    )


def _advice(journey: Journey) -> str:
    """Where a rule would have a say, for what got through."""
    chain = blocking_chain(journey)
    if chain is not None:
        return f"To block it, put the rule in {chain}."
    if journey.switched:
        return "No iptables rule sees it, only the bridge family does, because br_netfilter does not apply."
    return "No rule on a host can block it."
