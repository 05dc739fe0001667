"""The matrix of flows on a real daemon's host and in netlab: the same outcome, source, hooks and rules.

One instrument measures both, and its canaries must be seen on both.
"""

from __future__ import annotations

from collections.abc import Callable

from groundtruth.daemons import Installed
from groundtruth.flows import flows_of, on_daemon, on_lab
from groundtruth.matrix import Case
from groundtruth.real import real_host
from groundtruth.source import events, plan, scenario_of
from groundtruth.verdict import Verdict

Record = Callable[[str, object], None]


def test_flows(daemon: Installed, case: Case, record_property: Record) -> None:
    scenario = scenario_of(case.path, daemon.engine)
    host = scenario.hosts[0]
    ours = plan(scenario)
    flows = flows_of(ours, host.name)
    with real_host(scenario, host, events(scenario, host), daemon.lower) as real:
        real.admin(host.rules)
        real.settled()
        theirs = on_daemon(real, ours, flows, host.name)
    verdict = Verdict("test_flows", daemon, case)
    verdict.hold("flows", theirs, on_lab(ours, flows))
    verdict.compared["flows"] = len(flows)
    verdict.give(record_property)
