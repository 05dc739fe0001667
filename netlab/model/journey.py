"""A journey: what happened to the packets of one flow.

The JSON of :meth:`Journey.to_json` is stable and versioned: keys are added, but never renamed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from netlab.model.outcome import DeciderKind, OutcomeName, PathName
from netlab.model.text import drawing_of, text_of

if TYPE_CHECKING:
    from netlab.model.journey_json import (
        DecidedByDocument,
        HookVisitDocument,
        JourneyDocument,
        JourneyFlowDocument,
        LegDocument,
    )
    from netlab.model.plan import Plan

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Packet:
    """The source and destination of a packet as text (``192.0.2.1:80``, ``[2001:db8::1]:80``)."""

    src: str
    dst: str


@dataclass(frozen=True, slots=True)
class RuleHit:
    """A rule that matched, or (``rule`` is None) the policy that applied at the end of a base chain.

    ``rule`` is the rule as its tool prints it; ``verdict`` is, for example, ``jump DOCKER``, ``accept`` or
    ``policy drop``; ``reason`` says why the rule exists, if the plan knows.
    """

    family: str
    table: str
    chain: str
    rule: str | None
    verdict: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class HookVisit:
    """A packet at one hook: interface names, addresses on arrival, and the rules that matched."""

    hook: str
    iif: str | None
    oif: str | None
    packet: Packet
    rules: tuple[RuleHit, ...] = ()


@dataclass(frozen=True, slots=True)
class Nat:
    """What a host rewrote: the new destination, and the new source."""

    dnat: str | None = None
    snat: str | None = None


@dataclass(frozen=True, slots=True)
class Leg:
    """The path of one packet through one host. ``by`` is the program that sent it, if not the origin."""

    node: str
    by: str | None
    nat: Nat
    hooks: tuple[HookVisit, ...]

    @property
    def letters(self) -> str:
        """``PFS``: the hooks, a letter each (prerouting, input, forward, output, and S for postrouting)."""
        return "".join("S" if visit.hook == "postrouting" else visit.hook[0].upper() for visit in self.hooks)


@dataclass(frozen=True, slots=True)
class Sees:
    """The source address that the server saw, and the node that has this address."""

    address: str
    node: str | None


@dataclass(frozen=True, slots=True)
class Icmp:
    """The ICMP or ICMPv6 error that came back."""

    type: int
    code: int
    sender: str


@dataclass(frozen=True, slots=True)
class DecidedBy:
    """What decided the outcome.

    ``kind``: ``rule`` (the rule that dropped, or else the last rule that accepted in a filter chain);
    ``policy`` (the same for policies, if no rule decided); ``socket`` (nothing listens on the port);
    ``route`` (``rule`` is the routing table's answer); ``none`` (no filter chain saw the packet; ``rule``
    says what else ended it); ``unmeasured`` (the outcome was measured, but not its cause; ``rule`` says what
    is known).

    If a rule or policy ended a packet, ``packet`` is this packet as it was there, and ``direction`` is
    ``reply`` if it was an answer, otherwise ``original``.
    """

    kind: DeciderKind
    node: str | None = None
    family: str | None = None
    hook: str | None = None
    table: str | None = None
    chain: str | None = None
    rule: str | None = None
    verdict: str | None = None
    reason: str | None = None
    packet: Packet | None = None
    direction: Literal["original", "reply"] | None = None

    def to_json(self) -> DecidedByDocument:
        """The JSON object: for a rule with all keys, otherwise without empty ones."""
        keys = ("family", "hook", "table", "chain", "rule", "reason")
        values = {key: getattr(self, key) for key in keys}
        if self.kind != "rule":
            values = _known(values)
        packet = {"src": self.packet.src, "dst": self.packet.dst} if self.packet is not None else None
        more = {"verdict": self.verdict, "node": self.node, "packet": packet, "direction": self.direction}
        return cast("DecidedByDocument", {"kind": self.kind} | values | _known(more))


@dataclass(frozen=True, slots=True)
class JourneyFlow:
    """The flow that was measured: origin, target, family, and the endpoints of the first packet."""

    origin: str
    to: str
    family: str
    src: str | None
    dst: str
    via: str | None = None


@dataclass(frozen=True, slots=True)
class Continuation:
    """One of the ways on from a rule that a prediction cannot decide: ``condition`` says which."""

    condition: str
    journey: Journey


@dataclass(frozen=True, slots=True)
class Journey:
    """What happened to the packets of one flow.

    >>> journey = lab.probe("client -> host:80", family=4)
    >>> journey.outcome, journey.path, journey.sees.address
    ('ok', 'forward', '198.51.100.2')
    >>> [visit.hook for leg in journey.legs for visit in leg.hooks]
    ['prerouting', 'forward', 'postrouting']
    >>> journey.decided_by.chain, journey.decided_by.reason
    ('DOCKER', 'port 80 of httpd on nw, published')

    docs/journeys.md explains the outcomes and paths.
    """

    flow: JourneyFlow
    outcome: OutcomeName
    path: PathName
    answered_by: str | None = None
    sees: Sees | None = None
    decided_by: DecidedBy = DecidedBy("none")
    legs: tuple[Leg, ...] = ()
    replies: tuple[Leg, ...] = ()
    switched: tuple[HookVisit, ...] = ()
    how: Literal["measured", "predicted"] = "measured"
    #: ``syn`` if only the first packet of a connection was sent, ``segment`` if the packet begins none
    probe: str | None = None
    icmp: Icmp | None = None
    errno: str | None = None
    problem: str | None = None  #: why the flow is unmeasured, or unpredicted
    notes: tuple[str, ...] = field(default=())
    #: of an unpredicted flow: what becomes of it in each case
    continuations: tuple[Continuation, ...] = ()

    def __str__(self) -> str:
        """What ``netlab probe`` prints, where :mod:`netlab` itself is imported."""
        return text_of(self) or repr(self)

    def svg(self, plan: Plan | None = None) -> str:
        """Draw the path on the Netfilter diagram, as an SVG document, as ``netlab probe --svg`` does.

        With the ``plan`` of its lab, each hook also shows the base chains of which the journey says nothing.

        >>> drawing = lab.probe("client -> host:80", family=4).svg()
        >>> drawing.startswith("<svg "), "◆ filter FORWARD" in drawing
        (True, True)
        """
        return drawing_of(self, "svg", plan=plan)

    def to_json(self) -> JourneyDocument:
        """The journey as a JSON object, as ``netlab probe --json`` prints it.

        >>> lab.probe("client -> host:80", family=4).to_json()["decided_by"]["chain"]
        'DOCKER'
        """
        flow: JourneyFlowDocument = {
            "from": self.flow.origin,
            "to": self.flow.to,
            "family": self.flow.family,
            "src": self.flow.src,
            "dst": self.flow.dst,
        }
        if self.flow.via:
            flow["via"] = self.flow.via
        answer: JourneyDocument = {
            "schema_version": SCHEMA_VERSION,
            "how": self.how,
            "flow": flow,
            "outcome": self.outcome,
            "path": self.path,
            "answered_by": self.answered_by,
            "sees": {"address": self.sees.address, "node": self.sees.node} if self.sees else None,
            "decided_by": self.decided_by.to_json(),
            "legs": [_leg_json(leg) for leg in self.legs],
            "replies": [_leg_json(leg) for leg in self.replies],
            "switched": [_visit_json(visit) for visit in self.switched],
        }
        if self.icmp:
            answer["icmp"] = {"type": self.icmp.type, "code": self.icmp.code, "from": self.icmp.sender}
        if self.probe is not None:
            answer["probe"] = self.probe
        if self.errno is not None:
            answer["errno"] = self.errno
        if self.problem is not None:
            answer["problem"] = self.problem
        if self.notes:
            answer["notes"] = list(self.notes)
        if self.continuations:
            answer["continuations"] = [
                {"if": one.condition, "journey": one.journey.to_json()} for one in self.continuations
            ]
        return answer

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Journey:
        """The inverse of :meth:`to_json`; raises KeyError or TypeError for anything else.

        >>> journey = lab.probe("client -> host:80", family=4)
        >>> Journey.from_json(journey.to_json()) == journey
        True
        """
        flow, sees, icmp = data["flow"], data["sees"], data.get("icmp")
        return cls(
            flow=JourneyFlow(
                flow["from"], flow["to"], flow["family"], flow["src"], flow["dst"], flow.get("via")
            ),
            outcome=data["outcome"],
            path=data["path"],
            answered_by=data["answered_by"],
            sees=Sees(sees["address"], sees["node"]) if sees else None,
            decided_by=_decided_by(data["decided_by"]),
            legs=tuple(_leg(leg) for leg in data["legs"]),
            replies=tuple(_leg(leg) for leg in data["replies"]),
            switched=tuple(_visit(visit) for visit in data["switched"]),
            how=data["how"],
            probe=data.get("probe"),
            icmp=Icmp(icmp["type"], icmp["code"], icmp["from"]) if icmp else None,
            errno=data.get("errno"),
            problem=data.get("problem"),
            notes=tuple(data.get("notes", ())),
            continuations=tuple(
                Continuation(one["if"], cls.from_json(one["journey"]))
                for one in data.get("continuations", ())
            ),
        )


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _visit_json(visit: HookVisit) -> HookVisitDocument:
    return {
        "hook": visit.hook,
        "iif": visit.iif,
        "oif": visit.oif,
        "packet": {"src": visit.packet.src, "dst": visit.packet.dst},
        "rules": [
            {
                "family": hit.family,
                "table": hit.table,
                "chain": hit.chain,
                "rule": hit.rule,
                "verdict": hit.verdict,
                "reason": hit.reason,
            }
            for hit in visit.rules
        ],
    }


def _leg_json(leg: Leg) -> LegDocument:
    return {
        "node": leg.node,
        "by": leg.by,
        "nat": {"dnat": leg.nat.dnat, "snat": leg.nat.snat},
        "hooks": [_visit_json(visit) for visit in leg.hooks],
    }


def _decided_by(data: dict[str, Any]) -> DecidedBy:
    packet = data.get("packet")
    return DecidedBy(**{**data, "packet": None if packet is None else Packet(**packet)})


def _visit(data: dict[str, Any]) -> HookVisit:
    rules = tuple(RuleHit(**rule) for rule in data["rules"])
    return HookVisit(data["hook"], data["iif"], data["oif"], Packet(**data["packet"]), rules)


def _leg(data: dict[str, Any]) -> Leg:
    return Leg(data["node"], data["by"], Nat(**data["nat"]), tuple(_visit(visit) for visit in data["hooks"]))
