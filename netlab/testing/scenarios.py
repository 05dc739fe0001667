"""Scenario files as tests: one item for each flow and family of each expectation.

::

    scenarios/httpd.yaml::client -> host:80/tcp[ipv4]
    scenarios/httpd.yaml::docker-28::client -> host:80/tcp[ipv4]      with several --netlab-engine
    scenarios/stale-udp.yaml::client:40000 -> host:53/udp[ipv4] after stop dns

If events happen between flows, earlier flows matter: an item that runs alone, or out of order, measures the
flows before it first.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from netlab.lab.load import load_scenario
from netlab.lab.stages import judge, stages
from netlab.model.errors import NetlabError, Unmeasured
from netlab.plan import make
from netlab.plan.change import History
from netlab.testing.failing import release, watch
from netlab.testing.files import is_named
from netlab.testing.labs import SuiteLab, bring_up
from netlab.testing.variants import Variant
from netlab.view.plain import visible
from netlab.view.verify import expected_words, measured_words

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from netlab.exposure.verdict import ExposureVerdict
    from netlab.journey.expand import Claim
    from netlab.journey.expect import Verdict
    from netlab.testing.watch import Watch

_NETLAB = re.compile(rb"^[\"']?x-netlab[\"']?[ \t]*:", re.MULTILINE)


def is_scenario(path: Path) -> bool:
    """Whether a file has an ``x-netlab`` block; other Compose files are ignored."""
    return _NETLAB.search(path.read_bytes()) is not None


class NothingExpected(UserWarning):
    """A scenario that matches ``netlab_files`` expects nothing."""


class UnmetExpectation(Exception):
    """A flow of a scenario went otherwise than the file says."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__("; ".join(verdict.check.problems))


class UnmetExposure(Exception):
    """What all packets reach is otherwise than the file says."""

    def __init__(self, verdict: ExposureVerdict) -> None:
        self.verdict = verdict
        super().__init__("\n".join(verdict.problems))


class LabHolder(pytest.Collector):
    """The lab of all items below, which runs as long as they do."""

    variant: Variant
    lab: SuiteLab | None = None
    claims: tuple[Claim, ...] = ()  #: all claims, in order
    probed: int = 0  #: how many of them were measured in the lab, if events happen between them

    def items(self) -> Iterator[ScenarioItem | ExposureItem]:
        """One item an exposure, and one a claim."""
        try:
            scenario = load_scenario(self.variant.files, **self.variant.keywords)
            plan = make(scenario)
            found = stages(plan, History.of(scenario))
        except NetlabError as error:
            raise self.CollectError(visible(str(error))) from error
        self.claims = tuple(claim for stage in found for claim in stage.claims)
        if not self.claims and not plan.exposures:
            what = f"{self.path} expects nothing (x-netlab.expect)"
            if is_named(self.path, self.config):
                raise self.CollectError(visible(what))
            self.warn(NothingExpected(visible(what)))
        for place, one in enumerate(plan.exposures):
            name = f"all packets from {one.origin} at line {one.position.line}"
            yield ExposureItem.from_parent(self, name=name, place=place, line=one.position.line)
        seen: dict[str, int] = {}
        for place, claim in enumerate(self.claims):
            words = claim.expectation.after_words
            name = f"{claim.flow}[{claim.flow.family.word}]" + (f" after {words}" if words else "")
            number = seen[name] = seen.get(name, 0) + 1
            again = f"#{number}" if number > 1 else ""
            yield ScenarioItem.from_parent(self, name=f"{name}{again}", claim=claim, place=place)

    def setup(self) -> None:
        """Bring the lab up, before the first item that runs here."""
        self.lab = bring_up(self.config, self.variant)
        self.probed = 0

    def reach(self, place: int) -> SuiteLab:
        """The lab in the state in which the claim at ``place`` is next."""
        assert self.lab is not None
        if self.lab.closed:  # it was kept for inspection
            self.setup()
        if not self.claims or not self.claims[-1].expectation.after:
            return self.lab
        if self.probed > place:
            self.lab.close()
            self.setup()
        while self.probed < place:
            self._happen(self.probed)
            self.lab.probe_all(self.claims[self.probed].flow)
            self.probed += 1
        self._happen(place)
        return self.lab

    def _happen(self, place: int) -> None:
        """The events between the claim before ``place`` and the one there."""
        assert self.lab is not None
        before = len(self.claims[place - 1].expectation.after) if place else 0
        for event in self.claims[place].expectation.after[before:]:
            self.lab.let_happen(event)

    def teardown(self) -> None:
        """Take it down after the last item."""
        if self.lab is not None:
            self.lab.close()


