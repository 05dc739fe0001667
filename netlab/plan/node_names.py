"""Names of nodes are unique in a lab, while a Compose file may call a service ``client`` or ``host``.

The service keeps the name; the host or outside node that had it too is called ``host-NAME`` or
``outside-NAME``, and ``host/NAME`` and ``outside/NAME`` still mean it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from netlab.model.scenario import Scenario
from netlab.plan.events import replicas


def distinct(scenario: Scenario) -> Scenario:
    """The scenario, with hosts and outside nodes renamed that have another node's name."""
    taken = {replica.node for service in scenario.services for replica in replicas(scenario, service)}
    hosts = _renamed("host", (host.name for host in scenario.hosts), taken)
    taken |= set(hosts.values())
    outside = _renamed("outside", (node.name for node in scenario.outside), taken)
    if all(old == new for names in (hosts, outside) for old, new in names.items()):
        return scenario
    return replace(
        scenario,
        hosts=tuple(replace(host, name=hosts[host.name]) for host in scenario.hosts),
        outside=tuple(replace(node, name=outside[node.name]) for node in scenario.outside),
        services=tuple(
            replace(service, host=hosts.get(service.host, service.host)) for service in scenario.services
        ),
    )


def _renamed(kind: str, names: Iterable[str], taken: set[str]) -> dict[str, str]:
    """Old name → new name, with prefixes until the name is unique."""
    found: dict[str, str] = {}
    for name in names:
        new = name
        while new in taken or new in found.values():
            new = f"{kind}-{new}"
        found[name] = new
    return found
