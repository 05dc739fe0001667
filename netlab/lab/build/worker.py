"""The child process that applies a plan and exits, so that its imports and memory do not stay.

What it leaves: network namespaces as bind mounts in the supervisor's private tmpfs (``netns/NODE``), what
each node's /etc says (``etc.json``), and for the supervisor what it must start itself.
"""

from __future__ import annotations

import gc
import os
import time
from typing import TYPE_CHECKING

from netlab.kernel.channel import Channel, Disconnected
from netlab.lab import codec, state
from netlab.lab.build.apply import apply
from netlab.lab.build.namespaces import bind_namespace
from netlab.lab.build.workloads import command_of, proxies_of, responders_of
from netlab.lab.node import process
from netlab.lab.services import dns
from netlab.model.error_messages import to_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.model.plan import Plan


def main(reports: Channel) -> int:
    """Wait for a plan and apply it; the exit code of the child.

    Slow imports happen before the plan arrives, while the owner is still reading the scenario.
    """
    gc.disable()  # all that there will be is needed until the end
    try:
        reports.send({"event": "warm"})
        message, (plan, *history) = reports.receive()
    except Disconnected:
        return 0
    log = os.open(f"{message['path']}/log", os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 2)
    os.close(log)
    return build_lab(plan, message["path"], reports, history)


def build_lab(plan_fd: int, path: str, reports: Channel, history: Sequence[int] = ()) -> int:
    """Apply the plan in ``plan_fd`` and tell the supervisor; the exit code of the child.

    ``history`` has the file with the lab's history, if there is one, which is stored beside the plan.
    """
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
        reports.send({"event": "error", **to_message(error)})
    return 0


def _build(plan: Plan, private: str, reports: Channel) -> None:
    began = time.monotonic()
    reports.send({"event": "progress", "doing": f"building {len(plan.nodes)} nodes"})
    applied = apply(plan, private)
    for node in plan.nodes:
        bind_namespace(private, node.name, applied.namespaces[node.namespace])
    process.keep_etc(private, plan)
    dns.keep(private, plan)
    if any(node.commands for node in plan.nodes):
        reports.send({"event": "progress", "doing": "running the scenario's rules"})
        applied.run_commands()
    reports.send(
        {
            "event": "built",
            "names": [node.name for node in plan.nodes if node.kind != "segment"],
            "responders": responders_of(plan),
            "proxies": [proxies_of(node) for node in plan.nodes if node.listeners or node.user_networks],
            "commands": [command_of(plan, node) for node in plan.nodes if node.command],
            "seconds": round(time.monotonic() - began, 6),
        }
    )
