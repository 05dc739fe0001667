"""Docker's networks, and containers of any engine, as the templates of the collection print them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from netlab.model.limits import CONTAINERS
from netlab.model.shown import shown_in_line
from netlab.scenario.addresses import wrong_interface
from netlab.twin.archive import Collection, CollectionError
from netlab.twin.fields import mapping, number, records, text, texts
from netlab.twin.host import DOCKER, Binding, Container, Endpoint, Network, Socket
from netlab.twin.read_sockets import sockets

_ID = re.compile(r"[0-9a-z]{12,64}\Z")
#: What Docker allows in names (names/names.go: RestrictedNameChars)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")


def networks(collection: Collection) -> Iterator[Network]:
    """The networks, in the order in which they were created; raises CollectionError."""
    found = []
    for entry in records(collection, "docker-networks.json"):
        options = {k: v for k, v in mapping(entry, "options").items() if isinstance(v, str)}
        bridge = options.get("com.docker.network.bridge.name", "")
        check_names(collection, "docker-networks.json", entry)
        if bridge and wrong_interface(bridge):
            continue
        pools = entry.get("ipam")
        found.append(
            Network(
                id=text(entry, "id"),
                name=text(entry, "name"),
                driver=text(entry, "driver"),
                created=text(entry, "created"),
                internal=entry.get("internal") is True,
                ipv4=entry.get("ipv4") is not False,
                ipv6=entry.get("ipv6") is True,
                pools=tuple(p for p in pools if isinstance(p, dict)) if isinstance(pools, list) else (),
                options=options,
            )
        )
    yield from sorted(found, key=lambda one: one.created)


def containers(collection: Collection, known: Iterable[Network], engine: str = DOCKER) -> Iterator[Container]:
    """The containers of an engine, in the order in which they were last started.

    Raises CollectionError if there are more than a lab takes, before anything is made of them.
    """
    file = f"{engine}-containers.json"
    listens = _listens(collection.text("container-sockets" if engine == DOCKER else f"{engine}-sockets"))
    names = {network.id: network.name for network in known}
    found = [
        replace(_container(entry, names, listens), engine=engine)
        for entry in records(collection, file)
        if check_names(collection, file, entry)
    ]
    said = CONTAINERS.exceeded(len(found))
    if said is not None:
        raise CollectionError(f"{collection.origin}: {file}: {said}")
    yield from sorted(found, key=lambda one: one.started)


def check_names(collection: Collection, file: str, entry: dict[str, Any]) -> bool:
    """Raise CollectionError for an id or a name that no engine gives; else true."""
    for key, pattern in (("id", _ID), ("name", NAME)):
        if not pattern.match(text(entry, key).removeprefix("/")):
            whose = file.partition("-")[0].title()
            what = f"{shown_in_line(text(entry, key)[:60]) or 'nothing'} is no {key} of {whose}'s"
            raise CollectionError(f"{collection.origin}: {file}: {what}")
    return True


def _container(
    entry: dict[str, Any], names: dict[str, str], listens: dict[int, tuple[Socket, ...]]
) -> Container:
    pid = number(entry, "pid")
    return Container(
        id=text(entry, "id"),
        name=text(entry, "name").removeprefix("/"),
        started=text(entry, "started"),
        running=text(entry, "status") in ("running", "paused", "restarting"),
        pid=pid,
        mode=text(entry, "mode"),
        restart=text(entry, "restart"),
        bindings=tuple(_bindings(entry)),
        exposed=tuple(port for key in mapping(entry, "exposed") if (port := _port(key)) is not None),
        endpoints=tuple(_endpoints(mapping(entry, "networks"), names)),
        sysctls={k: v for k, v in mapping(entry, "sysctls").items() if isinstance(v, str)},
        listens=listens.get(pid),
        links=tuple(_links(texts(entry.get("links")))),
    )


def _links(words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """``/db:/web/alias`` → db, alias."""
    for word in words:
        target, _, rest = word.removeprefix("/").partition(":")
        alias = rest.rpartition("/")[2]
        if NAME.match(target) and NAME.match(alias):
            yield target, alias


def _port(key: str) -> tuple[int, str] | None:
    number_, _, protocol = key.partition("/")
    if not number_.isascii() or not number_.isdigit() or protocol not in ("tcp", "udp", "sctp"):
        return None
    return (int(number_), protocol) if 0 < int(number_[:6]) < 1 << 16 else None


def _bindings(entry: dict[str, Any]) -> Iterator[Binding]:
    """As the user gave them; what Docker chose (an ephemeral port, ``-P``) as Docker says."""
    given, actual = mapping(entry, "bindings"), mapping(entry, "ports")
    for key in dict.fromkeys((*given, *actual)):
        port = _port(key)
        if port is None:
            continue
        listed = [one for one in actual.get(key) or () if isinstance(one, dict)]
        chosen = [one for one in listed if text(one, "HostPort").isdigit()]
        asked = [one for one in given.get(key) or () if isinstance(one, dict)]
        if not asked or any(not text(one, "HostPort").isdigit() for one in asked):
            asked = _joined(chosen, everywhere=bool(asked) and not any(text(a, "HostIp") for a in asked))
        if not asked and given.get(key):
            yield Binding(*port, "", 0)
        for one in asked:
            host_port = text(one, "HostPort")
            if host_port.isascii() and host_port.isdigit() and 0 < int(host_port[:6]) < 1 << 16:
                yield Binding(*port, _host_ip(text(one, "HostIp")), int(host_port))


def _host_ip(word: str) -> str:
    try:
        return str(ipaddress.ip_address(word)) if word else ""
    except ValueError:
        return ""


def _joined(chosen: list[dict[str, Any]], *, everywhere: bool) -> list[dict[str, Any]]:
    """A port on 0.0.0.0 and on :: is one on all addresses; so is any, if no address was asked for."""
    ports = {text(one, "HostPort"): {text(two, "HostIp") for two in chosen} for one in chosen}
    found = []
    for port, addresses in ports.items():
        if everywhere or {"0.0.0.0", "::"} <= addresses:
            found.append({"HostPort": port, "HostIp": ""})
        else:
            found += [{"HostPort": port, "HostIp": address} for address in sorted(addresses)]
    return found


def _endpoints(entries: dict[str, Any], names: dict[str, str]) -> Iterator[Endpoint]:
    for key, entry in entries.items():
        if not isinstance(entry, dict):
            continue
        name = names.get(text(entry, "NetworkID"), key)
        if NAME.match(name):
            yield Endpoint(
                network=name,
                ipv4=_host_ip(text(entry, "IPAddress")),
                ipv6=_host_ip(text(entry, "GlobalIPv6Address")),
                mac=text(entry, "MacAddress"),
                aliases=tuple(a for a in texts(entry.get("Aliases")) if NAME.match(a)),
                gw_priority=number(entry, "GwPriority"),
            )


def _listens(listing: str) -> dict[int, tuple[Socket, ...]]:
    """By process: the sockets in its namespace that take packets from others."""
    found: dict[int, list[str]] = {}
    lines: list[str] = []
    for line in listing.splitlines():
        if line.startswith("@ ") and line[2:].isdigit():
            lines = found.setdefault(int(line[2:12]), [])
        else:
            lines.append(line)
    return {
        pid: tuple(
            one
            for one in sockets("\n".join(own))
            if not one.address.startswith("127.") and one.address != "::1"
        )
        for pid, own in found.items()
    }
