"""The child of the supervisor that applies the plan: it has all the memory and all the imports, and ends.

What it leaves: network namespaces as bind mounts in the supervisor's private tmpfs (``netns/NODE``), what
each node's /etc says (``etc.json``), and for the supervisor what it must start itself.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from netlab.kernel import libc
from netlab.lab import codec, dns, sandbox, state
from netlab.lab.wire import Channel, Disconnected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.model.plan import Node, Plan


def main(reports: Channel) -> int:
    """Wait for a plan and apply it; the exit code of the child.

    Whatever is slow to import is imported before the plan is there, beside the owner, who is still reading
    the scenario.
    """
    import gc

    import netlab.lab.apply
    import netlab.plan.render  # noqa: F401

    gc.disable()  # all that there will be is needed until the end
    codec.warm_up()
    try:
        reports.send({"event": "warm"})
        message, (plan, *history) = reports.receive()
    except Disconnected:
        return 0
    log = os.open(f"{message['path']}/log", os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 2)
    os.close(log)
    return build(plan, message["path"], reports, history)


def build(plan_fd: int, path: str, reports: Channel, history: Sequence[int] = ()) -> int:
    """Apply the plan in ``plan_fd`` and tell the supervisor; the exit code of the child.

    ``history`` holds, if anything, the file of the lab's history, which is kept beside the plan.
    """
    from netlab.lab.supervisor import describe

    try:
        with open(plan_fd, "rb") as file:
            text = file.read()
        state.put(f"{path}/plan.json", text)
        plan = codec.loads(text)
        del text
        for fd in history:
            with open(fd, "rb") as file:
                state.put(f"{path}/{state.HISTORY}", file.read())
        _build(plan, f"{path}/private", reports)
    except Disconnected:
        return 1
    except BaseException as error:
        reports.send({"event": "error", **describe(error)})
    return 0


def _build(plan: Plan, private: str, reports: Channel) -> None:
    from netlab.lab.apply import apply

    began = time.monotonic()
    reports.send({"event": "progress", "doing": f"building {len(plan.nodes)} nodes"})
    applied = apply(plan, private)
    for node in plan.nodes:
        name(private, node.name, applied.namespaces[node.namespace])
    sandbox.keep_etc(private, plan)
    dns.keep(private, plan)
    if any(node.commands for node in plan.nodes):
        reports.send({"event": "progress", "doing": "running the scenario's rules"})
        applied.run_commands()
    reports.send(
        {
            "event": "built",
            "names": [node.name for node in plan.nodes if node.kind != "segment"],
            "responders": responders_of(plan),
            "proxies": [_proxies(node) for node in plan.nodes if node.listeners],
            "commands": [command_of(plan, node) for node in plan.nodes if node.command],
            "seconds": round(time.monotonic() - began, 6),
        }
    )


def name(private: str, node: str, namespace: int) -> None:
    """Make a namespace known by its node's name, to everybody in the supervisor's mount namespace."""
    path = f"{private}/netns/{node}"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o444))
    libc.mount(f"/proc/self/fd/{namespace}", path, "", libc.MS_BIND)


def responders_of(plan: Plan) -> list[Any]:
    """What the responder is to answer: (node that owns the namespace, [(protocol, port, node, service)])."""
    found: dict[str, list[Any]] = {}
    for node in plan.nodes:
        if node.command:
            continue  # a real program stands in the responder's place
        ports = [(r.protocol, r.port, node.name, r.service) for r in node.responders]
        if ports:
            found.setdefault(node.namespace, []).extend(ports)
    for server in plan.resolvers:
        for protocol, port in (("dns/udp", server.udp), ("dns/tcp", server.tcp)):
            found.setdefault(server.node, []).append((protocol, port, server.node, "DNS"))
    return list(found.items())


def command_of(plan: Plan, node: Node) -> dict[str, Any]:
    """A node's program; its ports are those that something else sends clients to."""
    published = {p.container_port for p in plan.publications if p.node == node.name and p.protocol == "tcp"}
    answered = {r.port for r in node.responders if r.protocol == "tcp"}
    etc = {"hosts": node.hosts_file, "resolv.conf": node.resolv_conf, "hostname": node.hostname + "\n"}
    return {
        "node": node.name,
        "argv": list(node.command),
        "hostname": node.hostname or node.name,
        "etc": {name: content for name, content in etc.items() if content.strip()},
        "ports": sorted(published | answered),
    }


def _proxies(node: Node) -> dict[str, Any]:
    return {"node": node.name, "mode": node.proxy, "listeners": codec.encode(node.listeners)}
