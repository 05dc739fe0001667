"""Flows, and the patterns that mean several flows.

::

    flow    = origins [":" port] "->" target [":" ports] ["/" proto] ["via" node] ["from" address] ["size" n]
    origins = name | glob | "[" list "]"
    target  = name ["@" network] | "localhost" | "gateway" ["@" network] | IPv4 | "[" IPv6 ["%" interface] "]"
    ports   = n | n-m | list | "*"          proto = tcp (default) | udp | sctp | icmp
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netlab.model.family import Family, bracketed

FlowProtocol = Literal["tcp", "udp", "sctp", "icmp"]


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a flow, as written: exactly one of ``name`` and ``address`` is set.

    ``name`` is a node's name, ``localhost`` or ``gateway``; ``network`` is what came after ``@``. ``scope``
    is the origin's interface on whose link a link-local address is, if that was said (``[fe80::1%eth0]``).
    """

    name: str | None = None
    address: str | None = None
    network: str | None = None
    scope: str | None = None

    def __str__(self) -> str:
        if self.address is not None:
            scope = f"%{self.scope}" if self.scope else ""
            return bracketed(f"{self.address}{scope}")
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
    source: str | None = None  #: the source address, forged if the origin does not have it
    size: int | None = None  #: octets of data that the request carries at least

    @property
    def port_count(self) -> int:
        """The minimum number of its ports; only a plan knows those of ``*``."""
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
    via: str | None = None  #: node to whose MAC the frame is sent, regardless of the routing table
    source: str | None = None  #: forged source address
    source_port: int | None = None
    size: int | None = None  #: octets of data that the request carries at least; None: a few

    @property
    def to(self) -> str:
        """``host:80/tcp``, or ``host:80/tcp size 4000``: the question as written."""
        port = "" if self.port is None else f":{self.port}"
        size = "" if self.size is None else f" size {self.size}"
        return f"{self.target}{port}/{self.protocol}{size}"

    def __str__(self) -> str:
        port = "" if self.source_port is None else f":{self.source_port}"
        via = f" via {self.via}" if self.via else ""
        return f"{self.origin}{port} -> {self.to}{via}" + (f" from {self.source}" if self.source else "")
