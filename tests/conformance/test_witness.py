"""One configuration of the real daemon, traced by ``nft monitor trace`` too, and netlab's decoder agrees."""

from __future__ import annotations

from groundtruth.daemons import Installed
from groundtruth.flows import flows_of, measuring
from groundtruth.matrix import Case
from groundtruth.real import real_host
from groundtruth.source import events, plan, scenario_of
from groundtruth.witness import own_verdicts, witness

from netlab.model.family import Family


def test_witness(daemon: Installed, case: Case) -> None:
    scenario = scenario_of(case.path, daemon.engine)
    host = scenario.hosts[0]
    ours = plan(scenario)
    flows = [flow for flow in flows_of(ours, host.name) if flow.protocol == "tcp"]
    knock = next(f for f in flows if f.family is Family.IPV4 and f.origin == "client")
    with real_host(scenario, host, events(scenario, host), daemon.lower) as real:
        real.settled()
        with measuring(real, ours, host.name) as session:

            def knocked() -> int:
                return _port(session.measure([knock])[0].flow.src)

            with witness(real.testbed.namespace(), knocked) as heard:
                journeys = [journey for journey in session.measure(flows) if journey.legs]
                heard.wait_for(knocked)
                printed = {journey: heard.verdicts(_port(journey.flow.src)) for journey in journeys}
    assert len(journeys) > 50
    wrong = [
        f"{j.flow.origin} -> {j.flow.dst}:\n  netlab {own_verdicts(j)}\n  nft    {printed[j]}"
        for j in journeys
        if not is_repetition(printed[j], own_verdicts(j))
    ]
    assert not wrong, "\n".join(wrong)


def is_repetition(told: list[str], own: list[str]) -> bool:
    """Whether ``told`` is ``own`` once, or several times over: a SYN without an answer is sent again."""
    times = len(told) // len(own) if own else 1
    return told == own * max(times, 1)


def _port(endpoint: str | None) -> int:
    assert endpoint is not None
    return int(endpoint.rpartition(":")[2])
