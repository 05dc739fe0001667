"""Continue the history of a running lab with an event, or a changed scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from types import MappingProxyType

from netlab.engine.contract import HostFacts, Refused
from netlab.engine.found import changes
from netlab.model.errors import UsageError
from netlab.model.event import (
    ContainerRemove,
    ContainerRestart,
    ContainerSpec,
    ContainerStart,
    DaemonStart,
    Event,
    FirewallFlush,
    FirewallReload,
    HostFound,
    HostReboot,
    NetworkCreate,
    NetworkRemove,
)
from netlab.model.expectation import ScenarioEvent
from netlab.model.observation import Observation
from netlab.model.plan import Plan
from netlab.model.problem import Position, Problem, ScenarioError
from netlab.model.scenario import Host, Scenario
from netlab.plan.build import EngineOnHost, make, refold, rulesets
from netlab.plan.events import (
    container_spec,
    events_of,
    meaning,
    network_spec,
    networks_of,
    replicas,
    start_order,
)
from netlab.plan.node_names import distinct
from netlab.scenario.events import event_names, in_running_lab
from netlab.scenario.tree import hint, shown

_More = Callable[[Host, HostFacts], Iterable[Event]]
#: For hosts that nobody has looked at.
NOTHING: Mapping[str, Observation] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class History:
    """Everything that a lab's state follows from: the scenario that it was built from, and later events.

    ::

        history = lab.client.history
        print(history.later.get("host", ()))  # what happened to the engine of host since netlab up

    ``base`` is the scenario that the lab was built from, ``scenario`` the current one. ``later`` has the
    events of each host after those of ``base``.
    """

    base: Scenario
    scenario: Scenario
    later: Mapping[str, tuple[Event, ...]]

    @classmethod
    def of(cls, scenario: Scenario) -> History:
        """The history of a lab that was just built.

        ::

            history = History.of(scenario)
        """
        scenario = distinct(scenario)
        return cls(scenario, scenario, {})

    def events(self, host: str) -> tuple[Event, ...]:
        """Everything that happened to the engine of a host, in order.

        ::

            for event in lab.client.history.events("host"):
                print(event)
        """
        return events_of(self.base, host) + tuple(self.later.get(host, ()))


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a lab: its new history and plan.

    ``renewed`` are the containers that were stopped or started and so have new namespaces. ``flushed`` are
    the hosts whose rules were flushed, including the administrator's; ``reloaded`` those whose firewall was
    reloaded.
    """

    history: History
    plan: Plan
    renewed: tuple[str, ...]
    flushed: tuple[str, ...]
    events: tuple[Event, ...]
    reloaded: tuple[str, ...] = ()
    #: the state of hosts on which the events acted
    found: Mapping[str, HostFound] = field(default_factory=dict)
    #: the engine's messages about what failed; what it had done before stays
    failed: tuple[str, ...] = ()


def happen(history: History, event: ScenarioEvent, seen: Mapping[str, Observation] = NOTHING) -> Change:
    """The change that an event causes; raises ScenarioError for unknown names.

    ``seen``: the observed state of the hosts, on which the event acts. Raises UsageError if the engine
    refuses, and for a reload if no host has ufw or firewalld.
    """
    check_hosts(history.scenario, event)

    def meant(host: Host, _: HostFacts) -> Iterable[Event]:
        return meaning(history.scenario, host.name, event)

    return _continued(history, history.scenario, meant, seen)


def check_hosts(scenario: Scenario, event: ScenarioEvent) -> None:
    """Raise ScenarioError for an unknown host, UsageError for a firewall that no host has."""
    names = [host.name for host in scenario.hosts]
    named = [word for kind, word in event_names(event.words) if kind == "host"]
    for name in named:
        if name not in names:
            what = f"event: there is no host {shown(name)}{hint(name, names)}"
            raise ScenarioError([Problem(event.position, what)])
    if event.words[:2] == ("reload", "firewall"):
        asked = [host for host in scenario.hosts if host.name in (named or names)]
        if all(host.firewall.kind not in ("ufw", "firewalld") for host in asked):
            where = ", ".join(host.name for host in asked)
            raise UsageError(f"{where}: there is no ufw and no firewalld to reload")


def towards(history: History, scenario: Scenario, seen: Mapping[str, Observation] = NOTHING) -> Change | None:
    """What ``docker compose up`` would do to the running project; None if only a new lab helps.

    That is the case if anything except services and networks differs: a host, its engine, its firewall, the
    nodes outside, or the scenario's own events.
    """
    scenario = distinct(scenario)
    now = history.scenario
    if (now.project, now.name) != (scenario.project, scenario.name):
        return None
    if not _same((now.hosts, now.outside), (scenario.hosts, scenario.outside)):
        return None
    if [e.words for e in now.events] != [e.words for e in scenario.events]:
        return None
    if any(host.rootless for host in scenario.hosts):
        return None  # the engine knows no events of a rootless host's containers
    if scenario.events and (any(history.later.values()) or in_running_lab(scenario.events)):
        return None

    def missing(host: Host, facts: HostFacts) -> Iterable[Event]:
        return _missing(scenario, host.name, facts)

    return _continued(history, scenario, missing, seen)