class ScenarioFile(LabHolder, pytest.File):
    """A scenario file, in the engine that it names."""

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """Its items; or a lab an engine, if the command line names some."""
        engines = self.config.getoption("netlab_engine")
        if not engines:
            self.variant = Variant((self.path,))
            yield from self.items()
        for engine in engines:
            yield ScenarioInEngine.from_parent(self, name=engine)

    def setup(self) -> None:
        """Bring the lab up, unless each engine has one."""
        if not self.config.getoption("netlab_engine"):
            super().setup()


class ScenarioInEngine(LabHolder):
    """A scenario file, in an engine that the command line names."""

    def collect(self) -> Iterator[pytest.Item]:
        """Its items."""
        self.variant = Variant((self.path,), {"engine": self.name})
        yield from self.items()


class ExposureItem(pytest.Item):
    """All packets of one place, with what they should reach."""

    def __init__(self, *, name: str, parent: LabHolder, place: int, line: int, **rest: Any) -> None:
        super().__init__(name, parent, nodeid=f"{parent.nodeid}::{name}", **rest)
        self.place, self.line = place, line
        self.add_marker("netlab")
        if self.config.pluginmanager.hasplugin("xdist"):
            self.add_marker(pytest.mark.xdist_group(self.parent.nodeid if self.parent else self.nodeid))

    def runtest(self) -> None:
        """Prove the exposure in the lab as it was built."""
        assert isinstance(self.parent, LabHolder)
        lab = self.parent.reach(0)
        verdict = lab.verify_exposures()[self.place]
        if verdict.word == "unmeasured":
            raise Unmeasured("; ".join(verdict.problems))
        if verdict.word == "failed":
            raise UnmetExposure(verdict)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What is otherwise, and the line of the scenario."""
        error = excinfo.value
        if isinstance(error, UnmetExposure):
            return visible(f"{error}\n{error.verdict.expectation.position}: {self.name}")
        if isinstance(error, NetlabError):
            return visible(f"{error}\n{self.name}")
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """The line of the expectation."""
        return self.path, self.line - 1, self.name


class ScenarioItem(pytest.Item):
    """One flow of one family, with its expected result."""

    def __init__(self, *, name: str, parent: LabHolder, claim: Claim, place: int, **rest: Any) -> None:
        # As text, taken apart as what `--lf` remembers is: pytest compares the parts.
        super().__init__(name, parent, nodeid=f"{parent.nodeid}::{name}", **rest)
        self.claim = claim
        self.place = place
        self.watch: Watch | None = None
        self.add_marker("netlab")
        if self.config.pluginmanager.hasplugin("xdist"):
            self.add_marker(pytest.mark.xdist_group(self.parent.nodeid if self.parent else self.nodeid))

    def setup(self) -> None:
        """Bring the lab into the right state, and start capturing."""
        assert isinstance(self.parent, LabHolder)
        self.watch = watch(self, self.parent.reach(self.place))

    def runtest(self) -> None:
        """Measure the flow."""
        assert self.watch is not None
        lab = self.watch.lab
        assert isinstance(self.parent, LabHolder)
        self.parent.probed = self.place + 1
        with lab.instrument.held() as session:
            (verdict,) = judge(session, [self.claim], lab.plan)
        lab.journeys.append(verdict.journey)
        if verdict.check.passed is None:
            raise Unmeasured("; ".join(verdict.check.problems))
        if not verdict.check.passed:
            raise UnmetExpectation(verdict)

    def teardown(self) -> None:
        """Look away."""
        if self.watch is not None:
            release(self.watch)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Expected and measured values; the journey is in a section of the report."""
        error = excinfo.value
        if isinstance(error, UnmetExpectation):
            claim = error.verdict.claim
            expected, measured = expected_words(claim.expected), measured_words(error.verdict.journey)
            flow = f"{claim.flow} {claim.flow.family.word}"
            lines = [
                f"{flow}: expected {expected}; measured {measured}",  # pytest's summary shows the first line
                *(f"  {problem}" for problem in error.verdict.check.problems),
                f"{claim.expectation.position}: {flow}",
            ]
            return visible("\n".join(lines))
        if isinstance(error, NetlabError):
            return visible(f"{error}\n{self.claim.expectation.position}: {self.claim.flow}")
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """The line of the expectation."""
        return self.path, self.claim.expectation.position.line - 1, self.name
