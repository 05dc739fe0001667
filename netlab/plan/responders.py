"""Which ports the built-in responders of a host's containers answer on, or programs in their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from netlab.engine.contract import HostFacts
from netlab.model.plan import Responder
from netlab.model.scenario import ExposedPort, Host, Protocol, Service

_Port = tuple[Protocol, int]


def responders(
    host: Host, facts: HostFacts, services: Mapping[str, Service]
) -> dict[str, tuple[Responder, ...]]:
    """Container node → its responders. A real program in their place has those that its ``listen`` names.

    The ports in ``listen``; each published or exposed port that no other service in the same namespace names
    in its ``listen``; without ``listen``, also the ports that the image declares. A declared port is only a
    guess at what the program does, so it gives way to whatever else holds it in the same namespace.
    """
    taken: dict[str, set[_Port]] = {host.name: set(_ports(host.listen))}
    taken[host.name] |= {(held.protocol, held.port) for held in facts.listeners}
    running = [container for container in facts.containers if container.running]
    spaces = {one.spec.node: one.namespace or one.spec.node for one in running}
    answering = {node: services[node] for node in spaces if not services[node].command}
    programs = {
        node: {(own.protocol, own.port): own.program for own in services[node].listen or ()}
        for node in spaces
    }
    found: dict[str, dict[_Port, None]] = {}
    listening: dict[str, set[_Port]] = {}
    for node, space in spaces.items():
        found[node] = dict.fromkeys(_ports(services[node].listen or ()))
        listening.setdefault(space, set()).update(found[node])
    for node, service in answering.items():
        others = listening[spaces[node]] - found[node].keys()
        named = found[node]
        found[node] = dict.fromkeys(port for port in _published(service) if port not in others) | named
    for node, space in spaces.items():
        taken.setdefault(space, set()).update(found[node])
    for node, service in answering.items():
        if service.listen is None:
            held = taken[spaces[node]]
            declared = [port for port in _ports(service.image_ports) if port not in held]
            found[node] |= dict.fromkeys(declared)
            held.update(declared)
    return {
        node: tuple(
            Responder(
                protocol,
                port,
                programs[node].get((protocol, port)) or services[node].name,
                services[node].udp_routed and protocol == "udp",
            )
            for protocol, port in ports
        )
        for node, ports in found.items()
        if ports
    }


def _published(service: Service) -> Iterator[_Port]:
    for mapping in service.ports:
        yield mapping.protocol, mapping.container_port
    yield from _ports(service.expose)


def _ports(exposed: Iterable[ExposedPort]) -> Iterator[_Port]:
    for entry in exposed:
        yield entry.protocol, entry.port
