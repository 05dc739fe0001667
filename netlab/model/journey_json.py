"""The JSON object of a journey, key by key; :meth:`netlab.model.journey.Journey.to_json` makes it."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

from netlab.model.outcome import DeciderKind, OutcomeName, PathName


class PacketDocument(TypedDict):
    """A packet's source and destination, such as `192.0.2.1:80` and `[2001:db8::1]:80`."""

    src: str
    dst: str


class RuleHitDocument(TypedDict):
    """A rule that matched, or the policy that applied at the end of a base chain."""

    family: str  #: as nft writes it: `ip`, `ip6`, `inet`, `bridge`
    table: str
    chain: str
    rule: str | None  #: as its tool prints it; null for a policy
    verdict: str  #: such as `jump DOCKER`, `accept`, `policy drop`
    reason: str | None  #: why the rule exists, if the plan knows


class HookVisitDocument(TypedDict):
    """A packet at one hook."""

    hook: str
    iif: str | None  #: the interface by which it came in
    oif: str | None  #: the interface by which it goes out
    packet: PacketDocument  #: as it arrived at the hook
    rules: list[RuleHitDocument]  #: those that matched, in order


class NatDocument(TypedDict):
    """What a host rewrote."""

    dnat: str | None  #: the new destination
    snat: str | None  #: the new source


class LegDocument(TypedDict):
    """The path of one packet through one host."""

    node: str  #: the host
    by: str | None  #: the program that sent the packet, if not the origin: `docker-proxy`
    nat: NatDocument
    hooks: list[HookVisitDocument]


class SeesDocument(TypedDict):
    """The source address that the server saw."""

    address: str
    node: str | None  #: the node that has this address


IcmpDocument = TypedDict(
    "IcmpDocument",
    {"type": int, "code": int, "from": Annotated[str, "who sent it"]},
)
IcmpDocument.__doc__ = "The ICMP or ICMPv6 error that came back."


class DecidedByDocument(TypedDict):
    """What decided the outcome: a rule, a policy, a socket, a route, or none of these.

    A key that says nothing is left out; of a rule, all from `family` to `reason` are there.
    """

    kind: DeciderKind
    family: NotRequired[str | None]
    hook: NotRequired[str | None]
    table: NotRequired[str | None]
    chain: NotRequired[str | None]
    rule: NotRequired[str | None]  #: the rule as its tool prints it, or what else is known
    reason: NotRequired[str | None]
    verdict: NotRequired[str]
    node: NotRequired[str]
    packet: NotRequired[PacketDocument]  #: the packet that ended there, as it was there
    direction: NotRequired[Literal["original", "reply"]]  #: whether it was an answer


_From = TypedDict("_From", {"from": Annotated[str, "the node that asks"]})


class JourneyFlowDocument(_From):
    """The flow, and the endpoints of its first packet."""

    to: str
    family: str  #: `ipv4` or `ipv6`
    src: str | None  #: null if no packet left
    dst: str
    via: NotRequired[str]  #: the next hop, if the flow names one


class JourneyDocument(TypedDict):
    """What happened to the packets of one flow.

    >>> document = lab.probe("client -> host:80", family=4).to_json()
    >>> document["outcome"], document["path"], document["decided_by"]["chain"]
    ('ok', 'forward', 'DOCKER')
    """

    schema_version: Literal[1]
    how: Literal["measured", "predicted"]
    flow: JourneyFlowDocument
    outcome: OutcomeName
    path: PathName
    answered_by: str | None  #: the node that answered
    sees: SeesDocument | None
    decided_by: DecidedByDocument
    legs: list[LegDocument]  #: the first packet, host by host; after the proxy, that of its own connection
    replies: list[LegDocument]  #: the first answer
    switched: list[HookVisitDocument]  #: hooks of bridges
    icmp: NotRequired[IcmpDocument]
    probe: NotRequired[str]  #: `syn`: only the first packet was sent; `segment`: one that begins nothing
    errno: NotRequired[str]  #: of `no-route`: the sender's own error
    problem: NotRequired[str]  #: why it is unmeasured, or unpredicted
    notes: NotRequired[list[str]]
    continuations: NotRequired[list[ContinuationDocument]]  #: of `unpredicted`: each way on


_If = TypedDict("_If", {"if": Annotated[str, "which packets go this way"]})


class ContinuationDocument(_If):
    """One of the ways on from a rule that a prediction cannot decide."""

    journey: JourneyDocument
