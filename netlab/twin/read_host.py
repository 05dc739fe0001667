"""From a collection to the host that it is of; nothing in it is taken on trust."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from typing import Any

from netlab.model.scenario import JsonValue
from netlab.scenario.addresses import wrong_interface
from netlab.twin.archive import Collection, CollectionError
from netlab.twin.fields import mapping, number, records, text, texts
from netlab.twin.host import PODMAN, BootSetting, FoundRoute, Link, RealHost
from netlab.twin.read_docker import containers, networks
from netlab.twin.read_podman import podman_networks
from netlab.twin.read_sockets import sockets
from netlab.twin.steps import DAEMON_KEYS, FLAGS_FILE, SETTINGS_FILE, VARIABLE

#: what netlab takes of a route's kinds; the kernel makes the others (local, broadcast, anycast, multicast)
_KINDS = ("unicast", "blackhole", "unreachable", "prohibit")
#: two names of one setting
_FORWARDING = ("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding")
#: the ip rules that every host has: priority and table
_EVERY_HOSTS = {(0, "local"), (32766, "main"), (32767, "default")}


def read_host(collection: Collection) -> RealHost:
    """The host; raises CollectionError with the place of what is no output of its command."""
    words = collection.text("uname").split()
    name = words[1] if len(words) > 1 else "host"
    networks_, podmans = tuple(networks(collection)), tuple(podman_networks(collection))
    return RealHost(
        name=name,
        links=tuple(_links(collection)),
        routes=tuple(route for family in (4, 6) for route in _routes(collection, family)),
        policy=tuple(dict.fromkeys(line for family in (4, 6) for line in _policy(collection, family))),
        neighbours=tuple(text(entry, "dst") for entry in records(collection, "neighbours.json")),
        sockets=tuple(sockets(collection.text("sockets"))),
        sysctls=dict(_sysctls(collection)),
        boot_settings=tuple(_boot_settings(collection.text("sysctl-files"))),
        rules={
            tool: collection.text(f"{tool}.rules")
            for program in ("iptables", "ip6tables")
            for tool in (program, f"{program}-legacy", f"{program}-nft")
        },
        nft=collection.text("nft.rules"),
        ipsets=collection.text("ipsets"),
        docker=_version(collection.text("docker-version")),
        podman=_version(collection.text("podman-version")),
        backend=collection.text("docker-backend"),
        settings=_settings(collection),
        environment=dict(_environment(collection.text(FLAGS_FILE))),
        mirrored=collection.text("wslinfo").strip() == "mirrored",
        networks=(*networks_, *podmans),
        containers=(*containers(collection, networks_), *containers(collection, podmans, PODMAN)),
        tools=tuple(_tools(collection)),
        ufw_routed=_ufw_routed(collection.text("ufw")),
        notes=tuple(_notes(collection)),
    )


def _links(collection: Collection) -> Iterator[Link]:
    addresses: dict[str, tuple[str, ...]] = {}
    for entry in records(collection, "addresses.json"):
        addresses[text(entry, "ifname")] = tuple(_addresses(entry))
    for entry in records(collection, "links.json"):
        name = text(entry, "ifname")
        if wrong_interface(name):
            continue
        yield Link(
            name=name,
            index=number(entry, "ifindex"),
            kind=text(mapping(entry, "linkinfo"), "info_kind"),
            up="UP" in texts(entry.get("flags")),
            mtu=number(entry, "mtu"),
            mac=text(entry, "address"),
            master=text(entry, "master"),
            addresses=addresses.get(name, ()),
        )


def _addresses(entry: dict[str, Any]) -> Iterator[str]:
    infos = entry.get("addr_info")
    for info in infos if isinstance(infos, list) else ():
        if not isinstance(info, dict):
            continue
        try:
            own = ipaddress.ip_interface(f"{text(info, 'local')}/{number(info, 'prefixlen')}")
        except ValueError:
            continue
        if not (own.version == 6 and own.ip.is_link_local):
            yield str(own)


def _routes(collection: Collection, family: int) -> Iterator[FoundRoute]:
    for entry in records(collection, f"routes{family}.json"):
        kind = text(entry, "type") or "unicast"
        table = text(entry, "table")
        if kind not in _KINDS or text(entry, "protocol") == "kernel" or table == "local":
            continue
        destination = text(entry, "dst")
        if destination != "default":
            try:
                net = ipaddress.ip_network(destination, strict=False)
            except ValueError:
                continue
            if net.version == 6 and (net.is_link_local or net.is_multicast):
                continue
            destination = str(net)
        yield _route(entry, family, kind, destination, "" if table == "main" else table)


def _route(entry: dict[str, Any], family: int, kind: str, destination: str, table: str) -> FoundRoute:
    via, source = _address(text(entry, "gateway")), _address(text(entry, "prefsrc"))
    interface, metric = text(entry, "dev"), number(entry, "metric")
    if wrong_interface(interface):
        interface = ""
    onlink = "onlink" in texts(entry.get("flags"))
    named = (
        ("via", via), ("dev", interface), ("src", source), ("table", table),
        ("metric", str(metric) if metric else ""),
    )  # fmt: skip
    words = [*([] if kind == "unicast" else [kind]), destination]
    words += [word for key, value in named if value for word in (key, value)]
    if onlink:
        words.append("onlink")
    return FoundRoute(
        family, kind, destination, via, interface, table, metric, onlink, source, " ".join(words)
    )


def _address(word: str) -> str:
    try:
        return str(ipaddress.ip_address(word))
    except ValueError:
        return ""


def _policy(collection: Collection, family: int) -> Iterator[str]:
    """The rules that somebody added, each for ``ip rule add``."""
    for entry in records(collection, f"rules{family}.json"):
        priority, table = number(entry, "priority"), text(entry, "table")
        if (priority, table) in _EVERY_HOSTS:
            continue
        words: list[str] = ["not"] if "not" in entry else []
        for key, length in (("src", "srclen"), ("dst", "dstlen")):
            value = text(entry, key)
            if value and value != "all":
                size = f"/{number(entry, length)}" if length in entry else ""
                words += ["from" if key == "src" else "to", f"{value}{size}"]
        for key in ("fwmark", "iif", "oif", "ipproto", "sport", "dport"):
            if key in entry:
                mask = f"/{entry['fwmask']}" if key == "fwmark" and "fwmask" in entry else ""
                words += [key, f"{entry[key]}{mask}"]
        words += ["table", table] if table else [text(entry, "action") or "unreachable"]
        line = " ".join((*words, "priority", str(priority)))
        if re.fullmatch(r"[A-Za-z0-9 ./:_-]+", line, re.ASCII):
            yield line


def _sysctls(collection: Collection) -> Iterator[tuple[str, str]]:
    for line in collection.text("sysctls").splitlines():
        key, equals, value = line.partition(" = ")
        if equals:
            yield key.strip(), " ".join(value.split())


def _boot_settings(lines: str) -> Iterator[BootSetting]:
    """Lines of files: ``/etc/sysctl.d/x.conf:net.ipv4.ip_forward = 1``, or without the file's name."""
    for line in lines.splitlines():
        left, _, value = line.partition("=")
        file, _, key = left.rpartition(":")
        dotted = key.strip().lstrip("-").replace("/", ".")
        yield BootSetting(file, "net.ipv4.ip_forward" if dotted in _FORWARDING else dotted, value.strip())


