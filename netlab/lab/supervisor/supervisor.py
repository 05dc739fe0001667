"""The process that holds a lab: PID 1 of its PID namespace, with private mounts.

::

    netlab up ──spawn──▶ main() ──unshare, fork──▶ Supervisor.run()      PID 1 of the lab
        ▲                  └── exits                 ├─ build             applies the plan, then exits
        │                                            ├─ responder         answers for all containers
        └────── control socket: build, progress,     ├─ docker-proxy, command: programs
                ready, commit ──────────────────     └─ exec, helpers     on a client's behalf

When it ends, however it ends, the kernel ends every process of the namespace and drops the mounts, and
with them the network namespaces. Until ``commit`` it ends with its owner (a pidfd says when); a
:class:`netlab.Lab` never lets go, so that its lab ends with the program.
"""

# ruff: noqa: ARG002 - operations share one signature

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from typing import NoReturn

from netlab.kernel import descriptors, libc
from netlab.kernel.channel import MAX_FDS, Channel, Disconnected, Message
from netlab.lab import lifetime, state
from netlab.lab.node.isolation import own_namespaces, raise_limits
from netlab.lab.peer import accept
from netlab.lab.supervisor import home
from netlab.lab.supervisor.change import ChangeInProgress
from netlab.lab.supervisor.children import Child, ending
from netlab.lab.supervisor.forked import main_of
from netlab.lab.supervisor.journal import say, say_error
from netlab.lab.supervisor.processes import Processes
from netlab.lab.supervisor.published import Published
from netlab.lab.supervisor.runtime import Runtime
from netlab.lab.supervisor.spawn import spawn
from netlab.model.error_messages import to_message
from netlab.model.errors import LabError, NetlabError
from netlab.proxy.identity import rename

#: Seconds that the child which builds a lab may take, and the one that changes it.
PATIENCE = 600.0


def main(control: int, owner: int) -> NoReturn:
    """Become the supervisor. ``control``: a socket to the owner; ``owner``: a pidfd of it."""
    channel = Channel(socket.socket(fileno=control))
    try:
        raise_limits()
        own_namespaces()
        pid = os.fork()
    except BaseException as error:
        with contextlib.suppress(Disconnected):  # the owner was killed: there is nobody to notify
            channel.send({"event": "error", **to_message(error)})
        raise SystemExit(1) from None
    if pid:
        os._exit(0)
    os.setsid()
    Supervisor(channel, owner).run()


