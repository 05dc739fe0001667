"""Which networks exist, and which services are on them.

Services name networks under ``networks``, or by their Docker name in ``network_mode``. What netlab cannot
reproduce is an error; with ``lenient``, it is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from netlab.model.problem import Position
from netlab.model.scenario import Attachment, ComposeNetwork, ExposedPort
from netlab.scenario.derive import with_subnets
from netlab.scenario.networks import PREDEFINED, docker_name, is_external, predefined, read_network
from netlab.scenario.services import MODES, SHARES, USER_MODES, Draft, attachment_mark
from netlab.scenario.tree import Report, Value, hint, shown

Drafts = tuple[Draft, ...]
ALIAS = "network-scoped alias is supported only for containers in user defined networks"


@dataclass(frozen=True, slots=True)
class Declared:
    """What the file says about networks."""

    written: Value  #: ``networks``
    facts: Value  #: ``x-netlab.networks``
    project: str
    services: tuple[str, int, int]  #: the position of ``services``: that of the implied default network
    there: frozenset[str] = frozenset()  #: Docker's names of networks that other projects of the lab make
    podman: Mapping[str, bool] = field(default_factory=dict)  #: hosts of Podman alone: whether it is rootless

    def name(self, key: str) -> str:
        """What Docker calls the network of that key."""
        return docker_name(self.project, key, self.written.get(key))

    def named(self, name: str) -> str | None:
        """The key of the network that Docker calls so; None if the file declares none."""
        keys = [key for key, _ in self.written.pairs()]
        return next((key for key in (*keys, "default") if self.name(key) == name), None)


def attach(
    declared: Declared, drafts: Drafts, named: set[str], report: Report
) -> tuple[tuple[ComposeNetwork, ...], Drafts]:
    """The networks that services use or events name (``named``), and the services on what can be made."""
    own = {key: mode for key, value in declared.written.pairs() if (mode := predefined(value, key))}
    drafts = tuple(_not_predefined(draft, own, report) for draft in drafts)
    listed = {attachment.network for draft in drafts for attachment in draft.service.networks}
    implied: dict[str, Position] = {}
    drafts = tuple(_by_name(draft, declared, listed, implied, report) for draft in drafts)
    used = {attachment.network for draft in drafts for attachment in draft.service.networks}
    found: list[ComposeNetwork] = []
    left_out: set[str] = set()
    for key, value in declared.written.pairs():
        if key in used or key in named or declared.name(key) in named:
            at, facts = declared.written.key_at(key), declared.facts.get(key)
            network = read_network(key, value, at, declared.project, facts, report)
            if network is None:
                left_out.add(key)
            else:
                found.append(network)
    if "default" in used and "default" not in declared.written.map:
        made = read_network("default", None, declared.services, declared.project, None, report)
        found += [made] if made is not None else []
    for name, position in implied.items():
        found.append(_external(name, position, declared, report))
    _facts_apply(declared, used, implied, {network.key for network in found if network.external}, report)
    drafts = tuple(_without(draft, left_out) for draft in drafts)
    described = [network for network in found if network.name not in declared.there]
    known = {network.key: network for network in with_subnets(tuple(described), drafts, report)}
    return tuple(known.get(network.key, network) for network in found), drafts


def _external(name: str, position: Position, declared: Declared, report: Report) -> ComposeNetwork:
    """A network that only ``network_mode`` names."""
    at = (position.file, position.line, position.column)
    value = Value({"external": Value(True, at)}, at)
    network = read_network(name, value, at, declared.project, declared.facts.get(name), report)
    assert network is not None
    return network


def _facts_apply(
    declared: Declared, used: set[str], implied: Iterable[str], external: set[str], report: Report
) -> None:
    """``x-netlab.networks`` is about external networks that there are."""
    known = [*declared.written.map, *implied]
    for key, _ in declared.facts.pairs():
        at = declared.facts.key_at(key)
        if key not in known:
            report.add(at, f"x-netlab.networks: there is no network {shown(key)}{hint(key, known)}")
        elif key in used and key not in external:
            report.add(at, f"x-netlab.networks: {key} is not external: put this under networks.{key}")
        elif (name := declared.name(key) if key in declared.written.map else key) in declared.there:
            report.warn(
                at, f"x-netlab.networks: another project of this lab makes {name}, so this has no effect"
            )


def _not_predefined(draft: Draft, own: Mapping[str, str], report: Report) -> Draft:
    """The service; one on Docker's own networks is refused: Compose gives each endpoint an alias."""
    service = draft.service
    keys = [attachment.network for attachment in service.networks if attachment.network in own]
    for key in keys:
        reason = f'{ALIAS}; write "network_mode: {own[key]}"'
        report.refuse(attachment_mark(draft, key), f"services.{service.name}", reason)
    return _alone(draft, "none") if keys else draft


