"""From a merged and well-shaped tree to the parts of a scenario, before they are held against each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from netlab.model.engine_names import kind_of
from netlab.model.problem import OptionName, ScenarioError
from netlab.model.scenario import ComposeNetwork, Host, Outside
from netlab.scenario.attach import Declared, attach, with_containers
from netlab.scenario.events import event_names, made_by, parse_event
from netlab.scenario.expect import Expectations, Happenings, read_expectations
from netlab.scenario.exposures import Exposures, read_exposures
from netlab.scenario.hosts import Overrides, ReadFile, own_chains, read_hosts
from netlab.scenario.outside import read_outside, with_internet
from netlab.scenario.segments import with_segments
from netlab.scenario.services import Draft, read_service
from netlab.scenario.tree import Report, Value, hint, shown


@dataclass(frozen=True, slots=True)
class SharedNodes:
    """What is there beside the Compose projects: hosts, and nodes outside."""

    hosts: tuple[Host, ...]
    outside: tuple[Outside, ...]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What a project finds on its hosts that is other projects' of the lab."""

    #: names of containers
    containers: frozenset[str] = frozenset()
    #: Docker's names of the networks that earlier projects make
    networks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Drafted:
    """The services of one project: ``enabled``, and the disabled ones with their profiles."""

    enabled: tuple[Draft, ...]
    disabled: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that was read, with the values that it was read from."""

    hosts: tuple[Host, ...]
    outside: tuple[Outside, ...]
    #: those that an enabled service uses, in the order of the file
    networks: tuple[ComposeNetwork, ...]
    #: those that are enabled, in the order of the file
    drafts: tuple[Draft, ...]
    #: services that no active profile enables, with their profiles
    disabled: Mapping[str, tuple[str, ...]]
    events: Happenings
    expect: Expectations
    exposures: Exposures
    #: the events between the flows of ``expect``
    between: Happenings
    root: Value
    netlab: Value
    #: the tree before wrong values were removed: names in it count as known
    raw: Value

    def written(self, *path: str) -> tuple[str, ...]:
        """The keys that the file has at ``path``, whether their values are right or not."""
        value: Value | None = self.raw
        for key in path:
            value = value.get(key) if value is not None else None
        return tuple(key for key, _ in value.pairs()) if value is not None else ()


def assemble(
    root: Value,
    raw: Value,
    project: str,
    shared: SharedNodes,
    drafted: Drafted,
    neighbours: Neighbours,
    report: Report,
) -> Parts:
    """Read the rest of one project's tree; problems go to ``report``."""
    empty = Value({}, root.at)
    netlab, hosts = root.get("x-netlab") or empty, shared.hosts
    drafts = with_containers(drafted.enabled, neighbours.containers, report)
    events = _events(netlab.get("events"), own_chains(hosts), report)
    chains = own_chains(hosts).union(*(made_by(event) for event, _ in events))
    expect, between = read_expectations(netlab.get("expect"), chains, report)
    happening = [event for event, _ in (*events, *between)]
    named = {word for event in happening for kind, word in event_names(event.words) if kind == "network"}
    declared = Declared(
        written=root.get("networks") or empty,
        facts=netlab.get("networks") or empty,
        project=project,
        services=root.key_at("services"),
        there=neighbours.networks,
        podman={one.name: one.rootless for one in hosts if kind_of(one.engine) == "podman"},
    )
    networks, drafts = attach(declared, drafts, named, report)
    return Parts(
        hosts=hosts,
        outside=shared.outside,
        networks=networks,
        drafts=drafts,
        disabled=drafted.disabled,
        events=events,
        expect=expect,
        exposures=read_exposures(netlab.get("expect"), report),
        between=between,
        root=root,
        netlab=netlab,
        raw=raw,
    )


def read_shared_nodes(root: Value, overrides: Overrides, read_file: ReadFile, report: Report) -> SharedNodes:
    """The hosts and the nodes outside, as the ``x-netlab`` block of a tree describes them."""
    block = root.get("x-netlab")
    netlab, at = block or Value({}, root.at), root.key_at("x-netlab")
    hosts = read_hosts(netlab, at, overrides, read_file, report)
    outside = read_outside(netlab, at, hosts, report)
    hosts, outside = with_internet(netlab, hosts, outside, report, plain=block is None)
    return SharedNodes(*with_segments(netlab, hosts, outside, report))


