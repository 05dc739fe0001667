"""The scenario of a real host: Compose for what Docker made, ``x-netlab`` for everything else.

::

    RealHost ── draft ──▶ Draft ── with_rules ──▶ folder
                            │                       ▲
                            └─ plan: what the engine would have written
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from netlab.model.version import Version
from netlab.twin.host import RealHost
from netlab.twin.read_docker import NAME
from netlab.twin.twin_docker import compose_of, daemon_of, engine_of
from netlab.twin.twin_network import network_of
from netlab.twin.twin_podman import podman_part
from netlab.twin.yaml_text import yaml_text

SCENARIO = "netlab.yaml"
NOTES = "NOTES.txt"
#: where the rules as found are, and those of them that are not the engine's
FOUND = "found"
OWN = "own"
#: the first version of Docker that reads the variable of its environment
_VARIABLE_SINCE = Version(28, 0, 2)


@dataclass(frozen=True, slots=True)
class Draft:
    """A scenario without its rules: the document, and what could not be taken along."""

    host: RealHost
    document: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a twin: texts by key (iptables, ip6tables, nftables), and settings as found."""

    found: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)
    sysctls: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def draft(host: RealHost) -> Draft:
    """The scenario of a host as far as it has nothing to do with rules."""
    notes: list[str] = list(host.notes)
    host, podman = podman_part(host, notes)
    services, networks, extra, events = compose_of(host, notes)
    inside: dict[str, Any]
    if podman and not host.docker:
        inside = {"engine": podman}
    else:
        docker = engine_of(host, notes)
        inside = {"engines": [docker, podman]} if podman else {"engine": docker}
        inside["daemon"] = daemon_of(host, notes)
    if host.environment and host.docker and Version.parse(host.docker) >= _VARIABLE_SINCE:
        inside["environment"] = dict(host.environment)
    if host.mirrored:
        inside["wsl2"] = "mirrored"
    own, outside = network_of(host, notes)
    netlab: dict[str, Any] = {"host": {**inside, **own}, "outside": outside}
    if any(route.destination == "default" for route in host.routes):
        netlab["internet"] = True
    if extra:
        netlab["services"] = extra
    if events:
        netlab["events"] = events
    document: dict[str, Any] = {"services": services}
    if networks:
        document["networks"] = networks
    return Draft(host, {**document, "x-netlab": netlab}, tuple(dict.fromkeys(notes)))


def folder(drafted: Draft, rules: Rules | None = None) -> dict[str, str]:
    """The files of the scenario's folder by their names; without rules, what the engine would write."""
    document = dict(drafted.document)
    netlab = dict(document["x-netlab"])
    host = dict(netlab["host"])
    files: dict[str, str] = {}
    if rules is not None:
        host["firewall"] = _named(rules.own, OWN, files) or "none"
        found: dict[str, Any] = _named(rules.found, FOUND, files)
        if rules.sysctls:
            found["sysctls"] = dict(rules.sysctls)
        if found:
            host["found"] = found
    netlab["host"] = host
    document["x-netlab"] = netlab
    notes = (*drafted.notes, *(rules.notes if rules is not None else ()))
    files[SCENARIO] = _head(drafted.host, notes) + yaml_text(document)
    files[NOTES] = "".join(f"- {note}\n" for note in notes) or "Everything was taken along.\n"
    return files


def _named(texts: Mapping[str, str], where: str, files: dict[str, str]) -> dict[str, str]:
    names = {}
    for key, text in texts.items():
        names[key] = f"{where}/{key}.rules"
        files[names[key]] = text
    return names


def _head(host: RealHost, notes: tuple[str, ...]) -> str:
    name = host.name if NAME.match(host.name) else "a host"
    said = f"{NOTES} says what it lacks" if notes else "nothing was left out"
    return (
        f"# A twin of {name}, made by netlab twin: {said}.\n"
        f"# Rules are loaded as they were found ({FOUND}/). With another --engine, --firewall or\n"
        f"# --daemon, the engine writes its own beside those of {OWN}/.\n"
    )
