"""What others do to a host between events, on a real daemon and in a running lab: the same rules behind each.

Before each event the lab's host is given the very rules of the daemon's, so that one difference does not lead
to the next, and an order that a daemon leaves to chance is no difference of the event behind it.
"""

from __future__ import annotations

from collections.abc import Callable

from groundtruth.compare import Difference
from groundtruth.compare import diff as lines_diff
from groundtruth.daemons import Installed
from groundtruth.facts import rules
from groundtruth.matrix import Case
from groundtruth.real import RealHost, real_host
from groundtruth.source import events, scenario_of
from groundtruth.verdict import Verdict

import netlab
from netlab.bench.real.api import ApiError
from netlab.bench.real.daemon import DaemonError
from netlab.model.errors import EngineFailed, UsageError
from netlab.model.expectation import ScenarioEvent
from netlab.model.family import FAMILIES
from netlab.model.scenario import Scenario
from netlab.plan.events import meaning
from netlab.scenario.events import is_command

Record = Callable[[str, object], None]
HOST = "host"


def saved(real: RealHost) -> dict[str, str]:
    """What iptables-save prints on the daemon's host."""
    return {f.iptables: real.testbed.run([f"{f.iptables}-save"]) for f in FAMILIES}


def comparable(text: str, *, ordered: bool) -> list[str]:
    """Rules and policies; without tables that do nothing."""
    tables = [part.splitlines() for part in "\n".join(rules(text)).split("COMMIT")]
    acting = [
        line
        for table in tables
        if any(x.startswith("-A") or (x.startswith(":") and not x.endswith("ACCEPT")) for x in table)
        for line in table
        if line
    ]
    return acting if ordered else sorted(acting)


def given(lab: netlab.Lab, real: RealHost) -> None:
    """Have the lab's host hold the rules, and the one setting, of the daemon's."""
    lab.exec(HOST, ["nft", "flush", "ruleset"], check=True)
    for tool, text in saved(real).items():
        lab.exec(HOST, [f"{tool}-restore"], input=text, check=True)
    forward = real.testbed.run(["cat", "/proc/sys/net/ipv4/ip_forward"]).strip()
    lab.exec(HOST, ["sysctl", "-qw", f"net.ipv4.ip_forward={forward}"], check=True)


def by_daemon(real: RealHost, scenario: Scenario, event: ScenarioEvent) -> str:
    """Have it happen to the daemon; what it says if it fails."""
    said = ""
    for step in meaning(scenario, HOST, event):
        try:
            real.replay.step(step)
        except (ApiError, DaemonError) as failure:
            said = str(failure)
    return said


def by_lab(lab: netlab.Lab, event: ScenarioEvent) -> str:
    """Have it happen to the lab; what it says if it fails."""
    try:
        lab.do(event.text)
    except (EngineFailed, UsageError) as failure:
        return str(failure)
    return ""


def running(lab: netlab.Lab, real: RealHost) -> tuple[list[str], list[str]]:
    """The containers that run, beside the daemon and in the lab: there those that have an interface."""
    there = [
        node
        for node, name in real.replay.containers.items()
        if real.daemon.api.container(name)["State"]["Running"]
    ]
    ours = [node.name for node in lab.plan.nodes if node.kind == "container" and node.interfaces]
    return sorted(there), sorted(ours)


def test_story(daemon: Installed, case: Case, record_property: Record) -> None:
    scenario = scenario_of(case.path, daemon.engine)
    host = scenario.hosts[0]
    verdict = Verdict("test_story", daemon, case)
    compared = 0
    with (
        real_host(scenario, host, events(scenario, host), daemon.lower) as real,
        netlab.Lab(case.path, engine=daemon.engine) as lab,
    ):
        for number, event in enumerate(scenario.expect[-1].after, 1):
            if is_command(event):
                real.testbed.run(event.words[2:])
                continue
            given(lab, real)
            refusals = by_daemon(real, scenario, event), by_lab(lab, event)
            ordered = "daemon" not in event.words  # whose networks come back in the order of a Go map
            where = f"story: {number}. {event.text}"
            for tool, text in saved(real).items():
                theirs = comparable(text, ordered=ordered)
                ours = comparable(lab.exec(HOST, [f"{tool}-save"], check=True).stdout, ordered=ordered)
                compared += len(theirs)
                if theirs != ours:
                    verdict.differences.append(Difference(f"{where}: {tool}", lines_diff(theirs, ours)))
            there, here = running(lab, real)
            if there != here:
                verdict.differences.append(Difference(f"{where}: running", f"-{there}\n+{here}"))
            if bool(refusals[0]) != bool(refusals[1]):
                verdict.differences.append(Difference(f"{where}: failures", "-{}\n+{}".format(*refusals)))
    verdict.compared["lab"] = compared
    verdict.give(record_property)
