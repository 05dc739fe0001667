"""Each configuration on a real Podman and in netlab: equal rules, sockets, settings, links, routes and files.

As for Docker (test_configuration.py). aardvark-dns's sockets are compared by their addresses: in a lab the
program that answers is netlab's own.
"""

from __future__ import annotations

import pytest
from groundtruth.compare import compare, departures, listed, only
from groundtruth.daemons import Installed
from groundtruth.facts import Facts
from groundtruth.matrix import Case
from groundtruth.planned import facts_of_plan
from groundtruth.podmen import real_podman
from groundtruth.running import facts_of_lab
from groundtruth.source import events, plan, scenario_of
from groundtruth.verdict import Verdict

from netlab.model.plan import Plan
from netlab.model.scenario import Scenario

SERVER = "aardvark-dns"


def of_podman(scenario: Scenario, podman: Installed) -> tuple[Facts, Facts]:
    """The real one's facts, before and after the administrator's rules."""
    host = scenario.hosts[0]
    with real_podman(scenario, host, events(scenario, host), podman) as real:
        before = after = real.facts()
        if host.rules:
            real.admin(host.rules)
            after = real.facts()
        return before, after


def resolvers(facts: Facts, program: str) -> set[tuple[str, str]]:
    """(protocol, address and port) of a DNS server's sockets, which are taken out of the listeners."""
    lines = facts["host: listeners"]
    found = {(line.split()[0], line.split()[2]) for line in lines if program in line.split()}
    facts["host: listeners"] = [line for line in lines if program not in line.split()]
    return found


def planned_resolvers(made: Plan) -> set[tuple[str, str]]:
    """The same of the plan; Docker's are in its containers."""
    found = set()
    for server in (one for one in made.resolvers if one.program != "docker"):
        address = f"[{server.address}]" if ":" in server.address else server.address
        found |= {(p, f"{address}:{port}") for p, port in (("udp", server.udp), ("tcp", server.tcp)) if port}
    return found


def compared(scenario: Scenario, podman: Installed) -> str:
    """What differs, for a reader; empty if nothing does."""
    made = plan(scenario)
    before, after = of_podman(scenario, podman)
    ours = facts_of_plan(made, scenario.hosts[0].name)
    ours = {section: lines for section, lines in ours.items() if section in before}
    assert resolvers(before, SERVER) == planned_resolvers(made)
    lab = facts_of_lab(made, scenario.hosts[0].name)
    assert resolvers(lab, "responder") == planned_resolvers(made)
    resolvers(after, SERVER)
    running = [section for section in after if not section.endswith((": hosts", ": resolv.conf"))]
    stopped = {section for section in lab if section not in after}
    lab = {section: lines for section, lines in lab.items() if section not in stopped}
    found = []
    for real, mine in ((only(before, ours), ours), (only(after, running), lab)):
        found += compare(f"{podman.engine}@{podman.version}", real, mine, departures())[0]
    return listed(found)


@pytest.mark.timeout(900)  # what is left to chance is tried again
def test_podman(podman: Installed, case: Case) -> None:
    scenario = scenario_of(case.path, podman.engine)
    differs = ""
    for _ in range(Verdict("test_podman", podman, case).tries()):
        differs = compared(scenario, podman)
        if not differs:
            return
    raise AssertionError(differs)
