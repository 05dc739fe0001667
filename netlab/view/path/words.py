"""The words of a picture: the same ones in SVG and in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netlab.journey.sentence import icmp_words

if TYPE_CHECKING:
    from netlab.model.journey import Journey
    from netlab.view.path.scene import ChainVisit, Stage

#: so many chains that a base chain led to are named: the first, and the last ones
_NAMED: Final = 4


def title(journey: Journey) -> str:
    """The flow: ``client -> host:80/tcp via neighbour``."""
    flow = journey.flow
    return f"{flow.origin} -> {flow.to}" + (f" via {flow.via}" if flow.via else "")


def outcome(journey: Journey) -> str:
    """``IPv4: ok, forward``; ``IPv6: unreachable (ICMP …), local``."""
    word: str = journey.outcome
    if journey.icmp is not None:
        word += f" ({icmp_words(journey.icmp)})"
    elif journey.errno is not None and journey.outcome == "no-route":
        word += f" ({journey.errno})"
    if journey.outcome not in ("no-route", "unmeasured"):
        word += f", {journey.path}"
    return f"{'IPv6' if journey.flow.family == 'ipv6' else 'IPv4'}: {word}"


def chain_words(chain: ChainVisit) -> str:
    """``nat PREROUTING → DOCKER: accept``; ``◆`` marks what decided, ``·`` what was not reached."""
    name = chain.name.removeprefix("ip ").removeprefix("ip6 ")
    chains = list(chain.entered)
    if len(chains) > _NAMED:
        left_out = len(chains) - _NAMED + 1
        chains = [chains[0], f"({left_out} more)", *chains[-_NAMED + 2 :]]
    words = " → ".join((name, *chains))
    if chain.verdict:
        words += f": {chain.verdict}"
    mark = {"idle": "· ", "passed": "", "allowed": "◆ ", "stopped": "✕ "}[chain.state]
    return mark + words


def links(stage: Stage) -> str:
    """``ext0 → docker_httpd``, ``in by ext0``, ``out by eth0``."""
    if stage.iif and stage.oif:
        return f"{stage.iif} → {stage.oif}"
    if stage.iif:
        return f"in by {stage.iif}"
    return f"out by {stage.oif}" if stage.oif else ""


def decision(journey: Journey) -> list[str]:
    """The rule or policy that decided, and its reason; nothing if there was none."""
    decided = journey.decided_by
    if decided.kind not in ("rule", "policy"):
        return []
    where = f"{decided.family} {decided.table} {decided.chain}"
    if decided.kind == "policy":
        return [f"Decided by {where}: policy {decided.verdict}"]
    reason = [f"Reason: {decided.reason}"] if decided.reason else []
    return [f"Decided by {where}: {decided.rule}", *reason]
