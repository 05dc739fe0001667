"""Which ports the built-in responders of a host's containers answer on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from netlab.engine.contract import HostFacts
from netlab.model.plan import Responder
from netlab.model.scenario import ExposedPort, Host, Protocol, Service

_Port = tuple[Protocol, int]


def responders(
    host: Host, facts: HostFacts, services: Mapping[str, Service]
) -> dict[str, tuple[Responder, ...]]:
    """Container node → its responders; none where a real program runs in their place.

    Each published or exposed port, and those in ``listen``; without ``listen``, also the ports that the image
    declares. A declared port is only a guess at what the program does, so it gives way to whatever else holds
    it in the same namespace.
    """
    taken: dict[str, set[_Port]] = {host.name: set(_ports(host.listen))}
    taken[host.name] |= {(held.protocol, held.port) for held in facts.listeners}
    running = [container for container in facts.containers if container.running]
    spaces = {one.spec.node: one.namespace or one.spec.node for one in running}
    answering = {node: services[node] for node in spaces if not services[node].command}
    found: dict[str, dict[_Port, None]] = {}
    for node, service in answering.items():
        found[node] = dict.fromkeys(_said(service))
        taken.setdefault(spaces[node], set()).update(found[node])
    for node, service in answering.items():
        if service.listen is None:
            space = taken[spaces[node]]
            declared = [port for port in _ports(service.image_ports) if port not in space]
            found[node] |= dict.fromkeys(declared)
            space.update(declared)
    return {
        node: tuple(
            Responder(protocol, port, services[node].name, services[node].udp_routed and protocol == "udp")
            for protocol, port in ports
        )
        for node, ports in found.items()
    }


def _said(service: Service) -> Iterator[_Port]:
    """The ports that the scenario itself names."""
    for mapping in service.ports:
        yield mapping.protocol, mapping.container_port
    yield from _ports((*service.expose, *(service.listen or ())))


def _ports(exposed: Iterable[ExposedPort]) -> Iterator[_Port]:
    for entry in exposed:
        yield entry.protocol, entry.port
