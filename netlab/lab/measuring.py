"""Measuring in a standing lab: a session that runs as a process of the lab, and is asked from here."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from netlab.journey.facts import facts_of
from netlab.measure.worker import Pair, RemoteSession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.lab.client import Client

_WORKER = "netlab.measure.worker"


def measuring(client: Client) -> RemoteSession:
    """The instrument in every host of a lab, until the session is closed.

    The worker is where the namespaces are: rootless labs need nothing more, and it ends with the lab. Raises
    LabError if the lab is gone, MachineError where the kernel has no tracing.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        nodes = [node.name for node in client.plan.nodes if node.namespace == node.name]
        process = client.start_module(_WORKER, nodes=nodes, fds=[theirs.fileno()])

    def pairs(node: str, since: int) -> Sequence[Pair]:
        found, _ = client.pairs(node, since)
        return [Pair.of(*pair) for _, *pair in found]

    try:
        return RemoteSession(ours, facts_of(client.plan), pairs=pairs, ended=process.close)
    except BaseException:
        process.close()
        ours.close()
        raise
