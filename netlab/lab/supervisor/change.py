"""Change a running lab: the supervisor's side.

::

    client ──change──▶ LabChange ─fork──▶ reconcile      compares the plans
                          │ ◀── leaving ──┤              processes that go, end
                          ├──── go ──────▶│              namespaces, links, rules
                          │ ◀── changed ──┘              processes that come, start
           ◀──changed─────┘ once all of them answer

Before ``go``, nothing is changed; a failure after it leaves a lab that ``netlab up`` rebuilds.
"""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING

from netlab.kernel.channel import Channel, Disconnected, Message
from netlab.lab import lifetime, state
from netlab.lab.supervisor.children import Child, ending
from netlab.lab.supervisor.journal import say
from netlab.model.errors import LabError, NetlabError, to_message

if TYPE_CHECKING:
    from netlab.lab.supervisor.supervisor import Supervisor

#: Seconds that a change may take.
PATIENCE = 300.0
#: Bytes by which the lab's record may grow during a change.
ROOM = 1 << 14


class LabChange:
    """The current change, and the client that waits for it."""

    def __init__(self, supervisor: Supervisor, client: Channel, message: Message, fds: list[int]) -> None:
        """Fork the child that works; ``fds``: what it reads (:func:`reconcile.main`), the lab's lock.

        The child shares the lock with the client until the end: if the client is killed, the next one waits,
        and does not mistake the old lab for the new one.

        ``message``: ``renewed``, ``flushed`` and ``reloaded`` as in :class:`netlab.plan.change.Change`, and
        ``record``, the new entries of the lab's record.
        """
        self._supervisor = supervisor
        self._client = client
        self._record = message["record"]
        self._begun = self.changed = False
        # What is lacking must be lacking now, when nothing has been done yet: space, for one.
        record = json.dumps({**supervisor.record, **self._record}).encode()
        self._written = state.Prepared(f"{supervisor.path}/lab.json", record, len(record) + ROOM)
        read, write = socket.socketpair()
        read.setblocking(False)
        self._reports = Channel(read)
        *files, lock = fds

        def work() -> int:
            from netlab.lab.build.reconcile import main

            return main(Channel(write), files, supervisor.path, message)

        self._child = Child(0, "change", on_exit=self._ended, on_stop=self._stopped)
        self._lock = os.dup(lock)
        lifetime.keep_from_children(self._lock)
        try:
            supervisor.children.fork(self._child, work, keep=(write.fileno(), *files))
        except BaseException:
            self._written.drop()
            lifetime.let_go(self._lock)
            read.close()
            raise
        finally:
            write.close()
        supervisor.loop.watch(read.fileno(), self._read)
        self._patience = supervisor.loop.after(PATIENCE, self._late)

    def _ended(self, child: Child) -> None:
        del self._supervisor.children.known[child.pid]
        if self._supervisor.changing is self:
            self._read()
        if self._supervisor.changing is self and not self.changed:
            self.fail(LabError(f"the process that changes the lab {ending(child)}"))

    def _stopped(self, _: Child) -> None:
        if self._supervisor.changing is self and not self.changed:
            self.fail(LabError("the process that changes the lab was stopped"))

    def _late(self) -> None:
        if self._supervisor.changing is self:
            self.fail(LabError(f"the lab is not changed after {PATIENCE:.0f} s"))

    def _read(self) -> None:
        try:
            if self._reports.fileno() >= 0:
                self._reports.fill()
        except Disconnected:
            self._let_go()
        try:
            while self._supervisor.changing is self and (found := self._reports.take()) is not None:
                self._take_report(found[0])
        except Disconnected:
            self._let_go()  # its exit tells the rest
        except (NetlabError, OSError) as error:
            self.fail(error)

    def _take_report(self, report: Message) -> None:
        match report["event"]:
            case "leaving":
                self._begun = True
                self._supervisor.processes.leave(report)
                self._reports.send({"op": "go"})
            case "changed":
                self.changed = True
                self._rename(report["names"], report["gone"])
                self._supervisor.processes.join(report)
                self._supervisor.settled()
            case "error":
                self._end(report, failed=True)

    def _rename(self, names: list[str], gone: list[str]) -> None:
        """Make nodes known to ``ip netns``, or unknown."""
        if self._supervisor.published is not None:
            self._supervisor.published.remove(gone)
        self._supervisor.publish(names)

    def settled(self) -> None:
        """Nobody is waited for: if the child is done too, the lab is changed."""
        if not self.changed:
            return
        warnings = self._supervisor.processes.warnings
        self._supervisor.record.update(self._record, warnings=warnings)
        self._end({"event": "changed", "warnings": warnings}, failed=False)

    def fail(self, error: Exception) -> None:
        """Tell the client what went wrong."""
        self._end({"event": "error", **to_message(error)}, failed=True)

    def _end(self, message: Message, *, failed: bool) -> None:
        supervisor = self._supervisor
        self._patience.cancel()
        supervisor.children.kill(self._child)  # it has ended, unless it hangs or something else failed
        supervisor.processes.awaited.clear()
        if failed and self._begun:
            message["text"] = f"{message['text']}; the lab is changed in part: `netlab up` builds it anew"
            supervisor.warn(f"a change has failed: {message['text']}")
            supervisor.record.update(digest="", broken=True)
        supervisor.changing = None
        self._write_down()
        lifetime.let_go(self._lock)
        self._let_go()
        try:
            supervisor.send(self._client, message)
        except (Disconnected, OSError, KeyError):
            pass  # it did not wait
        supervisor.processes.responding.revive()

    def _write_down(self) -> None:
        """Write the lab's record, for which there is room."""
        try:
            self._written.rewrite(json.dumps(self._supervisor.record).encode())
            self._written.commit()
        except OSError as error:
            say(f"cannot write {error.filename}: {error.strerror}")

    def _let_go(self) -> None:
        if self._supervisor.loop.watches(self._reports.fileno()):
            self._supervisor.loop.unwatch(self._reports.fileno())
        self._reports.sock.close()