def _by_name(
    draft: Draft, declared: Declared, listed: set[str], implied: dict[str, Position], report: Report
) -> Draft:
    """Put a service whose ``network_mode`` names a network on that network, without an alias of its own.

    Compose creates only networks that are ``listed`` under the ``networks`` of some service. A network that
    the file does not declare must already exist; it is added to ``implied``.
    """
    service, written = draft.service, draft.source.get("network_mode")
    name = service.network_mode
    if name is None or name in MODES or ":" in name or written is None:
        return draft
    where, reason = f"services.{service.name}", f"network {name} not found"
    if name in USER_MODES and service.host in declared.podman:
        if not declared.podman[service.host]:
            wrong = f"{name} is a network of rootless Podman: write x-netlab.host.rootless: true"
            report.add(written.at, f"{where}: {wrong}")
        return draft
    key = declared.named(name)
    declares = declared.written.get(name)
    if key is not None and (key in listed or is_external(declared.written.get(key))):
        return replace(draft, service=replace(service, networks=(Attachment(key),)))
    if key is not None:
        reason += f"; no service is on networks.{key}, so Compose does not make it"
    elif declares is not None or name in listed:
        reason += f'; networks.{name} is "{declared.name(name)}" to Docker, or write networks: [{name}]'
    elif name.lower() in (*PREDEFINED, "default"):
        reason += f' (did you mean "{name.lower()}"?)'
    else:
        more = hint(name, (*MODES, *map(declared.name, declared.written.map)))
        if name not in declared.facts.map and name not in declared.there:
            report.warn(
                written.at,
                f"{where}: no network of the file is called {shown(name)}{more},"
                " so one is made as docker network create would",
            )
        implied.setdefault(name, written.position)
        return replace(draft, service=replace(service, networks=(Attachment(name),)))
    report.refuse(written.at, where, reason)
    return _alone(draft, "none")


def _without(draft: Draft, left_out: set[str]) -> Draft:
    """The service without networks that are not made; on no other, it is on none."""
    networks = draft.service.networks
    kept = tuple(attachment for attachment in networks if attachment.network not in left_out)
    if len(kept) == len(networks):
        return draft
    return replace(draft, service=replace(draft.service, networks=kept)) if kept else _alone(draft, "none")


def _alone(draft: Draft, mode: str) -> Draft:
    """The service in a mode in which Docker publishes nothing; its program still listens on its ports."""
    service = draft.service
    ports = [ExposedPort(port.container_port, port.protocol) for port in service.ports]
    expose = tuple(dict.fromkeys((*service.expose, *ports)))
    discarded = (*service.discarded, *service.ports)
    plain = replace(service, network_mode=mode, networks=(), ports=(), discarded=discarded, expose=expose)
    return replace(draft, service=plain, ports=())


def container_names(drafts: Iterable[Draft]) -> frozenset[str]:
    """What ``docker ps`` would show: container_name, or PROJECT-SERVICE-N."""
    return frozenset(name for draft in drafts for name in names_of_containers(draft))


def names_of_containers(draft: Draft) -> list[str]:
    """The names of one service's containers."""
    service = draft.service
    if service.container_name is not None:
        return [service.container_name]
    return [f"{service.project}-{service.compose_name}-{n}" for n in range(1, service.replicas + 1)]


def with_containers(drafts: Drafts, neighbours: frozenset[str], report: Report) -> Drafts:
    """The services, those without a network that share one with a container that is not in the lab.

    ``neighbours``: the names of other projects' containers.
    """
    known = container_names(drafts) | neighbours
    services = {draft.service.name for draft in drafts}
    return tuple(_with_container(draft, known, services, report) for draft in drafts)


def _with_container(draft: Draft, known: frozenset[str], services: set[str], report: Report) -> Draft:
    where = f"services.{draft.service.name}"
    for relation, target, mark in draft.containers:
        if target in known:
            continue
        who = f"{where} {relation} the container {shown(target)}, which is not in the lab"
        if relation == SHARES and target in services:
            report.add(mark, f'{who}; write "service:{target}"')
        elif relation == SHARES:
            report.unsupported(mark, f"{who}{hint(target, known)}")
            draft = _alone(draft, "none")
        elif draft.service.network_mode == "bridge":
            report.refuse(mark, where, f"could not get container for {target}: No such container: {target}")
        else:
            more = f"; write links: [{target}]" if target in services else hint(target, known)
            report.warn(mark, f"{who}{more}: nothing answers to that name")
    return draft
