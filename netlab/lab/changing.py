"""A change of a standing lab, from the supervisor's side.

::

    client ──change──▶ Changing ──fork──▶ reconcile      compares the plans
                          │ ◀── leaving ──┤              processes that go, end
                          ├──── go ──────▶│              namespaces, links, rules
                          │ ◀── changed ──┘              processes that come, start
           ◀──changed─────┘ once all of them answer

Until ``go`` nothing is done; what fails behind it leaves a lab that ``netlab up`` builds anew.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from netlab.lab import state
from netlab.lab.children import Child, ending
from netlab.lab.wire import Channel, Disconnected, Message
from netlab.model.errors import LabError, NetlabError

if TYPE_CHECKING:
    from netlab.lab.supervisor import Supervisor


class Changing:
    """The one change that is on its way, and the client that waits for it."""

    def __init__(self, supervisor: Supervisor, client: Channel, message: Message, fds: list[int]) -> None:
        """Fork the child that works; ``fds`` hold the new plan and the new history.

        ``message``: ``renewed``, ``flushed`` and ``reloaded`` as in :class:`netlab.plan.change.Change`, and
        ``record``, what the lab's record is to say when all is done.
        """
        self._supervisor = supervisor
        self._client = client
        self._record = message["record"]
        self._begun = self._changed = False
        read, write = socket.socketpair()
        read.setblocking(False)
        self._reports = Channel(read)
        plan, history = fds

        def work() -> int:
            from netlab.lab.reconcile import main

            return main(Channel(write), plan, history, supervisor.path, message)

        child = Child(0, "change", on_exit=self._ended)
        supervisor.children.fork(child, work, keep=(write.fileno(), plan, history))
        write.close()
        supervisor.watch(read.fileno(), self._read)

    def _ended(self, child: Child) -> None:
        del self._supervisor.children.known[child.pid]
        if self._supervisor.changing is self:
            self._read()
        if self._supervisor.changing is self and not self._changed:
            self.fail(LabError(f"the process that changes the lab {ending(child)}"))

    def _read(self) -> None:
        try:
            if self._reports.fileno() >= 0:
                self._reports.fill()
        except Disconnected:
            self._let_go()
        try:
            while self._supervisor.changing is self and (found := self._reports.take()) is not None:
                self._heed(found[0])
        except (NetlabError, OSError) as error:
            self.fail(error)

    def _heed(self, report: Message) -> None:
        match report["event"]:
            case "leaving":
                self._begun = True
                self._supervisor.processes.leave(report)
                self._reports.send({"op": "go"})
            case "changed":
                self._changed = True
                self._rename(report["names"], report["gone"])
                self._supervisor.processes.join(report)
                self._supervisor.settled()
            case "error":
                self._end(report, failed=True)

    def _rename(self, names: list[str], gone: list[str]) -> None:
        """Make nodes known to ``ip netns``, or unknown."""
        published = self._supervisor.published
        for node in gone:
            link = f"{state.NETNS_DIR}/{self._supervisor.name}.{node}"
            if link in published:
                published.remove(link)
                os.unlink(link)
        self._supervisor.publish(names)

    def settled(self) -> None:
        """Nobody is waited for: if the child is done too, the lab is changed."""
        if not self._changed:
            return
        warnings = self._supervisor.processes.warnings
        self._supervisor.record.update(self._record, warnings=warnings)
        self._end({"event": "changed", "warnings": warnings}, failed=False)

    def fail(self, error: Exception) -> None:
        """Tell the client what went wrong."""
        from netlab.lab.supervisor import describe

        self._end({"event": "error", **describe(error)}, failed=True)

    def _end(self, message: Message, *, failed: bool) -> None:
        self._supervisor.changing = None
        self._supervisor.processes.awaited.clear()
        if failed and self._begun:
            self._supervisor.record.update(digest="", broken=True)
            message["text"] = f"{message['text']}; the lab is changed in part: `netlab up` builds it anew"
        state.write(self._supervisor.path, self._supervisor.record)
        self._let_go()
        try:
            self._client.send(message)
        except (Disconnected, OSError):
            pass  # it did not wait

    def _let_go(self) -> None:
        if self._reports.fileno() in self._supervisor.handlers:
            self._supervisor.unwatch(self._reports.fileno())
        self._reports.sock.close()
