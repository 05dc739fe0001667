"""What one test has compared, what differed, and what it says of itself for the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from groundtruth.compare import Difference, chances, compare, departures, listed
from groundtruth.daemons import Installed
from groundtruth.facts import Facts
from groundtruth.matrix import Case


@dataclass(slots=True)
class Verdict:
    """Gathers comparisons; :meth:`give` ends the test."""

    test: str
    daemon: Installed
    case: Case
    differences: list[Difference] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    compared: dict[str, int] = field(default_factory=dict)

    def hold(self, what: str, real: Facts, ours: Facts) -> None:
        """Hold netlab's side against the daemon's."""
        differences, used = compare(self.daemon.engine, real, ours, departures())
        self.differences += [Difference(f"{what}: {d.section}", d.diff) for d in differences]
        self.used |= used
        self.compared[what] = sum(map(len, real.values()))

    def tries(self) -> int:
        """How often the daemon may show this, which it leaves to chance: mostly once."""
        mine = [c for c in chances() if c.applies(self.daemon.engine, self.case.name)]
        self.used |= {chance.name for chance in mine}
        return max((chance.tries for chance in mine), default=1)

    def give(self, record_property: Callable[[str, object], None]) -> None:
        """Record the result, and raise AssertionError with every difference."""
        said = {
            "test": self.test,
            "engine": self.daemon.engine,
            "version": self.daemon.version,
            "scenario": self.case.name,
            "claim": self.case.claim,
            "compared": self.compared,
            "used": sorted(self.used),
            "differing": sorted({_topic(d.section) for d in self.differences}),
        }
        record_property("conformance", json.dumps(said))
        if self.differences:
            raise AssertionError("\n" + listed(self.differences))


def _topic(section: str) -> str:
    """``lab: web: links`` -> ``lab links``; a flow is a flow."""
    what, _, rest = section.partition(": ")
    return what if what in ("flows", "refusal") else f"{what} {rest.rpartition(': ')[2]}"
