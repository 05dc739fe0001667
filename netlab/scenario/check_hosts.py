"""Hosts, outside nodes and the segments between them."""

from __future__ import annotations

from collections import Counter

from netlab.model.family import Address
from netlab.model.problem import Position
from netlab.model.scenario import Host, OutsideInterface
from netlab.scenario.addresses import interface_address
from netlab.scenario.assemble import Parts
from netlab.scenario.services import SHARES, Draft, attachment_mark
from netlab.scenario.tree import Report, hint, shown


def check_hosts(parts: Parts, report: Report) -> None:
    """Report services on unknown hosts, unknown segments, and addresses that two nodes of a segment have."""
    hosts = {host.name for host in parts.hosts}
    extras = parts.netlab.get("services")
    for draft in parts.drafts:
        if draft.service.host not in hosts:
            extra = extras.get(draft.service.name) if extras is not None else None
            written = extra.get("host") if extra is not None else None
            what = f"services.{draft.service.name}: there is no host {shown(draft.service.host)}"
            report.add((written or draft.source).at, what + hint(draft.service.host, hosts))
    _engines(parts, report)
    segments = {interface.segment for host in parts.hosts for interface in host.interfaces}
    segments |= {bridge.name for host in parts.hosts for bridge in host.bridges}
    beyond = Counter(name for node in parts.outside for name in {one.segment for one in node.interfaces})
    segments |= {name for name, nodes in beyond.items() if nodes > 1}
    for node in parts.outside:
        for interface in node.interfaces:
            if interface.segment not in segments:
                more = hint(interface.segment, segments)
                what = (
                    f"x-netlab.outside.{node.name}: nobody else is on the segment {shown(interface.segment)}"
                )
                report.add(node.position, what + more)
    _addresses(parts, report)


def _engines(parts: Parts, report: Report) -> None:
    """On a host with two engines a network belongs to one of them, and so does a shared namespace."""
    drafts = {draft.service.name: draft for draft in parts.drafts}
    owners: dict[tuple[str, str], Draft] = {}
    for draft in parts.drafts:
        service = draft.service
        for attachment in service.networks:
            first = owners.setdefault((service.host, attachment.network), draft).service
            if first.engine != service.engine:
                what = f"services.{service.name} is {service.engine}'s: the network {attachment.network} is"
                more = f"used by {first.name} of {first.engine}, and a network belongs to one engine"
                report.add(attachment_mark(draft, attachment.network), f"{what} {more}")
        for relation, target, mark in draft.needs:
            other = drafts.get(target)
            if relation == SHARES and other is not None and other.service.engine != service.engine:
                what = f"services.{service.name} {relation} {shown(target)}"
                report.add(mark, f"{what}, which is another engine's ({other.service.engine})")


def _bridges(host: Host) -> list[OutsideInterface]:
    """Other software's bridges, as their guests see them: interfaces of the host on a segment."""
    return [OutsideInterface(bridge.name, bridge.addresses, bridge.name) for bridge in host.bridges]


def _addresses(parts: Parts, report: Report) -> None:
    nodes: list[tuple[str, Position, tuple[OutsideInterface, ...]]] = [
        (f"host {host.name}", host.position, (*host.interfaces, *_bridges(host))) for host in parts.hosts
    ]
    nodes += [(f"outside node {node.name}", node.position, node.interfaces) for node in parts.outside]
    taken: dict[tuple[str, Address], str] = {}
    for name, position, interfaces in nodes:
        for interface in interfaces:
            for text in interface.addresses:
                own = interface_address(text).ip
                first = taken.setdefault((interface.segment, own), name)
                if first != name:
                    where = f"on the segment {interface.segment}"
                    report.add(position, f"the {name} has the address {own} of the {first} {where}")
