"""A plan for people (a tree) and for programs (JSON): what would be built, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from netlab.model.family import endpoint
from netlab.model.rules import IptablesRuleset, NftTable
from netlab.view import rich
from netlab.view.lab import remarks

if TYPE_CHECKING:
    from rich.tree import Tree

    from netlab.model.plan import Interface, Listener, Node, Plan, Publication, Resolver
    from netlab.model.rules import Ruleset

#: Version of the JSON document of ``netlab plan --json``.
SCHEMA_VERSION = 1


def tree(plan: Plan) -> Tree:
    """The plan as a tree: networks, published ports, then every node with what it holds."""
    root = rich.Tree(f"[bold]{_safe(plan.name)}[/] [dim]project {_safe(plan.project)}[/]")
    _branch(root, "networks", (_network_line(plan, index) for index in range(len(plan.networks))))
    _branch(root, "published ports", (_publication_line(p) for p in plan.publications))
    _branch(root, "remarks", map(_safe, remarks(plan.silent, plan.unpublished)))
    _branch(root, "left to chance", [f"way {plan.choice} of {plan.choices}"] if plan.choices > 1 else [])
    _branch(root, "notes", (_safe(str(note)) for note in plan.notes))
    for node in plan.nodes:
        _node(root, node, [server for server in plan.resolvers if server.node == node.name])
    return root


def _safe(text: object) -> str:
    return rich.escape(str(text))


def _branch(parent: Tree, title: str, lines: Iterable[str]) -> None:
    lines = list(lines)
    if lines:
        branch = parent.add(f"[bold]{title}[/]")
        for line in lines:
            branch.add(line)


def _because(text: str, reason: str) -> str:
    return f"{_safe(text)}  [dim]{_safe(reason)}[/]" if reason else _safe(text)


def _network_line(plan: Plan, index: int) -> str:
    network = plan.networks[index]
    members = ", ".join(f"{node} {' '.join(addresses)}" for node, _, addresses in network.members)
    kind = " internal" if network.internal else ""
    text = f"{network.key}{kind}: {network.bridge} on {network.host}, {' '.join(network.subnets)}"
    return _because(text, members)


def _publication_line(publication: Publication) -> str:
    where = publication.host
    if publication.host_address:
        where += " " + publication.host_address
    to = f"{publication.node}:{publication.container_port}"
    text = f"{where} port {publication.host_port}/{publication.protocol} -> {to}"
    return _because(text, f"on {publication.network}")


def _node(root: Tree, node: Node, servers: list[Resolver]) -> None:
    engine = f" {node.engine}" if node.kind == "host" else ""
    guest = "" if node.namespace == node.name else f" in the namespace of {node.namespace}"
    branch = root.add(f"[bold cyan]{_safe(node.name)}[/] {node.kind}{engine}{_safe(guest)}")
    _branch(branch, "interfaces", (_interface_line(i) for i in node.interfaces))
    _branch(branch, "routes", (_safe(route.words) for route in node.routes))
    _branch(branch, "sysctls", (_because(f"{s.key} = {s.value}", s.reason) for s in node.sysctls))
    for title, lines in _ruleset_sections(node.rulesets):
        _branch(branch, title, lines)
    _branch(branch, "rules typed by the administrator", (_safe(command.text) for command in node.commands))
    _branch(branch, "listeners", (_listener_line(entry) for entry in node.listeners))
    ports = " ".join(f"{r.port}/{r.protocol}" for r in node.responders)
    _branch(branch, "answers on", [ports] if ports else [])
    _branch(branch, "DNS servers", map(_resolver_line, servers))
    _branch(branch, "runs", [_safe(" ".join(node.command))] if node.command else [])


def _interface_line(interface: Interface) -> str:
    parts = [interface.name, *interface.addresses]
    if interface.mac:
        parts.append(interface.mac)
    if interface.master:
        parts.append(f"port of {interface.master}" + (", hairpin" if interface.hairpin else ""))
    if interface.mtu != 1500:
        parts.append(f"mtu {interface.mtu}")
    return _because(" ".join(parts), interface.reason)


def _listener_line(listener: Listener) -> str:
    address = "*" if listener.v6only is False else listener.address
    text = f"{listener.process} {endpoint(address, listener.port)}/{listener.protocol}"
    if listener.backend:
        text += f" -> {endpoint(listener.backend.address, listener.backend.port)}"
    return _because(text, listener.reason)


def _resolver_line(server: Resolver) -> str:
    ports = f"{server.udp}/udp" + (f" {server.tcp}/tcp" if server.tcp else "")
    text = f"{server.address}, {server.title} on {ports}"
    own = (f"{alias} is {name}" for alias, _, name in server.aliases)
    return _because(text, ", ".join([*(f"of {network}" for network in server.networks), *own]))


def _ruleset_sections(rulesets: Iterable[Ruleset]) -> Iterator[tuple[str, list[str]]]:
    for ruleset in rulesets:
        if isinstance(ruleset, IptablesRuleset):
            for table in ruleset.tables:
                lines = [
                    _because(f"-P {chain.name} {chain.policy}", "")
                    for chain in table.chains
                    if chain.policy == "DROP"
                ]
                lines += [
                    _because(f"-A {chain.name} {rule.text}", rule.reason)
                    for chain in table.chains
                    for rule in chain.rules
                ]
                yield f"{ruleset.family.iptables} {table.name}", lines
        elif isinstance(ruleset, NftTable):
            lines = [
                _because(f"{chain.name}: {rule.text}", rule.reason)
                for chain in ruleset.chains
                for rule in chain.rules
            ]
            yield f"nft table {ruleset.family} {ruleset.name}", lines
        else:
            yield f"nft file {ruleset.origin}", [_safe(line) for line in ruleset.text.splitlines()]


def document(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values, under its fields' names."""
    return {"schema_version": SCHEMA_VERSION, **_value(plan)}


def _value(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _value(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [_value(item) for item in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    return int(value) if isinstance(value, int) else str(value)
