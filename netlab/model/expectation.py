"""What a scenario expects of its flows, and the events between them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from netlab.model.family import Family
from netlab.model.flow import FlowPattern
from netlab.model.outcome import OutcomeName, PathName
from netlab.model.problem import Position


@dataclass(frozen=True, slots=True)
class Expected:
    """The expected result of a journey; None means "anything".

    ``sees``: ``sender``, ``host``, ``gateway``, a node's name or an address. ``by`` and ``not_by`` name
    a chain (``DOCKER-USER``, ``raw PREROUTING``, ``inet filter forward``), or quote a part of a rule as its
    tool prints it. ``dnat`` is an endpoint, or ``none``.
    """

    outcome: OutcomeName | None = None
    path: PathName | None = None
    sees: str | None = None
    by: str | None = None
    not_by: str | None = None
    dnat: str | None = None


@dataclass(frozen=True, slots=True)
class Expectation:
    """One flow of ``x-netlab.expect``: a pattern, and the expected result for each family.

    ``after`` has the events that happen in the running lab before it: those between the entries above it.
    """

    pattern: FlowPattern
    expected: tuple[tuple[Family, Expected], ...]
    position: Position
    after: tuple[ScenarioEvent, ...] = ()

    @property
    def after_words(self) -> str:
        """``stop dns, start dns``; empty if nothing has happened."""
        return ", ".join(event.text for event in self.after)


@dataclass(frozen=True, slots=True)
class ExposureExpectation:
    """What all packets of a place reach: an entry ``exposure`` of ``x-netlab.expect``.

    ``origin``: ``outside``, a node that sends the packets, or a host's interface. ``reaches`` are targets
    (``host:80/tcp``), each of which some packet must reach; with ``nothing_else``, no packet reaches anything
    besides them.
    """

    origin: str
    reaches: tuple[FlowPattern, ...]
    nothing_else: bool
    position: Position

    def __str__(self) -> str:
        """``host:80/tcp, nothing else``."""
        targets = [pattern.text.partition("-> ")[2] for pattern in self.reaches]
        return ", ".join([*targets, *(["nothing else"] if self.nothing_else else [])])


@dataclass(frozen=True, slots=True)
class ScenarioEvent:
    """A line of ``x-netlab.events``, or of ``netlab do``, such as ``restart httpd``."""

    words: tuple[str, ...]
    position: Position

    @property
    def text(self) -> str:
        """The line as it can be written."""
        return shlex.join(self.words)
