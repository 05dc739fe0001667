"""What ways into a lab cost: figures with their spread, and their ratios to the direct way."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from netlab.model.outcome import OutcomeName, PathName

#: The label of the way to which all others are compared: one veth pair, and nothing else.
DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something that is measured: ``better`` says whether more of it or less of it is."""

    key: str
    title: str
    unit: str
    better: Literal["more", "less"]


#: All quantities by key, in the order in which they are shown.
QUANTITIES: Mapping[str, Quantity] = {
    one.key: one
    for one in (
        Quantity("connections", "new connections, one after another", "/s", "more"),
        Quantity("requests", "requests on a kept connection", "/s", "more"),
        Quantity("p50", "round trip, p50", "s", "less"),
        Quantity("p99", "round trip, p99", "s", "less"),
        Quantity("p999", "round trip, p99.9", "s", "less"),
        Quantity("up", "bulk, up", "bit/s", "more"),
        Quantity("down", "bulk, down", "bit/s", "more"),
        Quantity("cpu_connections", "CPU per thousand connections", "s", "less"),
        Quantity("cpu_up", "CPU per GB up", "s", "less"),
        Quantity("cpu_down", "CPU per GB down", "s", "less"),
        Quantity("proxy_connections", "of it the proxy's, per thousand connections", "s", "less"),
        Quantity("proxy_up", "of it the proxy's, per GB up", "s", "less"),
        Quantity("proxy_down", "of it the proxy's, per GB down", "s", "less"),
    )
}


@dataclass(frozen=True, slots=True)
class Spread:
    """The smallest, the median and the largest of several values."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        return cls(min(values), statistics.median(values), max(values))


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity of one way: its values, one a round, and their ratios to the direct way's.

    ``ratios`` is empty for the direct way itself, and for a quantity that the direct way does not have.
    """

    quantity: Quantity
    values: tuple[float, ...]
    ratios: tuple[float, ...] = ()

    @property
    def spread(self) -> Spread:
        """Of the values."""
        return Spread.of(self.values)

    @property
    def ratio(self) -> Spread | None:
        """Of the ratios; None without any."""
        return Spread.of(self.ratios) if self.ratios else None


@dataclass(frozen=True, slots=True)
class MeasuredWay:
    """One way in, as the trace of a packet showed it before the load.

    ``variant`` names the lab among several (an engine, say). ``name`` says what the way is in words, such as
    ``kernel DNAT``. ``problem`` says why there are no figures.
    """

    variant: str
    flow: str
    family: str
    name: str
    outcome: OutcomeName
    path: PathName
    figures: Mapping[str, Figure] = field(default_factory=dict)
    problem: str | None = None

    @property
    def label(self) -> str:
        """The way in one line."""
        return ": ".join(filter(None, (self.variant, f"{self.name}, {self.flow} {self.family}")))


@dataclass(frozen=True, slots=True)
class Memory:
    """The private memory of the processes that hold a published port, for each further port.

    ``listeners``: the sockets of one port. ``octets`` is None if it could not be measured (``problem``).
    """

    variant: str
    program: str
    listeners: int
    octets: float | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Costs:
    """A whole measurement."""

    ways: tuple[MeasuredWay, ...]
    memory: tuple[Memory, ...]
    tool: str
    rounds: int
    seconds: float
    congestion: str
    notes: tuple[str, ...] = ()

    @property
    def measured(self) -> tuple[MeasuredWay, ...]:
        """The ways that have figures."""
        return tuple(way for way in self.ways if way.figures)


def figures_of(
    samples: Sequence[Mapping[str, float]], direct: Sequence[Mapping[str, float]]
) -> dict[str, Figure]:
    """The figures of a way from its rounds and those of the direct way, round by round.

    A quantity counts only where every round has it.
    """
    found = {}
    for key, quantity in QUANTITIES.items():
        if not samples or not all(key in sample for sample in samples):
            continue
        values = tuple(sample[key] for sample in samples)
        pairs = [(value, other[key]) for value, other in zip(values, direct, strict=False) if other.get(key)]
        ratios = tuple(value / other for value, other in pairs) if len(pairs) == len(values) else ()
        found[key] = Figure(quantity, values, ratios)
    return found
