"""Flows (one question each), the patterns that stand for many, and what is expected of them.

::

    flow    = origins [":" port] "->" target [":" ports] ["/" proto] ["via" node]
    origins = name | glob | "[" list "]"
    target  = name ["@" network] | "localhost" | "gateway" ["@" network] | IPv4 | "[" IPv6 "]"
    ports   = n | n-m | list | "*"          proto = tcp (default) | udp | sctp | icmp
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from netlab.model.errors import Position
from netlab.model.family import Family

if TYPE_CHECKING:
    from netlab.model.scenario import ScenarioEvent

FlowProtocol = Literal["tcp", "udp", "sctp", "icmp"]
OutcomeName = Literal["ok", "refused", "closed", "unreachable", "no-route", "timeout", "unmeasured"]
PathName = Literal["proxy", "local", "forward", "bridge", "output", "inside", "none"]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a flow goes, as written: exactly one of ``name`` and ``address`` is set.

    ``name`` is a node's name, ``localhost`` or ``gateway``; ``network`` is what stood behind ``@``.
    """

    name: str | None = None
    address: str | None = None
    network: str | None = None

    def __str__(self) -> str:
        if self.address is not None:
            return f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.name}@{self.network}" if self.network else str(self.name)


@dataclass(frozen=True, slots=True)
class FlowPattern:
    """A flow as written: several origins and ports, perhaps globs.

    ``ports`` holds inclusive ranges; None is ``*`` (all that the plan knows of the target, and one that
    it does not); empty for icmp. ``family`` is set by a literal target only.
    """

    origins: tuple[str, ...]
    target: Target
    ports: tuple[tuple[int, int], ...] | None
    protocol: FlowProtocol = "tcp"
    via: str | None = None
    family: Family | None = None
    text: str = ""
    source_port: int | None = None  #: None: any that is free

    @property
    def port_count(self) -> int:
        """How many ports it names, at least: those of ``*`` only a plan knows."""
        return sum(high - low + 1 for low, high in self.ports or ()) or 1


@dataclass(frozen=True, slots=True)
class Flow:
    """One question: from one node, one family, one protocol, to one address and port."""

    origin: str
    target: Target
    family: Family
    protocol: FlowProtocol
    port: int | None
    address: str  #: the target's address, resolved
    via: str | None = None  #: node whose MAC the frame is sent to, whatever the routing table says
    source: str | None = None  #: forged source address
    source_port: int | None = None

    @property
    def to(self) -> str:
        """``host:80/tcp``: the question as written."""
        port = "" if self.port is None else f":{self.port}"
        return f"{self.target}{port}/{self.protocol}"

    def __str__(self) -> str:
        port = "" if self.source_port is None else f":{self.source_port}"
        return f"{self.origin}{port} -> {self.to}" + (f" via {self.via}" if self.via else "")


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of a journey; None means "not said".

    ``sees``: ``sender``, ``host``, ``gateway``, a node's name or an address. ``by`` and ``not_by`` name
    a chain, or quote a part of a rule as its tool prints it. ``dnat`` is an endpoint, or ``none``.
    """

    outcome: OutcomeName | None = None
    path: PathName | None = None
    sees: str | None = None
    by: str | None = None
    not_by: str | None = None
    dnat: str | None = None


@dataclass(frozen=True, slots=True)
class Expectation:
    """One flow of ``x-netlab.expect``: a pattern, and what is expected for each family.

    ``after`` is all that happens in the standing lab before it is asked: the events among the entries above.
    """

    pattern: FlowPattern
    expected: tuple[tuple[Family, Expected], ...]
    position: Position
    after: tuple[ScenarioEvent, ...] = ()

    @property
    def after_words(self) -> str:
        """``stop dns, start dns``; empty where nothing has happened."""
        return ", ".join(event.text for event in self.after)
