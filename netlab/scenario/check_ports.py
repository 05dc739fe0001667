"""Published ports that two containers claim on one host."""

from __future__ import annotations

from netlab.model.family import Address, parse_address
from netlab.model.problem import Position
from netlab.model.scenario import PortMapping
from netlab.scenario.assemble import Parts
from netlab.scenario.services import Draft
from netlab.scenario.tree import Report, Value

HOST_BINDING = "com.docker.network.bridge.host_binding_ipv4"
#: family and address that a port is bound on; no address: all of them
_Bound = tuple[int, Address | None]


def check_ports(parts: Parts, report: Report) -> None:
    """Report what can never be bound: a fixed host port of one address and protocol, wanted twice.

    A port that is taken from a range is not certain to clash, and one of a service on internal networks
    only is never bound.
    """
    internal = {network.key for network in parts.networks if network.internal}
    addresses = _Addresses(parts)
    taken: dict[tuple[str, str, int], list[tuple[_Bound, Draft, Value]]] = {}
    for draft in parts.drafts:
        service = draft.service
        attached = {attachment.network for attachment in service.networks}
        if service.replicas == 0 or (attached and attached <= internal):
            continue
        for mapping, value in draft.ports:
            if mapping.host_ports is None:
                continue
            low, high = mapping.host_ports
            if high - low + 1 < service.replicas:
                _too_few(draft, mapping, value, report)
            if low != high:
                continue
            address = mapping.host_ip or addresses.of(draft)
            if address is None:
                continue  # which of its networks' addresses it is, the engine says
            others = taken.setdefault((service.host, mapping.protocol, low), [])
            for bound in _bound(address):
                clash = next((entry for entry in others if _clash(entry[0], bound)), None)
                if clash is not None:
                    _report(draft, mapping, value, clash[1], clash[2], report)
                    break
                others.append((bound, draft, value))


class _Addresses:
    """The host addresses on which services are published that do not name one."""

    def __init__(self, parts: Parts) -> None:
        self._daemons = {host.name: host.daemon for host in parts.hosts}
        self._networks = {network.key: network for network in parts.networks}

    def of(self, draft: Draft) -> str | None:
        """The daemon's or its network's; empty for every address, None if its networks have several."""
        daemon = self._daemons.get(draft.service.host, {})
        if not draft.service.networks:
            address = daemon.get("ip")
            return address if isinstance(address, str) else ""
        opts = daemon.get("default-network-opts")
        bridge = opts.get("bridge") if isinstance(opts, dict) else None
        default = bridge.get(HOST_BINDING) if isinstance(bridge, dict) else None
        found = {
            self._networks[attachment.network].driver_opts.get(HOST_BINDING, str(default or ""))
            for attachment in draft.service.networks
            if attachment.network in self._networks and not self._networks[attachment.network].internal
        }
        if len(found) > 1:
            return None
        return "" if found <= {"0.0.0.0"} else found.pop()


def _bound(text: str) -> list[_Bound]:
    if not text:
        return [(4, None), (6, None)]
    try:
        found = parse_address(text)
    except ValueError:  # the engine refuses it, in its own words
        return []
    return [(found.version, None if found.is_unspecified else found)]


def _clash(one: _Bound, two: _Bound) -> bool:
    return one[0] == two[0] and (one[1] is None or two[1] is None or one[1] == two[1])


def _too_few(draft: Draft, mapping: PortMapping, value: Value, report: Report) -> None:
    assert mapping.host_ports is not None
    low, high = mapping.host_ports
    count = high - low + 1
    ports = f"the host port {low}" if count == 1 else f"the {count} host ports {low}-{high}"
    name, replicas = draft.service.name, draft.service.replicas
    report.add(value.at, f"services.{name}: {replicas} containers cannot share {ports}")


def _report(
    draft: Draft, mapping: PortMapping, value: Value, other: Draft, other_value: Value, report: Report
) -> None:
    assert mapping.host_ports is not None
    port = f"the host port {mapping.host_ports[0]}/{mapping.protocol}"
    where = Position(*other_value.at)
    what = f"is published by services.{other.service.name} already ({where})"
    if other is draft:
        what = f"is published twice (also at {where})"
    report.add(value.at, f"services.{draft.service.name}: {port} {what}")
