"""Measure in a running lab: a session that runs as a process of the lab and takes requests."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from netlab.journey.matrix import Column, Selection, matrix, question, replicas
from netlab.journey.topology import topology_of
from netlab.lab.client.per_process import PerProcess
from netlab.measure.watch import RemoteWatch
from netlab.measure.worker import ProxyEnds, RemoteSession

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlab.lab.client.client import Client
    from netlab.lab.client.process import Process
    from netlab.measure.harvest import Pairs

_WORKER = "netlab.measure.worker"
_WATCHER = "netlab.measure.watch"


def measuring(client: Client) -> RemoteSession:
    """The instrument in every host of a lab, until the session is closed.

    The worker runs inside the lab, where the namespaces are, so it needs no root and ends with the lab.
    Raises LabError if the lab is gone, MachineError if the kernel has no tracing.
    """
    ours, process = _start(client, _WORKER)
    try:
        return RemoteSession(ours, topology_of(client.plan), pairs=_pairs_of(client), ended=process.close)
    except BaseException:
        process.close()
        ours.close()
        raise


@contextlib.contextmanager
def watching(client: Client, *, packets: bool = False) -> Iterator[RemoteWatch]:
    """Journeys of all traffic in the lab, as they finish; ``packets``: together with their packets."""
    ours, process = _start(client, _WATCHER)
    with process, contextlib.closing(ours):
        watch = RemoteWatch(ours, topology_of(client.plan), _pairs_of(client), packets=packets)
        with contextlib.closing(watch):
            yield watch


def _start(client: Client, module: str) -> tuple[socket.socket, Process]:
    """A worker that has every namespace of the lab, and a socket to it."""
    ours, theirs = socket.socketpair()
    with theirs:
        nodes = [node.name for node in client.plan.nodes if node.namespace == node.name]
        return ours, client.start_module(module, nodes=nodes, fds=[theirs.fileno()])


def _pairs_of(client: Client) -> Pairs:
    def pairs(node: str, since: int) -> Sequence[ProxyEnds]:
        found, _ = client.pairs(node, since)
        return [ProxyEnds.of(*pair) for _, *pair in found]

    return pairs


class Instrument:
    """The session of a lab: opened at the first use, kept open, and lent to one thread at a time.

    A forked child gets a session of its own.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._own = PerProcess(_Own)

    @contextlib.contextmanager
    def held(self) -> Iterator[RemoteSession]:
        """The session, exclusively for the caller; raises what :func:`measuring` raises."""
        own = self._own()
        with own.lock:
            if own.session is None:
                own.session = measuring(self._client)
            try:
                yield own.session
            except BaseException:
                # It may have been interrupted in the middle of a conversation: the next call opens a new one.
                own.close()
                raise

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """No measurement during the block, which may change the lab; after it, with a new session."""
        own = self._own()
        with own.lock:
            own.close()
            yield

    def close(self) -> None:
        """End this process's session once it is unused; idempotent."""
        with self.suspended():
            pass


class _Own:
    """One process's session, and the lock on it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.session: RemoteSession | None = None

    def close(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            session.close()


@contextlib.contextmanager
def lent(client: Client, session: RemoteSession | None) -> Iterator[RemoteSession]:
    """The caller's session, or one for this once."""
    if session is not None:
        yield session
        return
    with measuring(client) as own:
        yield own


def measure_matrix(
    client: Client,
    label: str = "",
    *,
    session: RemoteSession | None = None,
    selection: Selection | None = None,
) -> Column:
    """The matrix of a running lab, in the caller's session if there is one."""
    cells = matrix(client.plan, selection)
    folded = () if selection is None or selection.every_replica else tuple(replicas(client.plan))
    with lent(client, session) as using:
        journeys = using.measure([cell.flow for cell in cells])
    return Column(
        label,
        {question(c): (c, j) for c, j in zip(cells, journeys, strict=True)},
        replicas=folded,
        silent=client.plan.silent,
        unpublished=client.plan.unpublished,
    )
