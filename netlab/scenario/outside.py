"""``x-netlab.outside`` and ``internet``: the nodes outside of the hosts, and the routes that lead there."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import replace

from netlab.model.family import Family
from netlab.model.problem import Position
from netlab.model.scenario import ExposedPort, Host, HostRoute, Outside, OutsideInterface
from netlab.scenario.addresses import interface_address
from netlab.scenario.hosts import read_interface, read_rules
from netlab.scenario.ports import read_exposed, udp_routed
from netlab.scenario.routes import read_routes
from netlab.scenario.segments import UNSAID
from netlab.scenario.tree import Mark, Report, Value

OUTSIDE_INTERFACE = "eth0"
#: the nodes of a lab that says nothing of them, with their place in the host's subnets
DEFAULT_OUTSIDE = (("client", 2), ("neighbour", 3))
DEFAULT_LISTEN = (ExposedPort(7000, "tcp"), ExposedPort(7000, "udp"))
#: the node behind ``internet: true``, where it is in the host's subnets, and what it answers on
INTERNET = "internet"
_INTERNET_PLACE = 254
_INTERNET_LISTEN = (
    *(ExposedPort(port, "tcp") for port in (443, 80, 53, 7000)),
    *(ExposedPort(port, "udp") for port in (53, 123, 443, 7000)),
)


def read_outside(netlab: Value, at: Mark, hosts: Sequence[Host], report: Report) -> tuple[Outside, ...]:
    """The nodes outside; a client and a neighbour of the first host if the file names none."""
    written = netlab.get("outside")
    if written is None:
        return _default_outside(at, hosts)
    found = []
    for name, value in written.pairs():
        entry = value if value.data is not None else Value({}, value.at)
        found.append(_outside(name, written.key_at(name), entry, report))
    return tuple(found)


def _outside(name: str, at: Mark, value: Value, report: Report) -> Outside:
    path = f"x-netlab.outside.{name}"
    listen, several, forward = value.get("listen"), value.get("interfaces"), value.get("forward")
    if several is None:
        interfaces = [read_interface(OUTSIDE_INTERFACE, value)]
    else:
        interfaces = [read_interface(key, entry) for key, entry in several.pairs()]
        for key in ("addresses", "segment", "mtu"):
            if value.get(key) is not None:
                report.add(value.key_at(key), f"{path}: {key} and interfaces exclude each other")
    if not any(interface.addresses for interface in interfaces) and not report.broken(path):
        report.add(at, f"{path} needs addresses")
    routes, places = read_routes(path, value.get("routes"), report)
    return Outside(
        name=name,
        position=Position(*at),
        interfaces=tuple(interfaces),
        routes=routes,
        route_positions=places,
        listen=DEFAULT_LISTEN if listen is None else read_exposed(listen, f"{path}.listen", report),
        udp_routed=udp_routed(value),
        forward=forward is not None and forward.flag,
        rules=read_rules([value.get("rules")], report, host=False),
    )


def _default_outside(at: Mark, hosts: Sequence[Host]) -> tuple[Outside, ...]:
    """The nth address of each subnet on the first host's first interface, past those that hosts have."""
    if not hosts or not hosts[0].interfaces:
        return ()
    first = hosts[0].interfaces[0]
    taken = {
        interface_address(text).ip
        for host in hosts
        for interface in host.interfaces
        for text in interface.addresses
    }
    found = []
    for name, number in DEFAULT_OUTSIDE:
        mine = []
        for text in first.addresses:
            free = _free(interface_address(text), number, taken)
            if free is not None:
                taken.add(free.ip)
                mine.append(str(free))
        interface = OutsideInterface(OUTSIDE_INTERFACE, tuple(mine), first.segment, UNSAID)
        found.append(Outside(name, Position(*at), (interface,), listen=DEFAULT_LISTEN))
    return tuple(node for node in found if node.interfaces[0].addresses)


def _free(
    own: ipaddress.IPv4Interface | ipaddress.IPv6Interface,
    number: int,
    taken: set[ipaddress.IPv4Address | ipaddress.IPv6Address],
) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface | None:
    net = own.network
    last = net.num_addresses - (2 if own.version == 4 and net.prefixlen < 31 else 1)
    for offset in range(number, min(last, number + 64) + 1):
        candidate = net.network_address + offset
        if candidate not in taken:
            return ipaddress.ip_interface(f"{candidate}/{net.prefixlen}")
    return None


def with_internet(
    netlab: Value, hosts: tuple[Host, ...], outside: tuple[Outside, ...], report: Report, *, plain: bool
) -> tuple[tuple[Host, ...], tuple[Outside, ...]]:
    """The node ``internet`` and hosts with default routes to it, if ``internet: true`` or ``plain`` say so.

    ``plain``: the file has no ``x-netlab`` block. The node is on the segment of the first host's first
    interface, and so are the hosts that get the routes.
    """
    asked = netlab.get("internet")
    wanted = plain if asked is None else asked.flag
    if not wanted or not hosts or not hosts[0].interfaces:
        return hosts, outside
    at = netlab.key_at("internet")
    if any(node.name == INTERNET for node in outside):
        report.add(at, f"x-netlab.internet: there is an outside node {INTERNET} already")
        return hosts, outside
    first = hosts[0].interfaces[0]
    nodes = [
        *(one for host in hosts for one in host.interfaces),
        *(one for node in outside for one in node.interfaces),
    ]
    taken = {
        interface_address(text).ip for one in nodes if one.segment == first.segment for text in one.addresses
    }
    own = [
        free for text in first.addresses if (free := _free(interface_address(text), _INTERNET_PLACE, taken))
    ]
    own += [
        free
        for text in first.addresses
        if not any(str(one.network) == str(interface_address(text).network) for one in own)
        and (free := _free(interface_address(text), 1, taken))
    ]
    if not own:
        _no_internet(first, at, report)
        return hosts, outside
    position = Position(*at)
    node = Outside(
        name=INTERNET,
        position=position,
        interfaces=(OutsideInterface(OUTSIDE_INTERFACE, tuple(map(str, own)), first.segment, UNSAID),),
        routes="none",
        listen=_INTERNET_LISTEN,
        everywhere=True,
    )
    return tuple(_routed(host, first.segment, own, position) for host in hosts), (*outside, node)


def _no_internet(first: OutsideInterface, at: Mark, report: Report) -> None:
    """Report why the node ``internet`` gets no address."""
    reason = (
        f"{' and '.join(first.addresses)} on {first.name} leave no other address on their subnets"
        if first.addresses
        else f"{first.name} of the first host has no address"
    )
    report.add(
        at, f"x-netlab.internet: {reason}, so nothing can be behind it: give {first.name} a subnet (/24)"
    )


def _routed(
    host: Host,
    segment: str,
    hops: Sequence[ipaddress.IPv4Interface | ipaddress.IPv6Interface],
    position: Position,
) -> Host:
    """The host with a default route by each of ``hops`` in its subnets, for families that have none."""
    subnets = {
        interface_address(text).network
        for one in host.interfaces
        if one.segment == segment
        for text in one.addresses
    }
    said = {Family.of(route.via) for route in host.routes if route.destination == "default" and route.via}
    found = {
        Family(hop.version): HostRoute("default", str(hop.ip), None, position)
        for hop in reversed(hops)
        if hop.network in subnets and Family(hop.version) not in said
    }
    return replace(host, routes=(*host.routes, *found.values()))
