"""Checks across a whole scenario: references, and resources that two claim."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from netlab.model.problem import Position
from netlab.scenario.assemble import Parts
from netlab.scenario.attach import names_of_containers
from netlab.scenario.check_addresses import check_addresses
from netlab.scenario.check_flows import check_events, check_expectations
from netlab.scenario.check_hosts import check_hosts
from netlab.scenario.check_ports import check_ports
from netlab.scenario.compose_refusals import check_compose
from netlab.scenario.refusals import check_refusals
from netlab.scenario.services import SHARES, Draft, attachment_mark
from netlab.scenario.tree import Mark, Report, hint, shown


def check_project(parts: Parts, folder: Path, report: Report) -> None:
    """Report every problem between the parts of one project in ``folder``."""
    _networks_exist(parts, report)
    _services_exist(parts, report)
    _cycles(parts, report)
    _network_names(parts, report)
    check_compose(parts, folder, report)
    check_refusals(parts, report)


def check_lab(parts: Parts, report: Report) -> None:
    """Report every problem between the parts of the lab, of one or several projects."""
    _container_names(parts, report)
    _node_names(parts, report)
    check_hosts(parts, report)
    check_addresses(parts, report)
    check_ports(parts, report)
    check_events(parts, report)
    check_expectations(parts, report)


def _networks_exist(parts: Parts, report: Report) -> None:
    known = {*parts.written("networks"), *(network.key for network in parts.networks), "default"}
    for draft in parts.drafts:
        for attachment in draft.service.networks:
            if attachment.network not in known:
                what = f"services.{draft.service.name}: there is no network {shown(attachment.network)}"
                more = hint(attachment.network, known)
                report.add(attachment_mark(draft, attachment.network), f"{what}{more}")


def _services_exist(parts: Parts, report: Report) -> None:
    by_name = {draft.service.name: draft for draft in parts.drafts}
    known = parts.written("services")
    for draft in parts.drafts:
        service = draft.service
        for relation, target, mark in draft.needs:
            what = f"services.{service.name} {relation} {shown(target)}"
            if target in by_name:
                other = by_name[target].service
                if relation == SHARES:
                    if other.host != service.host:
                        report.add(mark, f"{what}, which is on another host ({other.host})")
                    elif service.replicas and not other.replicas:
                        reason = f"cannot share network namespace with service {target}: container missing"
                        report.refuse(mark, f"services.{service.name}", reason, by="Compose")
                continue
            if target in parts.disabled:
                if relation.startswith("depends") and target in draft.optional:
                    continue
                profiles = " or ".join(parts.disabled[target])
                report.add(mark, f"{what}, which is disabled without the profile {profiles}")
            elif target not in known:
                report.add(mark, f"{what}, which is not a service{hint(target, known)}")


def _cycles(parts: Parts, report: Report) -> None:
    """depends_on, links and ``network_mode: service:`` are dependencies; a circle of them cannot start."""
    edges = {
        draft.service.name: [(target, mark) for _, target, mark in draft.needs] for draft in parts.drafts
    }
    done: set[str] = set()
    for start in edges:
        if start not in done:
            _walk(start, edges, done, report)


def _walk(start: str, edges: dict[str, list[tuple[str, Mark]]], done: set[str], report: Report) -> None:
    """Depth first, without recursion: a chain of dependencies may be long."""
    path = [start]
    on_path = {start}
    pending: list[Iterator[tuple[str, Mark]]] = [iter(edges[start])]
    while pending:
        for target, mark in pending[-1]:
            if target in on_path:
                circle = [*path[path.index(target) :], target]
                report.add(mark, f"services depend on each other in a circle: {' -> '.join(circle)}")
            elif target in edges and target not in done:
                path.append(target)
                on_path.add(target)
                pending.append(iter(edges[target]))
                break
        else:
            pending.pop()
            name = path.pop()
            on_path.discard(name)
            done.add(name)


def _container_names(parts: Parts, report: Report) -> None:
    taken: dict[tuple[str, str], tuple[str, Mark]] = {}
    for draft in parts.drafts:
        service = draft.service
        at = (draft.source.get("container_name") or draft.source).at
        for name in names_of_containers(draft) if service.replicas else ():
            first, there = taken.setdefault((service.host, name), (service.name, at))
            if first != service.name:
                what = f"services.{service.name}: the container name {shown(name)}"
                report.add(at, f"{what} is services.{first}'s already ({Position(*there)})")


def _network_names(parts: Parts, report: Report) -> None:
    taken: dict[str, str] = {}
    for network in parts.networks:
        first = taken.setdefault(network.name, network.key)
        if first != network.key:
            what = f"networks.{network.key}: the name {shown(network.name)} is networks.{first}'s already"
            report.add(network.position, what)


def _node_names(parts: Parts, report: Report) -> None:
    """The second of three containers of ``web`` is the node ``web-2``, so no service can be called that."""
    services: dict[str, Draft] = {}
    for draft in parts.drafts:
        first = services.setdefault(draft.service.name, draft).service
        if first is not draft.service:
            what = f"services.{draft.service.compose_name}: there is another service {draft.service.name}"
            report.add(draft.service.position, f"{what} in the lab ({first.position})")
    for draft in parts.drafts:
        service = draft.service
        if service.replicas < 2:
            continue
        for number in range(1, service.replicas + 1):
            other = services.get(f"{service.name}-{number}")
            if other is not None:
                what = f"has the name of container {number} of services.{service.name}"
                report.add(other.service.position, f"services.{other.service.name} {what}")
