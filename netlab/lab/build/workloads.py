"""What runs in the nodes of a plan: responders, programs and proxies, as messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlab.lab import codec

if TYPE_CHECKING:
    from netlab.model.plan import Node, Plan


def responders_of(plan: Plan) -> list[Any]:
    """What the responder answers: (node that owns the namespace, [(protocol, port, node, service)])."""
    found: dict[str, list[Any]] = {}
    for node in plan.nodes:
        if node.command:
            continue  # a real program replaces the responder
        ports = [(r.protocol + "/routed" * r.routed, r.port, node.name, r.service) for r in node.responders]
        if ports:
            found.setdefault(node.namespace, []).extend(ports)
    for server in plan.resolvers:
        for protocol, port in (("udp", server.udp), ("tcp", server.tcp)):
            kind = f"dns/{protocol}/{server.address}"
            if port:
                found.setdefault(server.node, []).append((kind, port, server.node, "DNS"))
    return list(found.items())


def command_of(plan: Plan, node: Node) -> dict[str, Any]:
    """A node's program; its ports are those to which other parts of the plan send clients."""
    published = {p.container_port for p in plan.publications if p.node == node.name and p.protocol == "tcp"}
    answered = {r.port for r in node.responders if r.protocol == "tcp"}
    etc = {"hosts": node.hosts_file, "resolv.conf": node.resolv_conf, "hostname": node.etc_hostname}
    return {
        "node": node.name,
        "argv": list(node.command),
        "hostname": node.hostname or node.name,
        "etc": {name: content for name, content in etc.items() if content.strip()},
        "ports": sorted(published | answered),
        "rights": codec.encode(node.rights),
    }


def proxies_of(node: Node) -> dict[str, Any]:
    """The listeners of a host's proxies and the networks of its rootless containers, as a message."""
    return {
        "node": node.name,
        "mode": node.proxy,
        "listeners": codec.encode(node.listeners),
        "user_networks": codec.encode(node.user_networks),
    }
