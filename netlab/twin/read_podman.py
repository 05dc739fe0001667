"""Podman's networks, as the template of the collection prints them: in the words of Docker's."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.scenario.addresses import wrong_interface
from netlab.twin.archive import Collection
from netlab.twin.fields import mapping, records, text
from netlab.twin.host import PODMAN, Network
from netlab.twin.read_docker import check_names

FILE = "podman-networks.json"
_BRIDGE = "com.docker.network.bridge.name"


def podman_networks(collection: Collection) -> Iterator[Network]:
    """The networks, in the order in which they were created; raises CollectionError."""
    found = []
    for entry in records(collection, FILE):
        check_names(collection, FILE, entry)
        bridge = text(entry, "bridge")
        if bridge and wrong_interface(bridge):
            continue
        options = {k: v for k, v in mapping(entry, "options").items() if isinstance(v, str)}
        subnets = entry.get("subnets")
        pools = [one for one in subnets if isinstance(one, dict)] if isinstance(subnets, list) else []
        found.append(
            Network(
                id=text(entry, "id"),
                name=text(entry, "name"),
                driver=text(entry, "driver"),
                created=text(entry, "created"),
                internal=entry.get("internal") is True,
                ipv4=True,
                ipv6=entry.get("ipv6") is True,
                pools=tuple(
                    {"Subnet": text(one, "subnet"), "Gateway": text(one, "gateway")} for one in pools
                ),
                options={**options, _BRIDGE: bridge},
                engine=PODMAN,
            )
        )
    yield from sorted(found, key=lambda one: one.created)
