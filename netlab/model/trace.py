"""What the kernel reports about a packet's path through nftables: one event for each rule or policy.

Source of the fields: ``NFT_MSG_TRACE`` of include/uapi/linux/netfilter/nf_tables.h, and for what is
reported when, net/netfilter/nf_tables_trace.c (Linux 6.18).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class TraceKind(enum.IntEnum):
    """What made the kernel report (``enum nft_trace_types``)."""

    POLICY = 1  #: a base chain was left by its policy
    RETURN = 2  #: a ``return`` rule, or (without a rule) the end of a chain
    RULE = 3  #: a rule matched


class VerdictCode(enum.IntEnum):
    """``NF_*`` and ``NFT_*`` verdicts."""

    DROP = 0
    ACCEPT = 1
    STOLEN = 2
    QUEUE = 3
    CONTINUE = -1
    BREAK = -2
    JUMP = -3
    GOTO = -4
    RETURN = -5

    @property
    def word(self) -> str:
        """The verdict as nft writes it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """The effect of one rule or policy. Equal events of different packets share one object.

    ``family`` is that of the table as nft writes it (``ip``, ``ip6``, ``inet``, ``bridge``). ``handle``
    is None for a policy and for the end of a chain; ``target`` is the chain of a jump or goto.
    """

    family: str
    table: str
    chain: str
    handle: int | None
    kind: TraceKind
    verdict: VerdictCode
    target: str | None = None
    #: attributes that this decoder does not know, by number
    unknown: tuple[int, ...] = ()

    @property
    def dropped(self) -> bool:
        """Whether the packet ended here."""
        return self.verdict is VerdictCode.DROP

    @property
    def words(self) -> str:
        """``jump DOCKER``, ``accept``, ``policy drop``."""
        if self.kind is TraceKind.POLICY:
            return f"policy {self.verdict.word}"
        return f"{self.verdict.word} {self.target}" if self.target else self.verdict.word


class Headers(NamedTuple):
    """The packet on entering a base chain.

    Interfaces are indexes in the traced namespace. ``network`` is at most 40 octets, ``transport`` at most 20
    and ``link`` at most 20 (empty if the kernel has none, as for an outgoing packet).
    """

    iif: int | None
    oif: int | None
    link: bytes
    network: bytes
    transport: bytes
    mark: int = 0


class Layout(Protocol):
    """How to read a packet's parts from a message: only who needs them pays for them."""

    @property
    def iif(self) -> int | None:
        """The interface that the packet came in by."""

    @property
    def oif(self) -> int | None:
        """The interface that it goes out by."""

    @property
    def mark(self) -> int:
        """The packet's mark, 0 for none."""

    def headers(self, body: bytes) -> Headers:
        """Everything."""

    def sections(self, body: bytes) -> tuple[bytes, bytes]:
        """The network header and the transport header."""


class Whole:
    """The layout of headers that were read before, with any body."""

    __slots__ = ("_headers",)

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    @property
    def iif(self) -> int | None:
        """The interface that the packet came in by."""
        return self._headers.iif

    @property
    def oif(self) -> int | None:
        """The interface that it goes out by."""
        return self._headers.oif

    @property
    def mark(self) -> int:
        """The packet's mark, 0 for none."""
        return self._headers.mark

    def headers(self, body: bytes) -> Headers:
        """Everything."""
        del body
        return self._headers

    def sections(self, body: bytes) -> tuple[bytes, bytes]:
        """The network header and the transport header."""
        del body
        return self._headers.network, self._headers.transport


class TraceEvent(NamedTuple):
    """One event. ``headers`` come with the first event of each base chain and packet only."""

    id: int
    step: Step
    headers: Headers | None


@dataclass(frozen=True, slots=True)
class TraceFault:
    """The instrument failed: the current measurement is unmeasured.

    ``kind`` is ``lost`` (ENOBUFS: the receive buffer ran over), ``malformed`` (a message that cannot be
    decoded) or ``unknown`` (an event type or a verdict that this decoder does not know).
    """

    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class BaseChain:
    """A base chain: its hook, and the verdict at its end.

    ``own`` is ``first`` or ``last`` for netlab's own chains, ``other`` for another session's, otherwise
    empty.
    """

    family: str
    table: str
    name: str
    hook: str
    type: str
    priority: int
    policy: str
    own: str = ""
