"""The nodes and networks that expectations and events speak of."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from fnmatch import fnmatchcase

from netlab.model.expectation import ExposureExpectation
from netlab.model.family import Family
from netlab.model.flow import FlowPattern
from netlab.model.limits import FLOWS
from netlab.scenario.assemble import Parts
from netlab.scenario.attach import container_names
from netlab.scenario.check_size import Tally
from netlab.scenario.events import event_names
from netlab.scenario.exposures import OUTSIDE
from netlab.scenario.tree import Mark, Report, Value, hint, shown

_GLOB = frozenset("*?[")
_TARGETS = ("localhost", "gateway")
_SEES = ("sender", "host", "gateway")


@dataclass(frozen=True, slots=True)
class Names:
    """Every name that a flow may use."""

    #: services, and their containers if there are several
    containers: frozenset[str]
    hosts: frozenset[str]
    outside: frozenset[str]
    networks: frozenset[str]
    #: all nodes, with and without their kind in front
    nodes: frozenset[str]

    def has_node(self, word: str) -> bool:
        """Whether a name or a glob matches any node."""
        if word in self.nodes:
            return True
        return not _GLOB.isdisjoint(word) and any(fnmatchcase(node, word) for node in self.nodes)


def names_of(parts: Parts) -> Names:
    """The names that a scenario defines."""
    containers: set[str] = set(parts.written("services")) - set(parts.disabled)
    for draft in parts.drafts:
        service = draft.service
        if service.replicas > 1:
            containers |= {f"{service.name}-{n}" for n in range(1, service.replicas + 1)}
    hosts = {host.name for host in parts.hosts} | set(parts.written("x-netlab", "hosts"))
    outside = {node.name for node in parts.outside} | set(parts.written("x-netlab", "outside"))
    segments = {interface.segment for host in parts.hosts for interface in host.interfaces}
    segments |= {bridge.name for host in parts.hosts for bridge in host.bridges}
    networks = {name for network in parts.networks for name in (network.key, network.name)}
    kinds = (("service", containers), ("host", hosts), ("outside", outside))
    qualified = {f"{kind}/{name}" for kind, group in kinds for name in group}
    return Names(
        containers=frozenset(containers),
        hosts=frozenset(hosts),
        outside=frozenset(outside),
        networks=frozenset(networks | segments | set(parts.written("networks")) | {"bridge"}),
        nodes=frozenset(containers | hosts | outside | qualified),
    )


def check_expectations(parts: Parts, report: Report) -> None:
    """Report nodes and networks in ``expect`` that there are not."""
    if not parts.expect and not parts.exposures:
        return
    names = names_of(parts)
    tally = Tally()
    for one, item in parts.exposures:
        _exposure(one, item.get("exposure") or item, names, parts, report)
    for expectation, item in parts.expect:
        written = item.get("flow") or item
        _pattern(expectation.pattern, written, names, report)
        flows = _origins(expectation.pattern, names) * expectation.pattern.port_count
        tally.add(FLOWS, flows * len(expectation.expected), written.at)
        for family, expected in expectation.expected:
            sees = expected.sees
            if sees is not None and not _seen(sees, names):
                known = "; it is sender, host, gateway, a node or an address"
                more = hint(sees, (*_SEES, *names.nodes)) or known
                report.add(_sees_at(item, family), f"sees: there is no node {shown(sees)}{more}")
    tally.tell(report)


def _exposure(one: ExposureExpectation, written: Value, names: Names, parts: Parts, report: Report) -> None:
    origin = written.get("from") or written
    interface, _, host = one.origin.partition("@")
    interfaces = {own.name for each in parts.hosts if host in ("", each.name) for own in each.interfaces}
    # Those of networks have names that only the plan knows: the file may name one of them as it is.
    if one.origin not in (OUTSIDE, *names.nodes, *interfaces) and interface not in interfaces:
        known = (OUTSIDE, *names.nodes, *interfaces)
        more = hint(one.origin, known) or "; expected outside, a node or a host's interface"
        report.add(origin.at, f"exposure: there is no place {shown(one.origin)}{more}")
    for pattern, target in zip(one.reaches, written.get("reaches") or (), strict=False):
        name = pattern.target.name
        if name is not None and name not in names.nodes:
            more = hint(name, names.nodes)
            report.add(target.at, f"exposure: there is no node {shown(name)}{more}")


def _origins(pattern: FlowPattern, names: Names) -> int:
    """How many nodes a flow goes out from; a service of several containers counts as one here."""
    plain = (names.containers | names.hosts | names.outside) if any(map(_is_glob, pattern.origins)) else ()
    return sum(
        sum(fnmatchcase(node, origin.rpartition("/")[2]) for node in plain) if _is_glob(origin) else 1
        for origin in pattern.origins
    )


def _is_glob(word: str) -> bool:
    return not _GLOB.isdisjoint(word)


def _pattern(pattern: FlowPattern, written: Value, names: Names, report: Report) -> None:
    for origin in pattern.origins:
        if not names.has_node(origin):
            report.add(written.at, f"flow: there is no node {shown(origin)}{hint(origin, names.nodes)}")
    target = pattern.target
    if target.name is not None and target.name not in _TARGETS and target.name not in names.nodes:
        more = hint(target.name, (*names.nodes, *_TARGETS))
        report.add(written.at, f"flow: there is no node {shown(target.name)}{more}")
    if target.network is not None and target.network not in names.networks:
        more = hint(target.network, names.networks)
        report.add(written.at, f"flow: there is no network {shown(target.network)}{more}")
    if pattern.via is not None and pattern.via not in names.nodes:
        report.add(written.at, f"flow: there is no node {shown(pattern.via)}{hint(pattern.via, names.nodes)}")


def _sees_at(item: Value, family: Family) -> Mark:
    """Where an entry says which source the server of a family sees."""
    sides = [value for value in (item.get(family.word), item.get("both")) if value is not None]
    written = [sees for value in sides if (sees := value.get("sees")) is not None]
    return (written or sides or [item])[0].at


def _seen(text: str, names: Names) -> bool:
    if text in _SEES or text in names.nodes:
        return True
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def check_events(parts: Parts, report: Report) -> None:
    """Report containers, networks and hosts in events that there are not."""
    happenings = (*parts.events, *parts.between)
    if not happenings:
        return
    names = names_of(parts)
    groups = {
        "container": names.containers | container_names(parts.drafts),
        "network": frozenset(name for network in parts.networks for name in (network.key, network.name)),
        "host": names.hosts,
        "node": names.nodes,
    }
    for event, value in happenings:
        for kind, word in event_names(event.words):
            known = groups[kind]
            if word not in known:
                report.add(value.at, f"event: there is no {kind} {shown(word)}{hint(word, known)}")
