"""The listening sockets of a lab's nodes, with their owners and their purpose."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netlab.model.errors import LabError

if TYPE_CHECKING:
    from netlab.lab.client.client import Client
    from netlab.model.plan import Plan


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds a socket; ``pid`` is its PID in the lab's PID namespace."""

    pid: int
    name: str


@dataclass(frozen=True, slots=True)
class Listening:
    """A listening socket. ``reason`` says what it is for; None if the plan does not know it.

    ::

        published = [socket for socket in lab.sockets("host") if socket.reason is not None]
        print(published[0].address, published[0].port, published[0].processes[0].name)
    """

    node: str
    protocol: str
    address: str
    port: int
    processes: tuple[Holder, ...]
    reason: str | None


def sockets(client: Client, node: str | None = None) -> list[Listening]:
    """Every listening socket of the lab, or of one node's namespace, in the order of the plan."""
    plan = client.plan
    wanted = [n.name for n in plan.nodes if n.namespace == n.name and n.kind != "segment"]
    if node is not None:
        wanted = [plan.node(node).namespace]
    with tempfile.TemporaryFile() as output, open("/dev/null", "rb") as null:
        stdio = (null.fileno(), output.fileno(), 2)
        with client.start_module("netlab.lab.node.socket_list", nodes=wanted, stdio=stdio) as process:
            code = process.wait()
        output.seek(0)
        if code != 0:
            raise LabError(f"listing the sockets of {client.name} failed")
        found, owners = json.load(output)
    return [
        Listening(
            name,
            protocol,
            address,
            port,
            tuple(Holder(pid, comm) for pid, comm in owners.get(str(inode), [])),
            _reason(plan, name, protocol, address, port),
        )
        for name, protocol, address, port, inode in found
    ]


def _reason(plan: Plan, namespace: str, protocol: str, address: str, port: int) -> str | None:
    """The purpose of a socket; None if the plan does not know it."""
    for server in plan.resolvers:
        if (server.node, server.address) == (namespace, address) and port in (server.udp, server.tcp):
            return server.title
    for node in plan.nodes:
        if node.namespace != namespace:
            continue
        for listener in node.listeners:
            if (listener.protocol, listener.port, listener.address) == (protocol, port, address):
                return listener.reason
        for responder in node.responders:
            if (responder.protocol, responder.port) == (protocol, port):
                return f"the built-in answer of {responder.service}"
        if node.command:
            return f"the command of {node.name}"
    return None