def draft(
    root: Value, raw: Value, project: str, hosts: tuple[Host, ...], profiles: frozenset[str], report: Report
) -> Drafted:
    """Read the services of one project."""
    netlab = root.get("x-netlab") or Value({}, root.at)
    services = root.get("services") or Value({}, root.at)
    extras = netlab.get("services") or Value({}, root.at)
    known = [name for name, _ in (raw.get("services") or services).pairs()]
    for name, _ in extras.pairs():
        if name not in known:
            more = hint(name, known)
            report.add(extras.key_at(name), f"x-netlab.services: there is no service {shown(name)}{more}")
    drafts: list[Draft] = []
    disabled: dict[str, tuple[str, ...]] = {}
    default_host = hosts[0].name if hosts else "host"
    for name, value in services.pairs():
        if value.get("provider") is not None:
            continue  # something other than a container provides it
        found = read_service(name, services.key_at(name), value, extras.get(name), default_host, report)
        own = _whose(name, found.service.host, extras.get(name), hosts, report)
        found = replace(found, service=replace(found.service, project=project, engine=own))
        wanted = tuple(item.text for item in value.get("profiles") or ())
        if not wanted or "*" in profiles or not profiles.isdisjoint(wanted):
            drafts.append(found)
        else:
            disabled[name] = wanted
    enabled = {draft.service.name for draft in drafts}
    return Drafted(tuple(_without_absent(draft, enabled) for draft in drafts), disabled)


def _whose(name: str, host_name: str, extra: Value | None, hosts: tuple[Host, ...], report: Report) -> str:
    """The engine of a service on a host with two: Docker's, unless the service says podman."""
    host = next((one for one in hosts if one.name == host_name), None)
    written = extra.get("engine") if extra is not None else None
    if host is None or not host.beside:
        if written is not None and host is not None:
            what = f"x-netlab.services.{name}.engine: the host {host_name} has one engine; "
            report.add(written.at, f"{what}x-netlab.host.engines gives it two")
        return ""
    if written is None:
        return host.engine
    chosen = {"docker": host.engine, "podman": host.beside}
    chosen |= {engine: engine for engine in (host.engine, host.beside)}
    if written.text not in chosen:
        known = ("docker", "podman")
        what = f"x-netlab.services.{name}.engine: {shown(written.text)} is neither docker nor podman"
        report.add(written.at, what + hint(written.text, known))
    return chosen.get(written.text, host.engine)


def check_scale(projects: Iterable[Drafted], scale: Mapping[str, int], report: Report) -> None:
    """Report services of the command line that no project has."""
    known = [draft.service.name for project in projects for draft in project.enabled]
    at = (OptionName("scale"), 1, 1)
    for name in scale:
        if name not in known:
            report.add(at, f"there is no service {shown(name)}{hint(name, known)}")
        elif scale[name] < 0:
            report.add(at, f"services.{name}: {scale[name]} is not a number of containers")


def scaled(drafted: Drafted, scale: Mapping[str, int], report: Report) -> Drafted:
    """The services, with the numbers of containers from the command line."""
    drafts, at = drafted.enabled, (OptionName("scale"), 1, 1)
    for service in (draft.service for draft in drafts):
        if service.container_name is not None and scale.get(service.name, 0) > 1:
            what = (
                f"services.{service.name}: {scale[service.name]} containers cannot share one container_name"
            )
            report.add(at, what)
    found = (
        replace(draft, service=replace(draft.service, replicas=scale[draft.service.name]))
        if draft.service.name in scale
        else draft
        for draft in drafts
    )
    return replace(drafted, enabled=tuple(found))


def _without_absent(draft: Draft, enabled: set[str]) -> Draft:
    """Ignore optional dependencies on services that do not exist."""
    service = draft.service
    kept = tuple(name for name in service.depends_on if name in enabled or name not in draft.optional)
    return draft if kept == service.depends_on else replace(draft, service=replace(service, depends_on=kept))


def _events(value: Value | None, chains: frozenset[str], report: Report) -> Happenings:
    """The events of ``x-netlab.events``; ``chains`` are those to which a command may jump."""
    found = []
    for item in value or ():
        try:
            event = parse_event(item.text, item.position, chains)
            chains |= made_by(event)
            found.append((event, item))
        except ScenarioError as error:
            report.problems.extend(error.problems)
    return tuple(found)