def _version(words: str) -> str:
    match = re.match(r"v?(\d{1,2}\.\d{1,2}\.\d{1,2})", words, re.ASCII)
    return match[1] if match else ""


def _settings(collection: Collection) -> dict[str, JsonValue]:
    """Dockerd's settings: those of the file, then those of its command line."""
    found: dict[str, JsonValue] = {}
    written = collection.text(SETTINGS_FILE).strip()
    if written:
        try:
            whole = json.loads(written)
        except (ValueError, RecursionError) as error:
            raise CollectionError(f"{collection.origin}: {SETTINGS_FILE}: {error}") from None
        if isinstance(whole, dict):
            found = {key: value for key, value in whole.items() if key in DAEMON_KEYS}
    for line in collection.text(FLAGS_FILE).splitlines():
        key, _, value = line.partition("=")
        if key not in DAEMON_KEYS:
            continue
        try:
            found[key] = json.loads(value)
        except (ValueError, RecursionError):
            found[key] = value
    return found


def _environment(flags: str) -> Iterator[tuple[str, str]]:
    for line in flags.splitlines():
        key, equals, value = line.partition("=")
        if equals and key == VARIABLE:
            yield key, value


def _tools(collection: Collection) -> Iterator[str]:
    """The firewalls that are at work."""
    if "Status: active" in collection.text("ufw"):
        yield "ufw"
    if collection.text("firewalld-state").strip() == "running":
        yield "firewalld"


def _ufw_routed(status: str) -> str:
    """``Default: deny (incoming), allow (outgoing), deny (routed)`` → deny."""
    match = re.search(r"\b([a-z]+) \(routed\)", status) if "Status: active" in status else None
    return match[1] if match else ""


def _notes(collection: Collection) -> Iterator[str]:
    absent = collection.absent
    if absent:
        yield f"not on the host: {', '.join(absent)}"
    for file, what in (
        ("iptables.rules", "the rules of iptables"),
        ("links.json", "links (an iproute2 with -j is needed)"),
        ("docker-containers.json", "Docker's containers"),
    ):
        if collection.failed(file):
            yield f"the host did not say: {what}; was it collected as root?"