def _same(one: object, other: object) -> bool:
    """Whether two parts of scenarios say the same, wherever in their files."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Position):
        return True
    if isinstance(one, tuple | list):
        assert isinstance(other, tuple | list)
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict):
        assert isinstance(other, dict)
        return list(one) == list(other) and all(map(_same, one.values(), other.values()))
    if is_dataclass(one):
        return all(_same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    return one == other


def _continued(history: History, scenario: Scenario, more: _More, seen: Mapping[str, Observation]) -> Change:
    later = dict(history.later)
    renewed: list[str] = []
    flushed: list[str] = []
    reloaded: list[str] = []
    happened: list[Event] = []
    found: dict[str, HostFound] = {}
    failed: list[str] = []
    engines: dict[str, EngineOnHost] = {}
    for host in scenario.hosts:
        on_host = refold(host, history.events(host.name))
        before, failures = _starts(on_host.facts), len(on_host.facts.failures)
        events = list(more(host, on_host.facts))
        differs = None
        if events and host.name in seen:
            stands = tuple(rulesets(on_host.host, on_host.facts))
            differs = changes(on_host.facts, seen[host.name], stands)
        if differs is not None and (meanwhile := _meanwhile(on_host, differs)) is not None:
            found[host.name] = differs
            later[host.name] = (*later.get(host.name, ()), differs)
            on_host = meanwhile
        engines[host.name] = _after(on_host, events)
        facts = engines[host.name].facts
        after = _starts(facts)
        failed += [f"{facts.engine}: {failure}" for failure in facts.failures[failures:]]
        renewed += [node for node in before | after if before.get(node) != after.get(node)]
        if any(isinstance(event, HostReboot) for event in events):
            renewed.append(host.name)
        if any(isinstance(event, FirewallReload) for event in events):
            reloaded.append(host.name)
        if any(isinstance(event, FirewallFlush) for event in events) or (
            host.name in reloaded and host.firewall.kind == "firewalld"
        ):
            flushed.append(host.name)
        later[host.name] = (*later.get(host.name, ()), *events)
        happened += events
    continued = History(history.base, scenario, later)
    plan = make(scenario, engines)
    marks = (tuple(renewed), tuple(flushed), tuple(happened), tuple(reloaded))
    return Change(continued, plan, *marks, found, tuple(failed))


def _meanwhile(on_host: EngineOnHost, found: HostFound) -> EngineOnHost | None:
    """The engine on the host as others have made it; None for one that goes by its own account alone."""
    try:
        return on_host.after([found])
    except Refused:
        return None


def _starts(facts: HostFacts) -> dict[str, tuple[int, bool]]:
    return {one.spec.node: (one.starts, one.running) for one in facts.containers}


def _after(on_host: EngineOnHost, events: Iterable[Event]) -> EngineOnHost:
    try:
        return on_host.after(events)
    except Refused as refused:
        raise UsageError(f"{on_host.engine.name} refuses: {refused.reason}") from None


def _missing(scenario: Scenario, host: str, facts: HostFacts) -> Iterator[Event]:
    """The events that create everything in the scenario, and remove everything else."""
    networks = {
        spec.name: spec for spec in (network_spec(scenario, n, host) for n in networks_of(scenario, host))
    }
    containers: dict[str, ContainerSpec] = {}
    for service in start_order(tuple(s for s in scenario.services if s.host == host)):
        for replica in replicas(scenario, service):
            spec = container_spec(scenario, replica)
            containers[spec.node] = spec
    if not facts.running:
        yield DaemonStart()
    known = {network.facts.name: network for network in facts.networks}
    stale = {name for name, one in known.items() if one.spec is not None and networks.get(name) != one.spec}
    moving = {node for name in stale for node, *_ in known[name].facts.members}
    there = {one.spec.node: one for one in facts.containers}
    kept = {node for node, one in there.items() if containers.get(node) == one.spec} - moving
    yield from (ContainerRemove(node) for node in there if node not in kept)
    yield from (NetworkRemove(name) for name in known if name in stale)
    for name, wanted in networks.items():
        if name in stale or name not in known:
            yield NetworkCreate(wanted)
    for node, spec in containers.items():
        if node not in kept:
            yield ContainerStart(spec)
        elif not there[node].running:
            yield ContainerRestart(node, if_stopped=True)
