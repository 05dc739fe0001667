"""Several Compose projects in one lab: which networks are the same, and unique names for nodes and networks.

Every project keeps its own names for what is its own. A service whose name another project has, too, is
called ``PROJECT-SERVICE`` in the lab, and a network of the same key by its name in Docker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from netlab.model.expectation import Expectation, Expected, ExposureExpectation, ScenarioEvent
from netlab.model.flow import FlowPattern
from netlab.model.problem import Position
from netlab.model.scenario import ComposeNetwork
from netlab.scenario.assemble import Parts
from netlab.scenario.attach import names_of_containers
from netlab.scenario.events import event_names
from netlab.scenario.services import SHARES, Draft
from netlab.scenario.tree import Mark, Report, Value


@dataclass(frozen=True, slots=True)
class _Names:
    """The names in the lab of what one project calls otherwise."""

    services: Mapping[str, str] = field(default_factory=dict)
    networks: Mapping[str, str] = field(default_factory=dict)

    def service(self, name: str) -> str:
        """``db``, ``db-2`` and ``service/db`` may all be meant."""
        kind, slash, plain = name.rpartition("/")
        stem, dash, number = plain.rpartition("-")
        found = self.services.get(plain)
        if found is None and dash and number.isdecimal() and stem in self.services:
            found = f"{self.services[stem]}-{number}"
        return name if found is None else f"{kind}{slash}{found}"

    def network(self, key: str) -> str:
        return self.networks.get(key, key)


def together(projects: Sequence[Parts], report: Report) -> Parts:
    """The parts of all projects as those of one lab. What two of them claim goes to ``report``."""
    if len(projects) == 1:
        return projects[0]
    _check_order(projects, report)
    networks, keys = _networks(projects, report)
    names = [_Names(_services(parts, projects), own) for parts, own in zip(projects, keys, strict=True)]
    pairs = list(zip(projects, names, strict=True))
    expect: list[tuple[Expectation, Value]] = []
    for parts, own in pairs:
        before = expect[-1][0].after if expect else ()
        expect += [(_expectation(one, own, before), value) for one, value in parts.expect]
    first = projects[0]
    return Parts(
        hosts=first.hosts,
        outside=first.outside,
        networks=networks,
        drafts=tuple(_draft(draft, own) for parts, own in pairs for draft in parts.drafts),
        disabled={name: why for parts in projects for name, why in parts.disabled.items()},
        events=tuple((_event(event, own), value) for parts, own in pairs for event, value in parts.events),
        expect=tuple(expect),
        exposures=tuple(
            (_exposure(one, own), value) for parts, own in pairs for one, value in parts.exposures
        ),
        between=tuple((_event(event, own), value) for parts, own in pairs for event, value in parts.between),
        root=_tree(pairs, lambda parts: parts.root),
        netlab=_tree(pairs, lambda parts: parts.netlab),
        raw=_tree(pairs, lambda parts: parts.raw),
    )


def _services(parts: Parts, projects: Sequence[Parts]) -> dict[str, str]:
    """The services of a project whose names another one has, too, with their names in the lab."""
    own = {draft.service.name: draft.service.project for draft in parts.drafts}
    others = {
        draft.service.name
        for other in projects
        if other is not parts
        for draft in other.drafts
        if draft.service.project != own.get(draft.service.name)
    }
    return {name: f"{project}-{name}" for name, project in own.items() if name in others}


def _check_order(projects: Sequence[Parts], report: Report) -> None:
    """Report services in the network namespace of a container that a later project makes."""
    later: dict[str, Draft] = {}
    for parts in reversed(projects):
        for draft in parts.drafts:
            for relation, target, mark in draft.containers:
                if relation == SHARES and target in later:
                    other = later[target].service
                    why = f"{other.project} makes it later ({other.position}): name that project first"
                    reason = f"No such container: {target}; {why}"
                    report.refuse(mark, f"services.{draft.service.name}", reason)
        later |= {name: draft for draft in parts.drafts for name in names_of_containers(draft)}


# -- networks


def _networks(
    projects: Sequence[Parts], report: Report
) -> tuple[tuple[ComposeNetwork, ...], list[dict[str, str]]]:
    """Every network once, and for each project its keys with the keys in the lab."""
    found: dict[str, ComposeNetwork] = {}
    for network in (network for parts in projects for network in parts.networks):
        first = found.setdefault(network.name, network)
        if first is not network:
            _same(first, network, report)
            if first.external and network.external and not _is_described(first):
                found[network.name] = network
    often = Counter(network.key for network in found.values())
    keys = {name: name if often[network.key] > 1 else network.key for name, network in found.items()}
    renamed = tuple(replace(network, key=keys[name]) for name, network in found.items())
    return renamed, [{network.key: keys[network.name] for network in parts.networks} for parts in projects]


def _same(first: ComposeNetwork, second: ComposeNetwork, report: Report) -> None:
    """Report what Compose refuses of two projects that have a network of one name in Docker."""
    where, there = f"networks.{second.key}", f"networks.{first.key} ({first.position})"
    if first.external and not second.external:
        reason = f"network {first.name} declared as external, but could not be found"
        why = f"{second.project} makes it later ({second.position}): name that project first"
        report.refuse(first.position, f"networks.{first.key}", f"{reason}; {why}", by="Compose")
    elif not second.external and first.project != second.project:
        reason = (
            f"network {first.name} was found but has incorrect label com.docker.compose.project set to"
            f' "{first.project}" (expected: "{second.project}"): it is {there}'
        )
        report.refuse(second.position, where, reason, by="Compose")
    elif first.external == second.external and _differ(first, second):
        report.add(second.position, f"{where} differs from {there}, which is the same network in Docker")


def _differ(first: ComposeNetwork, second: ComposeNetwork) -> bool:
    """Whether two say different things; an external network may be described in one place only."""
    silent = first.external and not (_is_described(first) and _is_described(second))
    return not silent and _description(first) != _description(second)


def _description(network: ComposeNetwork) -> ComposeNetwork:
    """All that is said of a network, wherever."""
    return replace(network, key="", position=Position("", 1, 1), project="")


def _is_described(network: ComposeNetwork) -> bool:
    """Whether more is known of an external network than its name."""
    plain = ComposeNetwork("", network.name, network.position, external=True)
    return _description(network) != _description(plain)


# -- services, flows and events with other names


def _draft(draft: Draft, names: _Names) -> Draft:
    service = draft.service
    mode = service.network_mode
    if mode is not None and mode.startswith("service:"):
        mode = f"service:{names.service(mode.removeprefix('service:'))}"
    lab = names.service(service.name)
    made = replace(
        service,
        name=lab,
        written=service.name if lab != service.name else "",
        network_mode=mode,
        networks=tuple(replace(one, network=names.network(one.network)) for one in service.networks),
        depends_on=tuple(map(names.service, service.depends_on)),
        links=tuple((names.service(target), alias) for target, alias in service.links),
    )
    return replace(
        draft,
        service=made,
        source=_renamed(draft.source, "networks", names.network),
        needs=tuple((relation, names.service(target), mark) for relation, target, mark in draft.needs),
    )


def _expectation(one: Expectation, names: _Names, before: tuple[ScenarioEvent, ...]) -> Expectation:
    return replace(
        one,
        pattern=_pattern(one.pattern, names),
        expected=tuple((family, _expected(expected, names)) for family, expected in one.expected),
        after=(*before, *(_event(event, names) for event in one.after)),
    )


def _exposure(one: ExposureExpectation, names: _Names) -> ExposureExpectation:
    reaches = tuple(_pattern(pattern, names) for pattern in one.reaches)
    return replace(one, origin=names.service(one.origin), reaches=reaches)


def _pattern(pattern: FlowPattern, names: _Names) -> FlowPattern:
    target = pattern.target
    if target.name is not None:
        network = None if target.network is None else names.network(target.network)
        target = replace(target, name=names.service(target.name), network=network)
    via = None if pattern.via is None else names.service(pattern.via)
    return replace(pattern, origins=tuple(map(names.service, pattern.origins)), target=target, via=via)


def _expected(expected: Expected, names: _Names) -> Expected:
    return expected if expected.sees is None else replace(expected, sees=names.service(expected.sees))


def _event(event: ScenarioEvent, names: _Names) -> ScenarioEvent:
    words = list(event.words)
    for kind, word in event_names(event.words):
        if kind != "host":
            place = words.index(word, 1)
            words[place] = names.network(word) if kind == "network" else names.service(word)
    return replace(event, words=tuple(words))


# -- trees


def _tree(projects: Iterable[tuple[Parts, _Names]], part: Callable[[Parts], Value]) -> Value:
    """What the projects' trees say of services, networks and all else, by the names in the lab."""
    data: dict[str, Value] = {}
    keys: dict[str, Mark] = {}
    at: Mark | None = None
    for parts, names in projects:
        tree = part(parts)
        at = at or tree.at
        tree = _renamed(_renamed(tree, "services", names.service), "networks", names.network)
        for key, value in tree.pairs():
            if key in ("services", "networks") and key in data and isinstance(value.data, dict):
                both = {**data[key].map, **value.map}
                data[key] = data[key].with_data({**both}, {**data[key].keys, **value.keys})
            else:
                data.setdefault(key, value)
                keys.setdefault(key, tree.key_at(key))
    assert at is not None
    return Value({**data}, at, keys=keys)


def _renamed(tree: Value, section: str, name: Callable[[str], str]) -> Value:
    """A tree with other keys below ``section``."""
    below = tree.get(section)
    if below is None or not isinstance(below.data, dict):
        return tree
    data = {name(key): value for key, value in below.pairs()}
    marks = {name(key): mark for key, mark in below.keys.items()}
    return tree.with_data({**tree.map, section: below.with_data({**data}, marks)})
