"""What becomes of a packet: where it ends, who takes it, and what the server sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from netlab.exposure.documents import FateDocument, FateWord
from netlab.model.outcome import PathName

#: fates that say nothing for sure
UNSURE: Final = ("depends", "unknown")


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of the first packet of a connection.

    ``word``: ``reaches`` (a program, or for ICMP the node itself, takes it), ``closed`` (a socket takes it
    and gives no data), ``refused`` (nothing listens at ``node``), ``dropped`` or ``rejected`` (by a rule or
    policy), ``unroutable`` (a route answers with an ICMP error), ``lost`` (no answer comes), ``no-route``
    (it does not leave its sender), ``depends`` (on more than the packet: ``why``), ``unknown`` (to the model:
    ``why``).

    ``node`` is where it ended. ``service`` and ``port`` are what took it; ``port`` is None if it is the
    packet's own. ``sees`` is the source address that the server sees, None for the packet's own.
    """

    word: FateWord
    node: str = ""
    path: PathName = "none"
    service: str = ""
    port: int | None = None
    sees: str | None = None
    why: str = ""
    #: of ``dropped`` and ``rejected``: (family, table, chain, rule); the rule is empty for a policy
    by: tuple[str, str, str, str] | None = None
    #: of ``reaches`` and ``closed``, through a userland proxy: its name
    proxy: str = ""

    @property
    def open(self) -> bool:
        """Whether somebody takes the packet."""
        return self.word == "reaches"

    def to_json(self) -> FateDocument:
        """The JSON object, without empty keys."""
        found: FateDocument = {"word": self.word, "node": self.node, "path": self.path}
        if self.service:
            found["service"] = self.service
        if self.port:
            found["port"] = self.port
        if self.sees:
            found["sees"] = self.sees
        if self.why:
            found["why"] = self.why
        if self.proxy:
            found["proxy"] = self.proxy
        if self.by is not None:
            family, table, chain, rule = self.by
            found["by"] = {"family": family, "table": table, "chain": chain, "rule": rule}
        return found
