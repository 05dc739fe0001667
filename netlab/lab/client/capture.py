"""Capture packets in a running lab: start and stop a capture process there."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING

from netlab.kernel.channel import Channel
from netlab.lab.client.nodes import resolve
from netlab.lab.output_file import open_output
from netlab.model.errors import LabError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO

    from netlab.lab.client.client import Client
    from netlab.model.plan import Plan

#: A node's namespace, and one interface or all of them.
Source = tuple[str, str | None]


class Capturing:
    """Captures the packets of some interfaces to a pcapng file, from the constructor until :meth:`stop`.

    ``output`` is an open file; the caller closes it. It gets everything that the nodes send or receive
    between the return of the constructor and the call of :meth:`stop`. ``packets``, and ``lost`` (packets for
    which the kernel had no room), are known at the end. Raises LabError.
    """

    def __init__(
        self, client: Client, sources: Sequence[Source], output: int, most: int | None = None
    ) -> None:
        self.packets = 0
        self.lost = 0
        request = json.dumps({"sources": sources, "most": most})
        nodes = list(dict.fromkeys(node for node, _ in sources))
        self._control, theirs = socket.socketpair()
        self._channel = Channel(self._control)
        try:
            with theirs:
                self._process = client.start_module(
                    "netlab.measure.capture", [request], nodes=nodes, fds=[output, theirs.fileno()]
                )
        except BaseException:
            self._hang_up()
            raise
        try:
            self._channel.answer("the capturing process")
        except BaseException:
            self.abandon()
            raise

    def wait(self) -> None:
        """Wait until it ends by itself, after ``most`` packets; raises LabError if the lab ends first."""
        found = self._channel.answer("the capturing process")
        self.packets, self.lost = found["packets"], found["lost"]
        self._process.wait(10)
        self.abandon()

    def end(self) -> None:
        """Ask it to end, while something else waits for it; idempotent."""
        if self._control.fileno() >= 0:
            self._control.shutdown(socket.SHUT_WR)

    def stop(self) -> None:
        """End it, and wait until everything is written."""
        self.end()
        self.wait()

    def abandon(self) -> None:
        """End it at once; idempotent."""
        self._process.close()
        self._hang_up()

    def _hang_up(self) -> None:
        self._channel.close()


class Capture:
    """A context manager that captures packets to a file: see :meth:`netlab.Lab.capture`.

    ::

        with lab.capture("/tmp/web.pcapng", node="client") as capture:
            lab.exec("client", ["ping", "-c1", "198.51.100.1"])
        print(capture.packets, "packets in", capture.path)
    """

    def __init__(self, client: Client, path: str | os.PathLike[str], sources: Sequence[Source]) -> None:
        self.path = os.fspath(path)
        self._client = client
        self._sources = sources
        self._file: IO[bytes] | None = None
        self._capturing: Capturing | None = None

    @property
    def packets(self) -> int:
        """The number of packets in the file, once the capture has ended.

        ::

            with lab.capture("/tmp/web.pcapng") as capture:
                lab.probe("client -> host:80", family=4)
            assert capture.packets > 0
        """
        return self._capturing.packets if self._capturing else 0

    @property
    def lost(self) -> int:
        """The number of packets for which the kernel had no room, once the capture has ended.

        ::

            with lab.capture("/tmp/web.pcapng") as capture:
                lab.probe("client -> host:80", family=4)
            assert capture.lost == 0
        """
        return self._capturing.lost if self._capturing else 0

    def __enter__(self) -> Capture:
        self._file = open_output(self.path, buffered=False)
        try:
            self._capturing = Capturing(self._client, self._sources, self._file.fileno())
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._capturing is not None
        try:
            self._capturing.stop()
        except (LabError, OSError):
            self._capturing.abandon()
            if kind is None:
                raise
        finally:
            if self._file is not None:
                self._file.close()


def sources_in(plan: Plan, node: str | None = None, interface: str | None = None) -> list[Source]:
    """What to capture: one interface, those of a node, or (without ``node``) of all; raises UsageError."""
    if node is None:
        if interface is not None:
            raise UsageError(f"name the node of the interface {interface}, too")
        return [(n.name, None) for n in plan.nodes if n.namespace == n.name and n.kind != "segment"]
    name = resolve(plan, node)
    home = plan.node(plan.node(name).namespace)
    if interface is not None:
        known = ["lo", *(found.name for found in home.interfaces)]
        if interface not in known:
            raise UsageError(f"{node} has no interface {interface!r}; it has {', '.join(known)}")
    return [(home.name, interface)]
