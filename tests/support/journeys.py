"""What two journeys of one flow must share: outcome, source seen, hooks, chains and verdicts in order.

The filters are those of the recordings of real daemons: the verdict ``continue`` and policies that accept are
left out everywhere, and beside a host's firewall also jumps and returns from and to chains not the engine's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from netlab.model.journey import Journey

_CAPTURED: Final = {"connected-no-data": "closed", "icmp-unreachable": "unreachable"}
_IDLE: Final = ("continue", "policy accept")
#: What ``nft monitor trace`` says after the policy of a packet with a mark.
_MARK: Final = re.compile(r" meta mark 0x[0-9a-f]+$")
_TURNS: Final = re.compile(r": (jump|goto|return)")


@dataclass(frozen=True, slots=True)
class Essence:
    """The comparable part of a journey; ``rules`` are ``ip nat DOCKER: accept``."""

    outcome: str
    sees: str | None
    hooks: tuple[str, ...]
    rules: tuple[str, ...]

    def differences(self, other: Essence) -> list[str]:
        """One line for each part that differs, this one's side first."""
        parts = (
            ("outcome", self.outcome, other.outcome),
            ("sees", self.sees, other.sees),
            ("hooks", " ".join(self.hooks), " ".join(other.hooks)),
            ("rules", "; ".join(self.rules), "; ".join(other.rules)),
        )
        return [f"{name}: {mine} ≠ {its}" for name, mine, its in parts if mine != its]


def essence(journey: Journey, *, engine_only: bool = False) -> Essence:
    """A journey's; ``engine_only`` leaves out jumps and returns that name no engine anywhere."""
    rules = tuple(
        f"{hit.family} {hit.table} {hit.chain}: {hit.verdict}"
        for leg in journey.legs
        for visit in leg.hooks
        for hit in visit.rules
        if hit.verdict not in _IDLE
    )
    return Essence(
        journey.outcome,
        journey.sees.address if journey.sees else None,
        tuple(visit.hook for leg in journey.legs for visit in leg.hooks),
        tuple(rule for rule in rules if not engine_only or _told(rule)),
    )


def _told(rule: str) -> bool:
    return not _TURNS.search(rule) or any(name in rule.lower() for name in ("docker", "netavark"))


def captured(flow: dict[str, Any]) -> Essence:
    """The essence of one line of a recorded ``flows.jsonl``, whose ``legs`` are spelt out."""
    told = (rule.partition(" <")[0] for leg in flow["legs"] for rule in leg["rules"])
    rules = (_MARK.sub("", rule) for rule in told)
    return Essence(
        _CAPTURED.get(flow["outcome"], flow["outcome"]),
        flow.get("peer_seen"),
        tuple(hook for leg in flow["legs"] for hook in leg["hooks"]),
        tuple(rule for rule in rules if rule.partition(": ")[2] not in _IDLE),
    )


def spelt_out(flows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Recorded flows, with ``"legs": "as client"`` replaced by the legs of the same flow of ``client``."""
    clients: dict[tuple[str, ...], Any] = {}
    spelt = []
    for flow in flows:
        question = (flow["to"], flow["dst"], flow["proto"])
        if flow["from"] == "client":
            clients[question] = flow["legs"]
        spelt.append(flow if flow["legs"] != "as client" else flow | {"legs": clients[question]})
    return spelt
