"""The rest of a twin's host: its interfaces on segments, routes, listeners, and the machines around it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import Any

from netlab.model.family import FAMILIES, Family
from netlab.scenario.addresses import interface_address
from netlab.scenario.sysctls import wrong_sysctl
from netlab.twin.host import FoundRoute, Link, RealHost, Socket
from netlab.twin.read_sockets import listen_entries

#: processes whose sockets an engine makes itself
_ENGINES = ("docker-proxy", "dockerd", "rootlessport", "conmon", "netavark", "aardvark-dns")
#: settings of the whole host that routing depends on, and that no engine writes
_SETTINGS = re.compile(
    r"net\.ipv4\.(conf\.(all|default)\.(rp_filter|arp_ignore|arp_filter|arp_announce|accept_local"
    r"|src_valid_mark)|ip_nonlocal_bind|ip_local_port_range|ip_local_reserved_ports)\Z"
)
#: the first address that a machine outside may have, and how many are tried
_FIRST, _TRIES = 2, 512


def network_of(host: RealHost, notes: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What belongs below ``x-netlab.host``, and ``x-netlab.outside``."""
    interfaces, bridges = _split(host, notes)
    taken = {interface_address(a).ip for link in host.links for a in link.addresses}
    taken |= {ipaddress.ip_address(n) for n in host.neighbours if _is_address(n)}
    taken |= {ipaddress.ip_address(route.via) for route in host.routes if route.via}
    found: dict[str, Any] = {
        "interfaces": {
            link.name: {"addresses": list(link.addresses), "segment": _segment(link.name), **_mtu(link)}
            for link in interfaces
        }
    }
    if bridges:
        found["bridges"] = {link.name: {"addresses": list(link.addresses)} for link in bridges}
    settings = {k: v for k, v in host.sysctls.items() if _SETTINGS.match(k) and not wrong_sysctl(k, v)}
    settings |= _on_before(host)
    if settings:
        found["sysctls"] = settings
    known = {link.name for link in (*interfaces, *bridges)}
    routes, typed = _routes(host, known, notes)
    for key, lines in (("routes", routes), ("routing_policy", list(host.policy)), ("rules", typed)):
        if lines:
            found[key] = lines
    listen = listen_entries(_listen(host, notes))
    if listen:
        found["listen"] = listen
    return found, dict(_outside(interfaces, bridges, taken))


