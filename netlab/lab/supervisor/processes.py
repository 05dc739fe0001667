"""The processes of a lab: docker-proxy of every host, the scenario's programs, the responder.

They are children of the supervisor, whose loop gets their exits and their first messages.
"""

from __future__ import annotations

import os
import signal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from netlab.kernel.sandbox.etc_files import EtcFiles
from netlab.kernel.sandbox.launcher import Program, Sandbox, container
from netlab.lab import codec
from netlab.lab.services import ready
from netlab.lab.services.proxies import Proxies
from netlab.lab.services.user_networks import Places
from netlab.lab.supervisor.children import Child
from netlab.lab.supervisor.log import Log
from netlab.lab.supervisor.responding import Responding
from netlab.lab.supervisor.runtime import Runtime
from netlab.model.errors import LabError

if TYPE_CHECKING:
    from netlab.kernel.channel import Message
    from netlab.lab.services.proxies import ProxiedConnection


#: Seconds that a waiting child may take longer than it waits.
_MARGIN = 5.0


class Processes:
    """The processes that serve a lab. ``awaited`` are those that have yet to say that they answer."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._proxies: dict[str, Proxies] = {}
        self._proxy_pids: dict[str, set[int]] = {}
        self._sandbox: Sandbox | None = None
        #: of each running program, by PID
        self._logs: dict[int, Log] = {}
        self._etc: dict[int, EtcFiles] = {}
        self.awaited: set[object] = set()
        self.warnings: list[str] = []

    def start(self, report: Message) -> None:
        """Start everything that the building child names; raises NetlabError for what cannot be started.

        What takes longer is ``awaited``, and ends in the runtime's ``on_settled`` or ``on_failure``.
        """
        for entry in report["proxies"]:
            self._start_proxies(
                entry["node"],
                entry["mode"],
                codec.decode(entry["listeners"]),
                codec.decode(entry["user_networks"]),
            )
        for entry in report["commands"]:
            self._start_command(entry)
        self._runtime.children.forget_strangers()
        self.responding.start(report["responders"])

    def pairs(self, node: str, since: int) -> tuple[tuple[ProxiedConnection, ...], bool]:
        """What the userland proxy of ``node`` paired since, and whether that is all."""
        proxies = self._proxies.get(node)
        return proxies.pairs(since) if proxies is not None else ((), True)

    # -- the userland proxy

    def _start_proxies(
        self, node: str, mode: str, listeners: tuple[Any, ...], user_networks: tuple[Any, ...] = ()
    ) -> None:
        namespace = self._runtime.open_namespace(node)  # kept open: Proxies may start more later
        places = Places(self._runtime.open_namespace, user_networks)
        self._proxies[node] = Proxies.start(namespace, listeners, mode, places=places)
        self._know_proxies(node)

    # -- the scenario's own programs

    def _start_command(self, entry: Message) -> None:
        """Start a program of the scenario's, alone with its node's network, and wait for its ports."""
        node, argv = entry["node"], entry["argv"]
        namespace = self._runtime.open_namespace(node)
        try:
            try:
                pid = self._launch(entry, namespace)
            except (LabError, OSError) as error:
                raise LabError(f"starting the command of {node}: {error}") from error
            command = Child(pid, "command", node, " ".join(argv), on_exit=self._forget)
            self._runtime.children.adopt(command)
            if entry["ports"]:
                self._await_ports(command, namespace, set(entry["ports"]))
        finally:
            os.close(namespace)

    def _launch(self, entry: Message, namespace: int) -> int:
        """The PID of a program; what it writes is kept in the lab's log. Raises LabError, OSError."""
        if self._sandbox is None:
            self._sandbox = Sandbox()
        log, etc = Log(f"{self._runtime.path}/log"), EtcFiles(entry["etc"])
        kind = container(codec.decode(entry["rights"]))
        program = Program(tuple(entry["argv"]), namespace, kind, entry["hostname"], etc)
        try:
            null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            try:
                pid = self._sandbox.start(program, null, log.pipe, log.pipe)
            finally:
                os.close(null)
        except BaseException:
            etc.close()
            log.close()
            raise
        finally:
            log.started()
        self._logs[pid], self._etc[pid] = log, etc
        self._runtime.loop.watch(log.fileno(), lambda: self._take(pid, log))
        return pid

    def _take(self, pid: int, log: Log) -> None:
        """Take what a program wrote; its pipe may outlive it."""
        if not log.take():
            self._runtime.loop.unwatch(log.fileno())
            log.close()
            if self._logs.get(pid) is log:
                del self._logs[pid]

    def _forget(self, command: Child) -> None:
        """A program has ended; what it wrote last is still to be read."""
        etc = self._etc.pop(command.pid, None)
        if etc is not None:
            etc.close()

    def _await_ports(self, command: Child, namespace: int, ports: set[int]) -> None:
        runtime = self._runtime

        def looked(waiter: Child) -> None:
            del runtime.children.known[waiter.pid]
            self.awaited.discard(waiter)
            patience.cancel()
            shown = ", ".join(map(str, sorted(ports)))
            if waiter.returncode == 1:
                if (log := self._logs.get(command.pid)) is not None:
                    self._take(command.pid, log)
                runtime.on_failure(
                    f"the command of {command.node} ended before it listened on {shown}", with_log=True
                )
                return
            if waiter.returncode != 0:
                self.warnings.append(
                    f"the command of {command.node} does not listen on {shown} after {ready.PATIENCE:.0f} s"
                )
            self._answered(waiter)

        waiter = Child(0, "waiter", command.node, on_exit=looked, on_stop=runtime.children.kill)
        runtime.children.fork(
            waiter, lambda: ready.wait_for(command.pid, namespace, ports), keep=(namespace,)
        )
        patience = runtime.loop.after(ready.PATIENCE + _MARGIN, lambda: runtime.children.kill(waiter))
        self.awaited.add(waiter)

    # -- the built-in servers

    @cached_property
    def responding(self) -> Responding:
        """The responder's processes, or a dead one in their place."""
        return Responding(self._runtime, self.awaited, self._note_lacking)

    def _note_lacking(self, words: list[str]) -> None:
        self.warnings += words

    def _answered(self, waiter: Child) -> None:
        self.awaited.discard(waiter)
        self._runtime.on_settled()

    # -- a change of the running lab

    def leave(self, report: Message) -> None:
        """End what does not belong to the lab any more, before its namespaces go."""
        self.warnings = []
        for entry in report["listeners"]:
            proxies = self._proxies[entry["node"]]
            for listener in codec.decode(entry["listeners"]):
                proxies.remove(listener)
            self._know_proxies(entry["node"])
        gone, ended = set(report["nodes"]), set(report["commands"])
        for node in gone & self._proxies.keys():
            self._proxies[node].close()  # of a host that gets a new namespace
            self._know_proxies(node)
            self._proxies.pop(node).let_go()
        for child in list(self._runtime.children.known.values()):
            if (child.kind == "exec" and child.node in gone) or (
                child.kind in ("command", "waiter") and child.node in ended
            ):
                child.on_exit = child.on_exit if child.kind == "exec" else None
                if child.returncode is None:
                    os.kill(child.pid, signal.SIGKILL)
                if child.kind == "command":
                    self._forget(child)
                if child.kind != "exec":
                    del self._runtime.children.known[child.pid]
                    self.awaited.discard(child)

    def join(self, report: Message) -> None:
        """Start what belongs to the lab now; raises NetlabError. What takes longer is ``awaited``."""
        for entry in report["proxies"]:
            listeners = codec.decode(entry["listeners"])
            if entry["node"] in self._proxies:
                self._proxies[entry["node"]].add(*listeners)
                self._know_proxies(entry["node"])
            else:
                self._start_proxies(entry["node"], entry["mode"], listeners)
        for entry in report["commands"]:
            self._start_command(entry)
        for child in self._runtime.children.known.values():
            if child.kind == "command" and child.node in report["etc"] and child.returncode is None:
                self._etc[child.pid].write(report["etc"][child.node])
        self.responding.order(report["close"], report["responders"])

    def _know_proxies(self, node: str) -> None:
        """Take note of which processes serve a host by now."""
        children, pids = self._runtime.children, set(self._proxies[node].pids())
        known = self._proxy_pids.get(node, set())
        for pid in known - pids:
            children.known.pop(pid, None)
        for pid in sorted(pids - known):
            children.adopt(Child(pid, _comm(pid), node))
        self._proxy_pids[node] = pids


def _comm(pid: int) -> str:
    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
        return file.read().strip()
