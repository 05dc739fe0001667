"""The pytest plugin of this folder: one test a daemon and configuration, one page of them all.

Without a dockerd nothing is collected, and pytest ends with its exit code for that, 5: no pass, no skip.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from groundtruth import chosen as dice
from groundtruth import matrix, podmen
from groundtruth.compare import Chance, Departure, chances, departures
from groundtruth.compose import program, refusals
from groundtruth.daemons import Installed, installed, made
from groundtruth.report import Result, page, remember, remembered
from groundtruth.testbed_network import sweep_stale

HERE = Path(__file__).parents[1]


def chosen(config: pytest.Config, daemons: list[Installed]) -> dict[Installed, bool]:
    """The daemons to compare with, and whether with each configuration.

    Those that are named; else all, but for the first, the machine's own, with a selection.
    """
    named = config.getoption("--conformance-engine")
    if named:
        return {daemon: True for daemon in daemons if daemon.engine in named}
    everything = config.getoption("--conformance-all")
    return {daemon: everything or daemon is daemons[0] for daemon in daemons}


#: the configurations whose healthy hosts a plain run collects, too
HEALTHY = ("ports-two-services", "daemon-ip6tables", "rules-docker-user", "event-flush")


class Conformance:
    """Hooks, and what the run has shown so far."""

    def __init__(self, config: pytest.Config, engines: frozenset[str]) -> None:
        self.config = config
        self.controller = not hasattr(config, "workerinput")
        self.missing = made() if self.controller and config.getoption("--conformance-make") else {}
        self.daemons = chosen(config, [daemon for daemon in installed() if daemon.engine in engines])
        self.podmen = podmen.installed(everywhere=config.getoption("--conformance-all"))
        self.compose = program()
        self.page: Path | None = config.getoption("--conformance-report")
        self.memory: Path | None = config.getoption("--conformance-results")
        self.allowed = departures()
        self.chances = chances()
        self.results: dict[tuple[str, str, str], Result] = {}
        self.known: dict[tuple[str, str, str], Result] = {}  #: these, and those that earlier runs left
        self.unused: list[str] = []
        self.random: int = config.getoption("--conformance-random")
        self.seed: int = config.getoption("--conformance-seed")
        self.thrown = tempfile.TemporaryDirectory(prefix="netlab-conformance-")

    def pytest_sessionstart(self) -> None:
        """Clean up behind runs that were killed."""
        if self.controller and self.daemons:
            sweep_stale()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Every daemon with every configuration."""
        if "twin_case" in metafunc.fixturenames:
            pairs_ = [(d, f) for d, whole in self.daemons.items() for f in self._firewalls(d, whole=whole)]
            names = [f"{d.engine}-{f}" for d, f in pairs_]
            metafunc.parametrize("twin_case", pairs_, ids=names, scope="module")
        elif "healthy" in metafunc.fixturenames:
            hosts = [
                (d, c)
                for d, whole in self.daemons.items()
                for c in matrix.configurations(d.engine)
                if self._asked or (whole and c.name in HEALTHY)
            ]
            metafunc.parametrize("healthy", hosts, ids=[f"{d.engine}-{c.name}" for d, c in hosts])
        elif {"podman", "case"} <= set(metafunc.fixturenames):
            everything = metafunc.config.getoption("--conformance-all")
            both = [(p, c) for p in self.podmen for c in matrix.podman_cases(everything)]
            metafunc.parametrize(
                ("podman", "case"), both, ids=[f"{p.engine}-{p.version}-{c.name}" for p, c in both]
            )
        elif {"daemon", "case"} <= set(metafunc.fixturenames):
            test = metafunc.function.__name__
            pairs = [(d, c) for d, whole in self.daemons.items() for c in matrix.cases(test, d.engine, whole)]
            if test == "test_configuration":
                folder = Path(self.thrown.name)
                pairs += [
                    (d, c) for d in self.daemons for c in dice.cases(folder, d.engine, self.seed, self.random)
                ]
            metafunc.parametrize(("daemon", "case"), pairs, ids=[f"{d.engine}-{c.name}" for d, c in pairs])
        elif {"daemon", "refusal"} <= set(metafunc.fixturenames):
            own = next(iter(self.daemons)).engine
            asked = [
                (d, r)
                for d, whole in self.daemons.items()
                for r in refusals()
                if whole
                or r.by(d.engine) != r.by(own)  # of the others, what they take or refuse and it does not
            ]
            metafunc.parametrize(("daemon", "refusal"), asked, ids=[f"{d.engine}-{r.name}" for d, r in asked])

    @property
    def _asked(self) -> bool:
        """Whether more was asked for than a plain run: everything, or certain daemons."""
        option = self.config.getoption
        return bool(option("--conformance-all") or option("--conformance-engine"))

    def _firewalls(self, daemon: Installed, *, whole: bool) -> tuple[str, ...]:
        """Which firewalls stand beside a daemon whose host is collected; firewalld is the machine's own."""
        if not (whole and self._asked):
            return ("none",) if whole else ()
        return ("none", "ufw", "firewalld") if daemon.lower == "/" else ("none", "ufw")

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """No daemon, no test here; without Compose, none of what it refuses."""
        if collection_path.name == "test_podman.py":
            return None if self.podmen else True
        if collection_path.name == "test_beside.py" and not self.podmen:
            return True
        lacking = not self.daemons or (self.compose is None and collection_path.name == "test_refusals.py")
        return True if lacking and HERE in collection_path.parents else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather what the tests said of themselves."""
        if report.when != "call":
            return
        for name, value in report.user_properties:
            if name == "conformance":
                result = Result(**json.loads(str(value)), failed=report.failed)
                self.results[result.key] = result

    def _complete(self, engine: str) -> bool:
        return all(
            (test, engine, case.name) in self.known
            for test in ("test_configuration", "test_flows")
            for case in matrix.cases(test, engine)
        )

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the page; a departure that nothing needed fails the run."""
        if not self.controller:
            return
        earlier = remembered(self.memory) if self.memory else []
        self.known = {result.key: result for result in earlier} | self.results
        whole = [d.engine for d in self.daemons if self._complete(d.engine)]
        used = {name for result in self.known.values() for name in result.used}
        entries: list[Departure | Chance] = [*self.allowed, *self.chances]
        self.unused = [
            entry.name
            for entry in entries
            if entry.name not in used and any(entry.concerns(engine) for engine in whole)
        ]
        if self.unused and session.exitstatus == 0:
            session.exitstatus = 1
        self._write()

    def _write(self) -> None:
        """The page, of this run's results and of those that earlier runs left and this one did not repeat."""
        if self.memory is not None:
            remember(self.memory, self.known.values())
        if self.page and self.known:
            self.page.write_text(page(list(self.known.values()), self.allowed, self.chances))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what no dot says."""
        for daemon, whole in self.daemons.items():
            extent = "everything" if whole else "a selection"
            words = f"{daemon.engine} is {daemon.version} from {daemon.lower}: {extent}"
            terminalreporter.line(f"conformance: {words}")
        for podman in self.podmen:
            terminalreporter.line(f"conformance: {podman.engine} is {podman.version} from {podman.lower}")
        if not self.podmen:
            terminalreporter.line("conformance: no podman, so none was compared; install podman", red=True)
        for suite, reason in self.missing.items():
            terminalreporter.line(f"conformance: no daemon of {suite}: {reason}", red=True)
        if self.compose is None:
            words = "no docker-compose, so nothing that is refused was compared"
            terminalreporter.line(
                f"conformance: {words}; install it, or make the daemons of trixie", red=True
            )
        if not self.daemons:
            terminalreporter.line(
                "conformance: no dockerd of an engine that netlab has, so nothing was compared; "
                "install docker.io, or make daemons of other suites: "
                "python3 tests/conformance/groundtruth/daemons.py make",
                red=True,
            )
        for name in self.unused:
            terminalreporter.line(
                f"conformance: departures.toml: [{name}] excuses nothing: remove it", red=True
            )
