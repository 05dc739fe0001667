"""What each engine is: its versions, its settings, what it leaves on a host, and how it was checked.

Settings and effects are read from the engines themselves. The recordings are those of
``tests/data/captures``, which a test counts; ``beside`` is what the page of conformance shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netlab.engine import registry
from netlab.engine.contract import Engine, HostFacts
from netlab.engine.docker.about import settings as docker_settings
from netlab.engine.podman.about import settings as podman_settings
from netlab.engine.refusal import Refused
from netlab.model import engine_names
from netlab.model.engine_about import EngineAbout, Recorded
from netlab.model.event import ContainerSpec, ContainerStart, EndpointSpec, NetworkCreate, NetworkSpec
from netlab.model.identifiers import digest
from netlab.model.problem import Position
from netlab.model.rules import IptablesRuleset
from netlab.model.scenario import Host, Pool, PortMapping
from netlab.model.version import ENGINES, NEWEST, EngineVersion, engine_version


def _recorded(*made: tuple[str, int, int]) -> tuple[Recorded, ...]:
    return tuple(
        Recorded(version=version, configurations=number, flows=flows) for version, number, flows in made
    )


#: engine → (version, configurations, flows) of tests/data/captures
RECORDED = {
    "docker-19.03": _recorded(("19.03.15", 11, 401)),
    "docker-20.10": _recorded(("20.10.24", 11, 401)),
    "docker-23": _recorded(("23.0.18", 10, 367)),
    "docker-24": _recorded(("24.0.9", 11, 401)),
    "docker-25": _recorded(("25.0.6", 10, 367)),
    "docker-26": _recorded(("26.1.5", 11, 401)),
    "docker-27": _recorded(("27.5.1", 11, 401)),
    "docker-28.0": _recorded(("28.0.0", 8, 327), ("28.0.1", 10, 367), ("28.1.1", 10, 367)),
    "docker-28": _recorded(("28.5.2", 11, 401)),
    "docker-29": _recorded(("29.0.0", 10, 367), ("29-iptables", 11, 401)),
    "docker-29-nftables": _recorded(("29-nftables", 11, 367)),
    "podman-4": _recorded(("4.3.1", 11, 453)),
    "podman-5-iptables": _recorded(("5.4.2-iptables", 11, 453)),
    "podman-5-nftables": _recorded(("5.4.2-nftables", 11, 453)),
}
#: engine → versions beside which `nox -s conformance` runs it
BESIDE = {
    "docker-20.10": ("20.10.24",),
    "docker-26": ("26.1.5",),
    "docker-28": ("28.5.2",),
    "podman-4": ("4.3.1",),
}
_PODMAN_VERSIONS = {
    "podman-4": "Podman 4.3.1 with netavark 1.4.0, as root",
    "podman-5-iptables": "Podman 5.4.2 and 5.8.6 (netavark 1.14.0, 1.17.2), driver iptables, as root",
    "podman-5-nftables": "Podman 5.4.2 and 5.8.6 (netavark 1.14.0, 1.17.2), driver nftables, as root",
}
_ALSO = {NEWEST: "docker", engine_names.NEWEST_PODMAN: "podman"}


def known() -> tuple[EngineAbout, ...]:
    """Every engine that has a name of its own: Docker's, oldest first, Podman's, then those of packages.

    Raises :class:`UsageError` for an installed engine that cannot be imported.
    """
    return tuple(about_engine(name) for name in (*ENGINES, *engine_names.PODMAN, *engine_names.added()))


def about_engine(name: str) -> EngineAbout:
    """One engine; raises :class:`UsageError` for a name that none has."""
    engine = registry.get(name)
    if engine_names.is_docker(name):
        found = engine_version(name)
        return EngineAbout(
            name=engine.name,
            versions=_docker_versions(found),
            file="daemon.json",
            settings=docker_settings(found),
            leaves=tuple(_leaves(engine)),
            recorded=RECORDED.get(engine.name, ()),
            beside=BESIDE.get(engine.name, ()),
            also=_ALSO.get(engine.name, ""),
        )
    if engine_names.is_podman(name):
        return EngineAbout(
            name=engine.name,
            versions=_PODMAN_VERSIONS[engine.name],
            file="containers.conf",
            settings=podman_settings(engine.name),
            leaves=tuple(_leaves(engine)),
            recorded=RECORDED[engine.name],
            beside=BESIDE.get(engine.name, ()),
            also=_ALSO.get(engine.name, ""),
        )
    return EngineAbout(name=engine.name, versions="added by another package; netlab has not checked it")


def _docker_versions(found: EngineVersion) -> str:
    """Which versions a name stands for. If the name is a single version, that one."""
    of = found.generation
    backend = "nftables" if found.nftables else "iptables"
    if found.name not in ENGINES:
        return found.unmeasured or f"Docker {found.version}, firewall backend {backend}"
    first = f"{of.first} to " if of.first != of.newest else ""
    return f"Docker {first}{of.newest}, firewall backend {backend}"


#: The container whose traces are shown: it publishes one port on a network of its own.
_ID = digest("about")
_NETWORK = NetworkSpec("nw", _ID, pools=(Pool("192.0.2.0/24"),), label="nw")
_CONTAINER = ContainerSpec(
    node="web",
    name="web",
    id=_ID,
    network_mode="nw",
    endpoints=(EndpointSpec("nw"),),
    ports=(PortMapping(80, "tcp", (8080, 8080)),),
)


def _leaves(engine: Engine[Any]) -> Iterator[tuple[str, str]]:
    """What an engine leaves on a host that had nothing."""
    try:
        state = engine.start(Host("host", Position("", 1, 1)))
        for event in (NetworkCreate(_NETWORK), ContainerStart(_CONTAINER)):
            state = engine.step(state, event)
    except Refused as refused:  # an installed engine may know no such container
        yield "a container with a published port", f"refused: {refused.reason}"
        return
    yield from _described(engine.describe(state))


def _described(facts: HostFacts) -> Iterator[tuple[str, str]]:
    for ruleset in facts.rulesets:
        if isinstance(ruleset, IptablesRuleset):
            chains = ((table.name, chain) for table in ruleset.tables for chain in table.chains)
            policy = next((c.policy for table, c in chains if (table, c.name) == _FORWARD), "")
            if policy:
                yield f"policy of FORWARD in {ruleset.family.iptables}", policy
        else:
            yield "native table", f"{ruleset.family} {ruleset.name}"
    for sysctl in facts.sysctls:
        if sysctl.key in _FORWARDING:
            yield sysctl.key, sysctl.value
    for listener in facts.listeners:
        does = "answers for the container" if listener.backend else "holds the port and never answers"
        yield f"{listener.address}, port {listener.port}", f"{listener.process} {does}"
    if not facts.listeners:
        yield "a process that holds the port", "none"
    for resolver in facts.resolvers:
        yield "DNS", f"{resolver.title} at {resolver.address} of {resolver.node}"


_FORWARD = ("filter", "FORWARD")
_FORWARDING = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")
