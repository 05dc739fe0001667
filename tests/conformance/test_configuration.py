"""Each configuration on a real daemon and in netlab: equal rules, listeners, settings, links, routes.

The plan is compared as data, and the lab that is built of it as a living host, with the same instrument that
looks at the daemon's. What a daemon refuses netlab must refuse as well, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from groundtruth.compare import Difference, compare, departures, told
from groundtruth.daemon import DaemonError
from groundtruth.daemons import Installed
from groundtruth.docker import ApiError
from groundtruth.facts import Facts
from groundtruth.living import NOT_LIVING, facts_of_lab
from groundtruth.matrix import Case
from groundtruth.planned import facts_of_plan
from groundtruth.real import real_host
from groundtruth.source import events, plan, scenario_of

from netlab.model.errors import UsageError
from netlab.model.plan import Plan
from netlab.model.scenario import Scenario

Record = Callable[[str, object], None]


@dataclass(slots=True)
class Verdict:
    """What was compared so far."""

    engine: str
    differences: list[Difference] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    compared: dict[str, int] = field(default_factory=dict)

    def hold(self, what: str, real: Facts, ours: Facts) -> None:
        """Hold one side against the other."""
        differences, used = compare(self.engine, real, ours, departures())
        self.differences += [Difference(f"{what}: {d.section}", d.diff) for d in differences]
        self.used |= used
        self.compared[what] = sum(map(len, real.values()))


def of_daemon(scenario: Scenario, daemon: Installed) -> tuple[Facts, Facts] | str:
    """The real one's facts, before and after the administrator's rules; or the words of its refusal."""
    host = scenario.hosts[0]
    try:
        with real_host(scenario, host, events(scenario, host), daemon.lower) as real:
            before = after = real.facts()
            if host.rules:
                real.admin(host.rules)
                after = real.facts()
            return before, after
    except (DaemonError, ApiError) as refusal:
        return str(refusal)


def of_netlab(scenario: Scenario) -> Plan | str:
    """What netlab would build, or why not."""
    try:
        return plan(scenario)
    except UsageError as refusal:
        return str(refusal)


def test_configuration(daemon: Installed, case: Case, record_property: Record) -> None:
    scenario = scenario_of(case.path, daemon.engine)
    verdict = Verdict(daemon.engine)
    real, ours = of_daemon(scenario, daemon), of_netlab(scenario)
    if isinstance(real, str) or isinstance(ours, str):
        verdict.compared["refused"] = 1
        if isinstance(ours, str) and not isinstance(real, str):
            verdict.differences.append(Difference("refusal", f"+netlab alone refuses: {ours}"))
        elif isinstance(real, str) and not isinstance(ours, str):
            verdict.differences.append(Difference("refusal", f"-the daemon alone refuses: {real}"))
    else:
        planned = facts_of_plan(ours, scenario.hosts[0].name)
        verdict.hold("plan", {section: real[0].get(section, []) for section in planned}, planned)
        files = [s for s in real[1] if s.split(": ")[1] in ("hosts", "hostname", "resolv.conf")]
        living = {s: lines for s, lines in real[1].items() if s not in (*files, *NOT_LIVING)}
        verdict.hold("lab", living, facts_of_lab(ours, scenario.hosts[0].name))
    said = {
        "test": "test_configuration",
        "engine": daemon.engine,
        "version": daemon.version,
        "scenario": case.name,
        "claim": case.claim,
        "compared": verdict.compared,
        "used": sorted(verdict.used),
    }
    record_property("conformance", json.dumps(said))
    if verdict.differences:
        raise AssertionError("\n" + told(verdict.differences))
