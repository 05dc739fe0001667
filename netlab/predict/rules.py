"""Rules as the model evaluates them: what iptables and nft write becomes the same conditions and actions.

A rule is a sequence of steps. A condition is about one field of a packet and a set of values, and may be
negated. It is data, so that a whole chain can also be evaluated for sets of packets. What the first packet of
a connection does not determine is a :class:`Depends`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from netlab.model.family import Family

#: inclusive ranges of numbers
Ranges = tuple[tuple[int, int], ...]

#: conntrack's states, one bit each, as nft numbers them (NF_CT_STATE_BIT)
CT_STATES = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64}
#: conntrack's status bits (enum ip_conntrack_status) that rules can ask for
CT_STATUS = {
    "expected": 1, "seen-reply": 2, "assured": 4, "confirmed": 8, "snat": 16, "dnat": 32, "dying": 512,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class In:
    """The value of a field is in one of the ranges. A packet without this field never matches."""

    field: str
    ranges: Ranges
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Masked:
    """``field & mask == value``."""

    field: str
    mask: int
    value: int
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AnyBit:
    """``field & bits != 0``: states of conntrack, and the like."""

    field: str
    bits: int
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """An interface's name: exact, or any that begins so if ``prefix``. No interface has the empty name."""

    field: str
    name: str
    prefix: bool = False
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Lookup:
    """Several fields together are in a set (``ip saddr . tcp dport @allowed``).

    An element is one range (or name, as :class:`Named` means it) a field.
    """

    fields: tuple[str, ...]
    elements: tuple[tuple[Named | In, ...], ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AddressType:
    """What the routing table says of an address: ``local``, ``broadcast``, ``unicast`` and so on.

    ``side``: ``src`` or ``dst``. ``interface`` limits ``local`` to one side's interface: ``in`` or ``out``.
    """

    side: Literal["src", "dst"]
    types: frozenset[str]
    negated: bool = False
    interface: Literal["", "in", "out"] = ""


@dataclass(frozen=True, slots=True)
class ReversePath:
    """Whether an answer to the source would leave by the interface that the packet came in by.

    ``loose``: by any interface. ``local``: a source of the host's own counts, too. ``mark``: the packet's
    mark counts for the lookup.
    """

    loose: bool = False
    local: bool = False
    mark: bool = False
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Depends:
    """Nobody can tell from the first packet: ``what`` is the part of the rule (``-m limit``)."""

    what: str


@dataclass(frozen=True, slots=True)
class Never:
    """True of no packet that a flow sends: it has no options, no extension headers, no fragments.

    ``negated``: true of each.
    """

    what: str
    negated: bool = False


Condition = In | Masked | AnyBit | Named | Lookup | AddressType | ReversePath | Depends | Never


#: how a base chain ends, and the verdicts that end one
EndWord = Literal["accept", "drop", "reject"]
ENDING: Final = ("accept", "drop")


@dataclass(frozen=True, slots=True)
class Verdict:
    """``accept``, ``drop``, ``return``, ``jump``, ``goto``, ``queue``, ``continue``."""

    word: Literal["accept", "drop", "return", "jump", "goto", "queue", "continue"]
    chain: str = ""


@dataclass(frozen=True, slots=True)
class VerdictMap:
    """A verdict for each element of a set (``oifname vmap @jumps``)."""

    fields: tuple[str, ...]
    elements: tuple[tuple[tuple[Named | In, ...], Verdict], ...]


@dataclass(frozen=True, slots=True)
class Reject:
    """Drop and answer: with an ICMP error (type and code of each family), or with a TCP reset."""

    reset: bool = False
    ipv4: tuple[int, int] = (3, 3)
    ipv6: tuple[int, int] = (1, 4)


@dataclass(frozen=True, slots=True)
class Translate:
    """NAT: the source or the destination becomes an address and a port of these ranges.

    ``masquerade``: the source becomes the output interface's address; ``redirect``: the destination becomes
    the host's own. ``prefix`` keeps the host part of the address (NETMAP). ``random``: nobody can tell the
    port. ``family``: it leaves packets of the other one alone (``dnat ip to`` in an inet table).
    """

    side: Literal["src", "dst"]
    addresses: tuple[int, int] | None = None
    ports: tuple[int, int] | None = None
    masquerade: bool = False
    redirect: bool = False
    prefix: int | None = None
    random: bool = False
    family: Family | None = None

    @property
    def by_chance(self) -> bool:
        """Whether the kernel chooses an address or a port of a range."""
        return any(pair is not None and pair[0] != pair[1] for pair in (self.addresses, self.ports))


@dataclass(frozen=True, slots=True)
class SetMark:
    """``field = (field & keep) ^ value``; ``field`` is ``mark`` or ``ctmark``."""

    field: Literal["mark", "ctmark"]
    keep: int
    value: int


@dataclass(frozen=True, slots=True)
class CopyMark:
    """CONNMARK's save (from the packet) and restore (to the packet)."""

    save: bool
    packet_mask: int
    connection_mask: int


@dataclass(frozen=True, slots=True)
class Untrack:
    """No conntrack for this packet (CT --notrack)."""


@dataclass(frozen=True, slots=True)
class Passive:
    """What changes neither the packet's way nor its addresses: logs, counters, TCP options."""

    name: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A target whose effect the model does not know: ``what`` names it (``-j TPROXY``)."""

    what: str


Action = Verdict | VerdictMap | Reject | Translate | SetMark | CopyMark | Untrack | Passive | Unknown
Step = Condition | Action


@dataclass(frozen=True, slots=True)
class ModelRule:
    """A rule: ``text`` as the tool prints it, its steps, and the line of the listing that it stands on."""

    text: str
    steps: tuple[Step, ...]
    line: int = 0


@dataclass(slots=True)
class ModelChain:
    """A chain; with a hook, a base chain, whose ``type`` is ``filter``, ``nat`` or ``route``."""

    name: str
    rules: list[ModelRule] = field(default_factory=list)
    hook: str = ""
    type: str = "filter"
    priority: int = 0
    policy: Literal["accept", "drop"] = "accept"
    #: kept by :mod:`netlab.predict.selection`
    selection: Selection | None = field(default=None, repr=False, compare=False)


#: a rule with its number in its chain, from 1
Numbered = tuple[int, ModelRule]


@dataclass(slots=True)
class Selection:
    """The rules of a chain as they were when it was made: how many, and by the values of fields.

    ``fields``: field → (rules for each value that a rule names, rules that name none), all in the
    order of the chain.
    """

    length: int
    every: list[Numbered]
    fields: dict[str, tuple[dict[int | str, list[Numbered]], list[Numbered]]] = field(default_factory=dict)


@dataclass(slots=True)
class ModelTable:
    """A table of any family (``ip``, ``ip6``, ``inet``, ``bridge``, …); ``iptables``: made by it."""

    family: str
    name: str
    chains: dict[str, ModelChain] = field(default_factory=dict)
    iptables: bool = False

    def sees(self, family: Family) -> bool:
        """Whether its chains see packets of this family in the IP hooks."""
        return self.family in ("inet", family.nft)

    @property
    def tracks(self) -> bool:
        """Whether a rule of it makes the kernel track connections: one that asks conntrack, or NAT.

        A chain of type nat alone does not (nf_ct_netns_get is called by expressions and targets).
        """
        return any(
            _tracks(step) for chain in self.chains.values() for rule in chain.rules for step in rule.steps
        )


def _tracks(step: Step) -> bool:
    if isinstance(step, Translate | CopyMark):
        return True
    if isinstance(step, SetMark):
        return step.field == "ctmark"
    if isinstance(step, Passive):
        return step.name in ("CT", "ct helper", "ct label")
    if isinstance(step, In | Masked | AnyBit | Named):
        return step.field.startswith("ct")
    if isinstance(step, Lookup | VerdictMap):
        return any(name.startswith("ct") for name in step.fields)
    return isinstance(step, Depends | Unknown) and any(
        word in step.what for word in ("conn", "ct ", "helper", "SYNPROXY")
    )
