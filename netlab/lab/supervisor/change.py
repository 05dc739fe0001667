"""Change a running lab: the supervisor's side.

::

    client ──change──▶ ChangeInProgress ─fork──▶ reconcile      compares the plans
                          │ ◀── leaving ──┤              processes that go, end
                          ├──── go ──────▶│              namespaces, links, rules
                          │ ◀── changed ──┘              processes that come, start
           ◀──changed─────┘ once all of them answer

Before ``go``, nothing is changed. If reconcile fails after it, it takes back what it has done and sends
``undone`` instead of ``changed``: the processes that went start again, and the client gets the error. If that
fails, too, or reconcile dies, the lab is changed in part, and ``netlab up`` rebuilds it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable

from netlab.kernel.channel import Channel, Disconnected, Message
from netlab.lab import lifetime, state
from netlab.lab.supervisor.children import Child, ending
from netlab.lab.supervisor.forked import main_of
from netlab.lab.supervisor.journal import say
from netlab.lab.supervisor.processes import Processes
from netlab.lab.supervisor.runtime import Runtime
from netlab.model.error_messages import to_message
from netlab.model.errors import LabError, NetlabError

#: Seconds that a change may take.
PATIENCE = 300.0
#: Bytes by which the lab's record may grow during a change.
ROOM = 1 << 14


class ChangeInProgress:
    """The current change, and the client that waits for it."""

    def __init__(
        self,
        runtime: Runtime,
        processes: Processes,
        rename: Callable[[list[str], list[str]], None],
        answer: Callable[[Message], None],
        message: Message,
        fds: list[int],
    ) -> None:
        """Fork the child that works; ``fds``: what it reads (:func:`reconcile.main`), the lab's lock.

        The child shares the lock with the client until the end: if the client is killed, the next one waits,
        and does not mistake the old lab for the new one.

        ``message``: ``renewed``, ``flushed`` and ``reloaded`` as in :class:`netlab.plan.change.Change`, and
        ``record``, the new entries of the lab's record. ``rename`` makes nodes known to
        ``ip netns``, and others unknown; ``answer`` is called once, at the end, and may raise Disconnected.
        """
        self._runtime = runtime
        self._processes = processes
        self._rename = rename
        self._answer = answer
        self.over = False
        self._record = message["record"]
        self._begun = self.changed = False
        #: why the change was taken back, as a message
        self._failure: Message | None = None
        # What is lacking must be lacking now, when nothing has been done yet: space, for one.
        record = json.dumps({**runtime.record, **self._record}).encode()
        self._written = state.Prepared(f"{runtime.path}/lab.json", record, len(record) + ROOM)
        read, write = socket.socketpair()
        read.setblocking(False)
        self._reports = Channel(read)
        *files, lock = fds

        def work() -> int:
            main = main_of("netlab.lab.build.reconcile")
            return main(Channel(write), files, runtime.path, message)

        self._child = Child(0, "change", on_exit=self._ended, on_stop=self._stopped)
        self._lock = os.dup(lock)
        lifetime.keep_from_children(self._lock)
        try:
            runtime.children.fork(self._child, work, keep=(write.fileno(), *files))
        except BaseException:
            self._written.drop()
            lifetime.let_go(self._lock)
            read.close()
            raise
        finally:
            write.close()
        runtime.change = "begun"
        runtime.loop.watch(read.fileno(), self._read)
        self._patience = runtime.loop.after(PATIENCE, self._late)

    def _ended(self, child: Child) -> None:
        del self._runtime.children.known[child.pid]
        if not self.over:
            self._read()
        if not self.over and not self.changed:
            self.fail(LabError(f"the process that changes the lab {ending(child)}"))

    def _stopped(self, _: Child) -> None:
        if not self.over and not self.changed:
            self.fail(LabError("the process that changes the lab was stopped"))

    def _late(self) -> None:
        if not self.over:
            self.fail(LabError(f"the lab is not changed after {PATIENCE:.0f} s"))

    def _read(self) -> None:
        try:
            if self._reports.fileno() >= 0:
                self._reports.fill()
        except Disconnected:
            self._let_go()
        try:
            while not self.over and (found := self._reports.take()) is not None:
                self._take_report(found[0])
        except Disconnected:
            self._let_go()  # its exit tells the rest
        except (NetlabError, OSError) as error:
            self.fail(error)

    def _take_report(self, report: Message) -> None:
        match report["event"]:
            case "leaving":
                self._begun = True
                self._processes.leave(report)
                self._reports.send({"op": "go"})
            case "changed":
                self.changed, self._runtime.change = True, "done"
                self._rename(report["names"], report["gone"])
                self._processes.join(report)
                self._runtime.on_settled()
            case "undone":
                self.changed, self._runtime.change = True, "done"
                self._failure = {"event": "error", **report["failure"]}
                self._failure["text"] += "; the change was undone"
                self._processes.join(report)
                self._runtime.on_settled()
            case "error":
                self._end(report, failed=True)

    def settled(self) -> None:
        """Nobody is waited for: if the child is done too, the lab is changed."""
        if not self.changed:
            return
        if self._failure is not None:
            self._end(self._failure, failed=False)
            return
        warnings = self._processes.warnings
        self._runtime.record.update(self._record, warnings=warnings)
        self._end({"event": "changed", "warnings": warnings}, failed=False)

    def fail(self, error: Exception) -> None:
        """Tell the client what went wrong."""
        self._end({"event": "error", **to_message(error)}, failed=True)

    def _end(self, message: Message, *, failed: bool) -> None:
        runtime = self._runtime
        self._patience.cancel()
        runtime.children.kill(self._child)  # it has ended, unless it hangs or something else failed
        self._processes.awaited.clear()
        if failed and self._begun:
            message["text"] = f"{message['text']}; the lab is changed in part: `netlab up` builds it anew"
            runtime.on_warning(f"a change has failed: {message['text']}")
            runtime.record.update(digest="", broken=True)
        self.over, runtime.change = True, "none"
        self._write_down()
        lifetime.let_go(self._lock)
        self._let_go()
        try:
            self._answer(message)
        except (Disconnected, OSError, KeyError):
            pass  # it did not wait
        self._processes.responding.revive()

    def _write_down(self) -> None:
        """Write the lab's record, for which there is room."""
        try:
            self._written.rewrite(json.dumps(self._runtime.record).encode())
            self._written.commit()
        except OSError as error:
            say(f"cannot write {error.filename}: {error.strerror}")

    def _let_go(self) -> None:
        if self._runtime.loop.watches(self._reports.fileno()):
            self._runtime.loop.unwatch(self._reports.fileno())
        self._reports.sock.close()