def _on_before(host: RealHost) -> dict[str, str]:
    """Forwarding that a file turns on before the engine starts, which then leaves FORWARD's policy alone.

    Unless the policy is DROP: then the engine turned it on, whatever a file has said since.
    """
    found = {}
    for family in FAMILIES:
        key = "net.ipv4.ip_forward" if family is Family.IPV4 else "net.ipv6.conf.all.forwarding"
        accepts = "\n:FORWARD ACCEPT" in host.rules.get(family.iptables, "").partition("*filter")[2]
        if accepts and any(one.key == key and one.value == "1" for one in host.boot_settings):
            found[key] = "1"
    return found


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _segment(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", name).lstrip("-") or "segment"


def _mtu(link: Link) -> dict[str, int]:
    return {"mtu": link.mtu} if link.mtu != 1500 and 68 <= link.mtu <= 65535 else {}


def _split(host: RealHost, notes: list[str]) -> tuple[list[Link], list[Link]]:
    """The host's own interfaces, that of the default route first, and the bridges of other software."""
    engines = {network.bridge for network in host.networks if network.bridge} | {"docker0"}
    by_name = {link.name: link for link in host.links}
    interfaces: list[Link] = []
    bridges: list[Link] = []
    for link in sorted(host.links, key=lambda one: one.index):
        ports = [one for one in host.links if one.master == link.name]
        if link.name == "lo" or link.name in engines or link.master in engines:
            continue
        if link.kind == "bridge" and all(port.kind in ("veth", "tun") for port in ports):
            bridges.append(link)
        elif link.master in by_name:
            if by_name[link.master].kind == "bridge" and link.kind in ("veth", "tun"):
                notes.append(f"{link.name} on {link.master}: what is behind it was not collected")
        elif link.kind == "veth" and not link.addresses:
            notes.append(f"{link.name} leads to a namespace that was not collected")
        elif not link.up and not link.addresses:
            continue
        else:
            interfaces.append(link)
            if link.kind not in ("", "veth", "dummy"):
                notes.append(f"{link.name} ({link.kind}) is an interface on a segment in the twin")
    ways = [route.interface for route in host.routes if route.destination == "default" and not route.table]
    interfaces.sort(key=lambda link: ways.index(link.name) if link.name in ways else len(ways))
    return interfaces, bridges


def _routes(host: RealHost, known: set[str], notes: list[str]) -> tuple[list[str], list[str]]:
    """The routes for ``routes``, and those that only ``ip route`` can say, for ``rules``."""
    plain: list[str] = []
    typed: list[str] = []
    first = next(iter(_defaults(host)), None)
    for route in host.routes:
        line = route.words
        if route is first:
            notes.append(
                f"the default gateway {route.via or route.interface} is the node internet in the twin"
            )
        elif route.destination == "default" and not route.table and route.interface == _way(first):
            notes.append(f"the default route {line} leads to the node internet, too")
        elif route.interface and route.interface not in known:
            notes.append(f"the route {line} is left out: the twin has no interface {route.interface}")
        elif route.via and ipaddress.ip_address(route.via).is_link_local:
            notes.append(f"the route {line} is left out: its next hop is a link-local address")
        elif route.kind == "unicast" and not (route.metric or route.source or route.onlink):
            plain.append(line)
        elif route.family == 6 and route.kind == "unicast" and not (route.source or route.onlink):
            plain.append(line.replace(f" metric {route.metric}", ""))
        else:
            typed.append(f"ip {'-6 ' if route.family == 6 else ''}route add {line}")
    return plain, typed


def _defaults(host: RealHost) -> Iterator[FoundRoute]:
    found = [route for route in host.routes if route.destination == "default" and not route.table]
    yield from sorted(found, key=lambda route: (route.family, route.metric))


def _way(route: FoundRoute | None) -> str:
    return route.interface if route is not None else ""


def _listen(host: RealHost, notes: list[str]) -> Iterator[Socket]:
    """The sockets on which the host's own programs take packets from everybody."""
    modes = [one for one in host.containers if one.mode == "host" and one.running]
    if modes:
        notes.append("what containers in the host's network listen on is the host's in the twin")
    closed: list[str] = []
    for socket in host.sockets:
        if socket.process in _ENGINES:
            continue
        port = f"{socket.port}/{socket.protocol}"
        if socket.address:
            closed.append(f"{port} on {socket.address}{f' ({socket.process})' if socket.process else ''}")
        else:
            yield socket
    if closed:
        more = "…" if len(closed) > 20 else ""
        notes.append(f"sockets on one address only are left out: {', '.join(closed[:20])}{more}")


def _outside(
    interfaces: Iterable[Link], bridges: list[Link], taken: set[Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """A machine on each segment, and a guest on each bridge of other software; on the first segment two."""
    names = ["client", "neighbour"]
    for link in (*interfaces, *bridges):
        segment = link.name if link in bridges else _segment(link.name)
        for name in names or [f"by-{segment}"]:
            addresses = list(_free_addresses(link, taken))
            if addresses:
                yield name, {"addresses": addresses, "segment": segment}
                names = []


def _free_addresses(link: Link, taken: set[Any]) -> Iterator[str]:
    """An address of each family in the subnets of an interface that nobody has."""
    families: set[int] = set()
    for text in link.addresses:
        own = interface_address(text)
        last = own.network.num_addresses - (2 if own.version == 4 else 1)
        if own.version in families or own.ip.is_loopback:
            continue
        for offset in range(_FIRST, min(last, _FIRST + _TRIES) + 1):
            candidate = own.network.network_address + offset
            if candidate not in taken:
                taken.add(candidate)
                families.add(own.version)
                yield f"{candidate}/{own.network.prefixlen}"
                break
