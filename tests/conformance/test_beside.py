"""A real Docker and a real Podman on one host, and netlab's two engines: equal rules, sockets and links.

Docker's containers start first: for Podman's the testbed gets a fresh cgroup2, in which a daemon can start
none any more.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from groundtruth.compare import compare, departures, listed, only
from groundtruth.daemons import Installed
from groundtruth.daemons import installed as daemons
from groundtruth.facts import Facts, facts_of, look
from groundtruth.planned import facts_of_plan
from groundtruth.podmen import DRIVERS, RealPodman
from groundtruth.podmen import installed as podmen
from groundtruth.real import RealHost
from groundtruth.replay import Replay
from groundtruth.running import facts_of_lab
from groundtruth.source import NO_INTERNET, events, plan
from groundtruth.testbed_network import lay_out
from test_podman import SERVER, planned_resolvers, resolvers

from netlab.bench.real.daemon import Daemon
from netlab.bench.real.podman import Podman
from netlab.bench.real.testbed import Testbed
from netlab.model.event import ContainerStart, NetworkCreate
from netlab.model.scenario import Scenario
from netlab.scenario import load

#: those of one root file system, this machine's
PAIRS = [(d, p) for d in daemons() for p in podmen() if p.lower == d.lower]
FILES = sorted((Path(__file__).parent / "beside").glob("*.yaml"))


def scenario_for(path: Path, docker: Installed, podman: Installed) -> Scenario:
    """The scenario, with the engines that are here."""
    scenario = load([path, NO_INTERNET])
    (host,) = scenario.hosts
    engines = {host.engine: docker.engine, host.beside: podman.engine}
    return replace(
        scenario,
        hosts=(replace(host, engine=docker.engine, beside=podman.engine),),
        services=tuple(replace(one, engine=engines[one.engine]) for one in scenario.services),
    )


def of_both(scenario: Scenario, podman: Installed) -> Facts:
    """What is on the host of both, after every event."""
    (host,) = scenario.hosts
    happens = events(scenario, host)
    specs = [
        event.network.engine if isinstance(event, NetworkCreate) else event.container.engine
        for event in happens
        if isinstance(event, NetworkCreate | ContainerStart)
    ]
    assert len(specs) == len(happens), "only what up does"
    testbed = Testbed(podman.lower)
    lay_out(testbed, scenario, host)
    daemon = Daemon(testbed, host.daemon, host.environment)
    try:
        daemon.start()
        daemon.load_image()
        replay = Replay(daemon)
        replay.play(e for e, own in zip(happens, specs, strict=True) if own == host.engine)
        testbed.run(["tee", "/etc/hosts"], stdin="127.0.0.1\tlocalhost\n")
        pod = Podman(testbed, DRIVERS.get(podman.engine, ""))
        pod.load_image()
        pod.play(e for e, own in zip(happens, specs, strict=True) if own == host.beside)
        one, other = RealHost(testbed, daemon, replay), RealPodman(testbed, pod)
        places = [*one.places(), *other.places()[1:]]
        return facts_of(look(places), "host", {**one.names(), **pod.names})
    finally:
        daemon.kill()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize(("docker", "podman"), PAIRS, ids=lambda one: one.engine)
def test_both(path: Path, docker: Installed, podman: Installed) -> None:
    scenario = scenario_for(path, docker, podman)
    made = plan(scenario)
    real, ours, lab = of_both(scenario, podman), facts_of_plan(made, "host"), facts_of_lab(made, "host")
    found = []
    assert resolvers(real, SERVER) == planned_resolvers(made)
    for facts in (ours, lab):
        resolvers(facts, "responder")
        sections = [section for section in facts if section in real and not section.endswith("docker-proxy")]
        both = (only(real, sections), only(facts, sections))
        found += compare("podman-and-docker", *both, departures())[0]
    assert not found, listed(found)