class Supervisor:
    """PID 1 of a lab: one poll loop over the control socket, its clients, its owner and its children."""

    def __init__(self, channel: Channel, owner: int) -> None:
        self.owner_channel: Channel | None = channel
        self.owner = owner
        self.detached = False  #: whether the lab keeps running without its owner
        self.runtime = Runtime(self.survive, self.settled, self.report_failure, self.warn)
        self.children, self.loop = self.runtime.children, self.runtime.loop
        self.clients: set[Channel] = set()
        self.served: dict[Channel, list[Child]] = {}
        self.published: Published | None = None  #: the machine's root only
        self.listener: socket.socket | None = None
        self.processes = Processes(self.runtime)
        self.builder: Channel | None = None
        self.changing: ChangeInProgress | None = None
        self.lock: lifetime.SupervisorLock | None = None
        self.building = -1  #: the lab's lock, until it is committed

    # -- the loop

    def run(self) -> NoReturn:
        """Serve until a `down` request, or until the owner ends before the lab is detached."""
        self.outer_pid = int(os.readlink("/proc/self"))  # the old /proc: the PID that others see
        self._listen_to_signals()
        assert self.owner_channel is not None
        self._add_client(self.owner_channel)
        self.loop.watch(self.owner, self.stop)
        self._start_builder()
        self.tell_owner({"event": "hello", "pid": self.outer_pid})
        self.loop.run()

    def survive(self, error: Exception) -> None:
        """A handler has failed: what was going on has too, and that is all. The log has the traceback."""
        say_error(error)
        if self.runtime.phase in ("new", "building"):
            self.tell_owner({"event": "error", **to_message(error)})
            self.stop()
        if self.changing is not None:
            self.changing.fail(error)
        else:
            self.warn(f"the supervisor had an error, which is in the log: {error!r}")

    def warn(self, text: str) -> None:
        """Add a warning about the running lab, for ``netlab status`` and the log."""
        say(text)
        if text not in self.processes.warnings:
            self.processes.warnings.append(text)
        self.runtime.record["warnings"] = self.processes.warnings
        if self.runtime.phase in ("ready", "committed") and self.changing is None:
            self.note()

    def note(self) -> None:
        """Write the lab's record; a full disk must not end the lab."""
        try:
            state.write(self.runtime.path, self.runtime.record)
        except OSError as error:
            say(f"cannot write {error.filename}: {error.strerror}")

    def _listen_to_signals(self) -> None:
        read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)

        def woken() -> None:
            numbers = os.read(read, 4096)
            if signal.SIGTERM in numbers or signal.SIGINT in numbers:
                self.stop()
            self.children.reap()

        self.loop.watch(read, woken, vital=True)

    # -- the end

    def stop(self) -> NoReturn:
        """Take the names away and end; the kernel does the rest."""
        try:
            if self.published is not None:
                self.published.clear()
            if self.runtime.private:
                with contextlib.suppress(OSError):  # a lab without space for it has no mount yet
                    libc.umount(self.runtime.private)
            if self.runtime.path:
                record = state.Record(self.runtime.name, self.runtime.path, self.runtime.record)
                state.remove(record)
        finally:  # the next command removes the names that are left
            os._exit(0)

    # -- clients

    def _accept(self) -> None:
        assert self.listener is not None
        sock = accept(self.listener)
        if sock is not None:
            self._add_client(Channel(sock))

    def _add_client(self, channel: Channel) -> None:
        channel.sock.setblocking(False)
        self.clients.add(channel)
        self.loop.watch(channel.fileno(), lambda: self._serve(channel))

    def _drop(self, channel: Channel) -> None:
        if channel not in self.clients:
            return
        self.loop.unwatch(channel.fileno())
        self.clients.discard(channel)
        channel.close()
        if channel is self.owner_channel:
            self.owner_channel = None
            if not self.detached:  # it may still run, but has lost the lab
                self.stop()
        for child in self.served.pop(channel, ()):
            if child.returncode is None:
                os.killpg(child.pid, signal.SIGKILL)

    def _serve(self, channel: Channel) -> None:
        try:
            self.loop.also_writable(channel.fileno(), not channel.flush())
            channel.fill()
            while channel in self.clients and (found := channel.take()) is not None:
                self._answer(channel, *found)
        except (Disconnected, OSError):
            self._drop(channel)

    def send(self, channel: Channel, message: Message, fds: list[int] | None = None) -> None:
        """Send to a client; what it does not take at once goes when it does. Raises Disconnected."""
        channel.send(message, fds)
        self.loop.also_writable(channel.fileno(), not channel.flush())

    def _answer(self, channel: Channel, message: Message, fds: list[int]) -> None:
        operation = getattr(self, f"on_{message.get('op')}", None)
        try:
            if operation is None:
                raise ValueError(f"no such operation: {message.get('op')}")
            operation(channel, message, fds)
        except Disconnected:
            raise
        except Exception as error:
            self.send(channel, {"event": "error", **to_message(error)})
        finally:
            for fd in fds:
                os.close(fd)

    def tell_owner(self, message: Message) -> None:
        """Send a message to the client that is waiting for the lab, if there is one."""
        if self.owner_channel is not None:
            try:
                self.send(self.owner_channel, message)
            except Disconnected:
                self._drop(self.owner_channel)

    # -- operations of the owner

    def on_build(self, channel: Channel, message: Message, fds: list[int]) -> None:
        """Build a lab; answers with progress, then ready or error.

        ``fds``: the supervisor's lock, the lab's lock, the plan, and perhaps the lab's history, with which it
        can be changed later.
        """
        if channel is not self.owner_channel or self.runtime.phase != "new":
            raise ValueError("a lab is built once, by its owner")
        self.runtime.phase = "building"
        lock, building, *texts = fds
        self.lock = lifetime.SupervisorLock(os.dup(lock))
        self.building = os.dup(building)
        lifetime.keep_from_children(self.building)
        rename(["netlab", message["name"]])
        self.runtime.name, self.runtime.path, self.runtime.private = (
            message["name"],
            message["path"],
            f"{message['path']}/private",
        )
        self.runtime.record = {
            **message["record"],
            "name": self.runtime.name,
            "pid": self.outer_pid,
            "ready": False,
        }
        state.write(self.runtime.path, self.runtime.record)
        home.open_log(self.runtime.path)
        home.own_mounts(self.runtime.private)
        self.listener = home.listen(self.runtime.path)
        self.loop.watch(self.listener.fileno(), self._accept, vital=True)
        self.loop.after(PATIENCE, self._still_building)
        assert self.builder is not None
        self.builder.send({"path": self.runtime.path}, texts)

    def _start_builder(self) -> None:
        """Fork the child that will build the lab; it prepares itself before the plan arrives."""
        read, write = socket.socketpair()
        reports = self.builder = Channel(read)
        read.setblocking(False)

        def work() -> int:
            return main_of("netlab.lab.build.worker")(Channel(write))

        def ended(child: Child) -> None:
            self._read_reports(reports)
            if self.runtime.phase in ("new", "building") and child.returncode != 0:
                self.fail(f"the process that builds the lab {ending(child)}")

        def stopped(_: Child) -> None:
            if self.runtime.phase in ("new", "building"):
                self.fail("the process that builds the lab was stopped")

        builder = Child(0, "build", on_exit=ended, on_stop=stopped)
        self.children.fork(builder, work, keep=(write.fileno(),))
        write.close()
        self.loop.watch(reports.fileno(), lambda: self._read_reports(reports))

    def _still_building(self) -> None:
        if self.runtime.phase == "building":
            self.fail(f"the lab is not built after {PATIENCE:.0f} s")

    def _read_reports(self, reports: Channel) -> None:
        if not self.loop.watches(reports.fileno()):
            return
        try:
            reports.fill()
            while (found := reports.take()) is not None:
                self._take_report(found[0])
        except Disconnected:
            self.loop.unwatch(reports.fileno())
            reports.close()

    def _take_report(self, report: Message) -> None:
        """What the building child says."""
        match report["event"]:
            case "warm":
                self.tell_owner(report)
            case "built":
                self._start(report)
            case "error":
                self.tell_owner(report)
                self.stop()
            case _:
                self.tell_owner(report)

    def fail(self, text: str, *, with_log: bool = False) -> NoReturn:
        """The lab cannot be: say why, and end."""
        log = ""
        if self.runtime.path:
            with open(f"{self.runtime.path}/log", encoding="utf-8", errors="replace") as file:
                log = file.read()[-4000:].strip()
        error = LabError(f"{text}; its last words:\n{log}" if with_log and log else text)
        if log and not with_log:
            error.add_note(log)
        self.tell_owner({"event": "error", **to_message(error)})
        self.stop()

    def report_failure(self, text: str, *, with_log: bool = False) -> None:
        """A service of the lab failed: abandon a new lab, or report a failed change."""
        if self.changing is not None:
            self.changing.fail(LabError(text))
        elif self.runtime.phase in ("new", "building"):
            self.fail(text, with_log=with_log)
        else:
            self.warn(text)

    def _rename(self, names: list[str], gone: list[str]) -> None:
        """Make nodes known to ``ip netns``, and others unknown; raises LabError."""
        if self.published is not None:
            self.published.remove(gone)
        self.publish(names)

    def publish(self, names: list[str]) -> None:
        """Make the nodes known to ``ip netns`` (the machine's root only); raises LabError."""
        if self.runtime.record.get("uid") != 0 or not state.is_machines_root():
            return
        if self.published is None:
            self.published = Published(self.runtime.name, self.runtime.private, self.outer_pid)
        self.published.add(names)

    def _start(self, report: Message) -> None:
        """The namespaces exist: start the processes in them, and wait until all of them answer."""
        try:
            self.publish(report["names"])
            self.processes.start(report)
        except NetlabError as error:
            self.tell_owner({"event": "error", **to_message(error)})
            self.stop()
        self.settled()

    def settled(self) -> None:
        """Report that the lab is ready, or changed, once all processes have answered."""
        if self.processes.awaited:
            return
        if self.changing is not None:
            self.changing.settled()
        if self.runtime.phase != "building":
            return
        self.runtime.phase = "ready"
        self.runtime.record["warnings"] = self.processes.warnings
        self.tell_owner({"event": "ready", "warnings": self.processes.warnings})

    def on_commit(self, channel: Channel, message: Message, fds: list[int]) -> None:
        """The owner commits: publish the lab; with ``detach``, it keeps running without its owner.

        An owner that did not detach may still do so later.
        """
        if channel is not self.owner_channel or self.runtime.phase not in ("ready", "committed"):
            raise ValueError("only what is ready can be committed")
        owner = None if message["detach"] else self.runtime.record["owner"]
        record = {**self.runtime.record, "ready": True, "owner": owner}
        state.write(self.runtime.path, record)
        self.runtime.record, self.runtime.phase = record, "committed"
        if message["detach"] and not self.detached:
            self.detached = True
            self.loop.unwatch(self.owner)
            os.close(self.owner)
        lifetime.let_go(self.building)
        self.send(channel, {"event": "committed"})

    # -- operations of every client

    def on_status(self, channel: Channel, message: Message, fds: list[int]) -> None:
        """The processes of the lab."""
        processes = [
            {"pid": c.pid, "kind": c.kind, "node": c.node, "label": c.label, "returncode": c.returncode}
            for c in self.children.known.values()
            if c.kind != "build"
        ]
        self.send(channel, {"event": "status", "phase": self.runtime.phase, "processes": processes})

    def on_change(self, channel: Channel, message: Message, fds: list[int]) -> None:
        """Turn the lab into another plan's; the answer comes when it is done: see ChangeInProgress."""
        if self.runtime.phase not in ("ready", "committed") or self.changing is not None:
            raise LabError(f"the lab {self.runtime.name} is being built or changed just now")
        if self.runtime.record.get("broken"):
            raise LabError(f"a change of {self.runtime.name} has failed: `netlab up` builds it anew")

        def answer(found: Message) -> None:
            self.changing = None
            self.send(channel, found)

        self.changing = ChangeInProgress(self.runtime, self.processes, self._rename, answer, message, fds)

    def on_namespaces(self, channel: Channel, message: Message, fds: list[int]) -> None:
        """Descriptors of the network namespaces of ``nodes``, in their order."""
        nodes = message["nodes"]
        if len(nodes) > MAX_FDS:
            raise ValueError(f"at most {MAX_FDS} namespaces a message")
        opened: list[int] = []
        try:
            for node in nodes:
                opened.append(self.runtime.open_namespace(node))
            self.send(channel, {"event": "namespaces"}, opened)
        finally:
            for fd in opened:
                os.close(fd)

    def on_enter(self, channel: Channel, message: Message, fds: list[int]) -> None:
        """Descriptors of the lab's user, mount and PID namespaces, and of a node's network namespace."""
        opened = [
            os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("user", "mnt", "pid")
        ]
        try:
            if message.get("node") is not None:
                opened.append(self.runtime.open_namespace(message["node"]))
            self.send(channel, {"event": "enter", "private": self.runtime.private}, opened)
        finally:
            for fd in opened:
                os.close(fd)

    def on_spawn(self, channel: Channel, message: Message, fds: list[int]) -> None:
        """Start a program, or a module of netlab's, in the lab; ends with the connection."""

        def ended(child: Child) -> None:
            del self.children.known[child.pid]
            if channel in self.clients:
                self.served[channel].remove(child)
                try:
                    self.send(channel, {"event": "exit", "pid": child.pid, "returncode": child.returncode})
                except Disconnected:
                    self._drop(channel)

        child = spawn(self.runtime, message, fds)
        child.on_exit = ended
        self.served.setdefault(channel, []).append(child)
        self.send(channel, {"event": "started", "pid": child.pid})

    def on_pairs(self, channel: Channel, message: Message, fds: list[int]) -> None:
        """Which connections the userland proxy of ``node`` joined since ``since``."""
        since = message["since"]
        if type(since) is not int:  # it goes on to the proxy, which a word in its place would end
            raise ValueError(f"since is a time in nanoseconds, and not {since!r:.40}")
        pairs, whole = self.processes.pairs(message["node"], since)
        rows = [[p.when, p.protocol, p.client, p.asked, p.own, p.backend] for p in pairs]
        self.send(channel, {"event": "pairs", "pairs": rows, "whole": whole})

    def on_signal(self, channel: Channel, message: Message, fds: list[int]) -> None:
        """Send a signal to the process group of a child that this client started."""
        for child in self.served.get(channel, ()):
            if child.pid == message["pid"] and child.returncode is None:
                os.killpg(child.pid, message["signal"])

    def on_down(self, channel: Channel, message: Message, fds: list[int]) -> NoReturn:
        """End the lab; the answer is the end of the connection."""
        self.stop()


def spawned() -> NoReturn:
    """Entry of the interpreter that :func:`netlab.lab.client.launch.launch` starts: descriptors in argv."""
    control, owner = int(sys.argv[1]), int(sys.argv[2])
    descriptors.close_all_but((control, owner))
    main(control, owner)
