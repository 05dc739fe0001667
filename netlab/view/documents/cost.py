"""The JSON object of what the ways into a lab cost."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from netlab.model.outcome import OutcomeName, PathName


class MachineDocument(TypedDict):
    """The machine on which it was measured."""

    kernel: str
    python: str
    processors: int | None


class SpreadDocument(TypedDict):
    """The smallest, the median and the largest of several values."""

    min: float
    median: float
    max: float


class RatioDocument(SpreadDocument):
    """The ratios to the direct way, round by round."""

    values: list[float]


class FigureDocument(SpreadDocument):
    """One quantity of one way."""

    unit: str
    better: Literal["more", "less"]
    values: list[float]  #: one a round
    ratio_to_direct: NotRequired[RatioDocument]


class CostWayDocument(TypedDict):
    """One way in, as the trace of a packet showed it before the load."""

    variant: str
    way: str
    flow: str
    family: str
    outcome: OutcomeName
    path: PathName
    problem: NotRequired[str]  #: why there are no figures
    figures: dict[str, FigureDocument]  #: by quantity: `connections`, `p50`, `up`, …


class MemoryDocument(TypedDict):
    """The private memory of the processes that hold a published port."""

    variant: str
    program: str
    listeners: int  #: sockets of one port
    bytes_per_published_port: float | None
    problem: NotRequired[str]  #: why it could not be measured


class CostsDocument(TypedDict):
    """Everything that was measured, in SI units."""

    machine: MachineDocument
    tool: str  #: what made the load
    rounds: int
    seconds: float  #: of one measurement
    congestion_control: str
    notes: list[str]
    ways: list[CostWayDocument]
    memory: list[MemoryDocument]
