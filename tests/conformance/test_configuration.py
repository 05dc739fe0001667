"""Each configuration on a real daemon and in netlab: equal rules, listeners, settings, links, routes.

The plan is compared as data, and the lab that is built of it as a running host, read in the same way as
looks at the daemon's. What a daemon refuses netlab must refuse as well, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

from groundtruth.compare import Difference
from groundtruth.daemons import Installed
from groundtruth.facts import Facts
from groundtruth.matrix import Case
from groundtruth.planned import facts_of_plan
from groundtruth.real import real_host
from groundtruth.running import facts_of_lab, not_read_in_labs
from groundtruth.source import events, plan, scenario_of
from groundtruth.verdict import Verdict

from netlab.bench.real.api import ApiError
from netlab.bench.real.daemon import DaemonError
from netlab.model.errors import UsageError
from netlab.model.plan import Plan
from netlab.model.scenario import Scenario

Record = Callable[[str, object], None]


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


def without_stopped(lab: Facts, real: Facts) -> Facts:
    """A stopped container has no namespace beside a daemon; in a lab it keeps an empty one."""
    stopped = {
        section.partition(": ")[0]
        for section, lines in lab.items()
        if section.endswith(": links") and section not in real and all(x.startswith("lo ") for x in lines)
    }
    return {section: lines for section, lines in lab.items() if section.partition(": ")[0] not in stopped}


def compared(verdict: Verdict, scenario: Scenario) -> None:
    """One try of the daemon beside netlab."""
    verdict.differences.clear()
    real, ours = of_daemon(scenario, verdict.daemon), of_netlab(scenario)
    if isinstance(real, str) or isinstance(ours, str):
        verdict.compared["refused"] = 1
        if isinstance(ours, str) and not isinstance(real, str):
            verdict.differences.append(Difference("refusal", f"+netlab alone refuses: {ours}"))
        elif isinstance(real, str) and not isinstance(ours, str):
            verdict.differences.append(Difference("refusal", f"-the daemon alone refuses: {real}"))
        return
    planned = facts_of_plan(ours, scenario.hosts[0].name)
    # a daemon that is stopped does not tell where its containers' files are
    planned = {s: lines for s, lines in planned.items() if s in real[0] or s.startswith("host: ")}
    verdict.hold("plan", {section: real[0].get(section, []) for section in planned}, planned)
    files = [s for s in real[1] if s.split(": ")[1] in ("hosts", "hostname", "resolv.conf")]
    running = {s: lines for s, lines in real[1].items() if s not in files and s not in not_read_in_labs(ours)}
    lab = facts_of_lab(ours, scenario.hosts[0].name)
    verdict.hold("lab", running, without_stopped(lab, running))


def test_configuration(daemon: Installed, case: Case, record_property: Record) -> None:
    scenario = scenario_of(case.path, daemon.engine)
    verdict = Verdict("test_configuration", daemon, case)
    for _ in range(verdict.tries()):
        compared(verdict, scenario)
        if not verdict.differences:
            break
    if verdict.differences:
        print(case.path.read_text())  # one by the throw of dice is in no folder
    verdict.give(record_property)
