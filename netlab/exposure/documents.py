"""The JSON objects of exposures, key by key."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from netlab.model.outcome import PathName

FateWord = Literal[
    "reaches",
    "closed",
    "refused",
    "dropped",
    "rejected",
    "unroutable",
    "lost",
    "no-route",
    "depends",
    "unknown",
]


class BoxDocument(TypedDict):
    """A set of packets: all that match each of these lists; a field that is free is left out.

    Ports are single ones or ranges (`80`, `1024-65535`), addresses single ones, networks or ranges.
    """

    protocol: list[str]
    dst: NotRequired[list[str]]
    src: NotRequired[list[str]]
    dport: NotRequired[list[str]]
    sport: NotRequired[list[str]]


class EndedByDocument(TypedDict):
    """The rule or policy that ended a packet."""

    family: str
    table: str
    chain: str
    rule: str  #: empty for the chain's policy


class FateDocument(TypedDict):
    """What becomes of a packet. A key that says nothing is left out."""

    word: FateWord
    node: str  #: where it ended
    path: PathName
    service: NotRequired[str]  #: what took it
    port: NotRequired[int]  #: the port of `service`, if not the packet's own
    sees: NotRequired[str]  #: the source address that the server sees, if not the packet's own
    why: NotRequired[str]
    proxy: NotRequired[str]  #: the userland proxy that took it
    by: NotRequired[EndedByDocument]
