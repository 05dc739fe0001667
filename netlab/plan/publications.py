"""Which of the ports that a file publishes its engine does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netlab.engine.contract import HostFacts, NetworkState
from netlab.model.plan import Unpublished
from netlab.model.scenario import Service

_ROUTED = ("com.docker.network.bridge.gateway_mode_ipv4", "com.docker.network.bridge.gateway_mode_ipv6")


def unpublished(facts: HostFacts, services: Mapping[str, Service]) -> Iterator[Unpublished]:
    """The ports that the file publishes and the engine does not, with the reason. Of running containers."""
    published = {(entry.node, entry.protocol, entry.container_port) for entry in facts.publications}
    for container in facts.containers:
        node = container.spec.node
        service = services[node]
        for mapping in dict.fromkeys((*service.ports, *service.discarded)) if container.running else ():
            if (node, mapping.protocol, mapping.container_port) not in published:
                reason = _why_not(facts, node, service)
                yield Unpublished(node, mapping.container_port, mapping.protocol, reason)


def _why_not(facts: HostFacts, node: str, service: Service) -> str:
    if service.network_mode == "host":
        return "with network_mode host, it listens on the host itself"
    if service.network_mode == "none":
        return "it has no network"
    networks = [net for net in facts.networks if any(member == node for member, _, _ in net.facts.members)]
    if networks and all(network.facts.internal for network in networks):
        return "its only network is internal" if len(networks) == 1 else "its networks are all internal"
    if any(map(_is_routed, networks)):
        return "its network is routed, so it is open at the container's own address"
    return f"{facts.engine} publishes it on none of its networks"


def _is_routed(network: NetworkState) -> bool:
    options = network.spec.driver_opts if network.spec is not None else {}
    return any(options.get(key) == "routed" for key in _ROUTED)
