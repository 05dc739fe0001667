"""Where netlab's side comes from: a file and an engine's name, and the scenario, events and plan of it."""

from __future__ import annotations

from pathlib import Path

from netlab import engine
from netlab.model.event import Event
from netlab.model.plan import Plan
from netlab.model.scenario import Host, Scenario
from netlab.plan import events_of, make
from netlab.scenario import Overrides, load

NO_INTERNET = Path(__file__).with_name("no-internet.yaml")


def engines() -> frozenset[str]:
    """The engines that netlab has."""
    return frozenset(engine.NAMES)


def scenario_of(path: Path, engine_name: str) -> Scenario:
    """The scenario in that file, on that engine, without the internet that a plain Compose file gets."""
    return load([path, NO_INTERNET], overrides=Overrides(engine=engine_name))


def events(scenario: Scenario, host: Host) -> tuple[Event, ...]:
    """Everything that happens to that host's engine."""
    return tuple(events_of(scenario, host.name))


def plan(scenario: Scenario) -> Plan:
    """What netlab would build."""
    return make(scenario)
