"""A connection to a lab's supervisor: send requests, enter nodes, run programs in them.

Every request uses its own socket, so any number of threads may send requests at once.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from netlab.first_use import at_first_use
from netlab.kernel.channel import MAX_FDS, Channel, Disconnected, Message
from netlab.lab import state
from netlab.lab.client.launch import end
from netlab.lab.client.nodes import resolve
from netlab.lab.client.process import Process
from netlab.lab.folder import read_file
from netlab.lab.peer import pidfd_of_peer, refuse_others
from netlab.model.error_messages import from_message
from netlab.model.errors import LabError, NoLabError, NoNodeError, SeveralLabsError
from netlab.model.near import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from netlab.model.plan import Plan


#: The classes of a plan take longer to import than all else here, and `down` needs none of them.
_codec = at_first_use(__name__, {"loads": "netlab.lab.codec"})
#: Seconds to wait for the supervisor's answer: longer than it waits for any of its own processes.
PATIENCE = 30.0


class Client:
    """A connection to a running lab, from :func:`netlab.attach` or :func:`netlab.up`.

    ::

        lab = netlab.attach("shop")
        print(lab.name, lab.record["files"], lab.record["warnings"])

    ``name``, ``path`` (the lab's folder) and ``record`` (the contents of its ``lab.json``) need no request.
    All other members raise LabError if the lab is gone or does not answer.
    """

    def __init__(self, record: state.Record) -> None:
        self.name = record.name
        self.path = record.path
        self.record = record.data
        self._folder = record.folder
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan:
        """The plan that was built; read at the first use.

        ::

            print([node.name for node in lab.client.plan.nodes])

        Raises LabError if another version of netlab wrote it.
        """
        if self._plan is None:
            try:
                loads: Any = _codec("loads")
                self._plan = loads(self._read("plan.json"))
            except (FileNotFoundError, ValueError) as error:
                raise LabError(
                    f"cannot read the plan of {self.name}: {error}; take the lab down and up again"
                ) from error
        return self._plan

    def _became(self, plan: Plan, record: Mapping[str, Any]) -> None:
        """The lab was changed: to ``plan``, and with this in its record."""
        self._plan = plan
        self.record.update(record)

    def _read(self, name: str) -> bytes:
        """Read a file in the lab's folder; raises FileNotFoundError, MachineError."""
        with self._folder() as folder:
            return read_file(folder, name)

    def connect(self) -> Channel:
        """Open a control socket, for several requests in a row.

        ::

            channel = lab.client.connect()
            answer, fds = lab.client.converse(channel, {"op": "status"})
            channel.close()

        Raises LabError if the supervisor is gone, hangs or belongs to another user.
        """
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(PATIENCE)
        try:
            with self._folder() as folder:
                sock.connect(f"/proc/self/fd/{folder}/control")
            refuse_others(sock)
        except (TimeoutError, BlockingIOError):
            sock.close()
            raise self._hangs() from None
        except OSError as error:
            sock.close()
            raise self._gone() from error
        except BaseException:
            sock.close()
            raise
        return Channel(sock)

    def ask(
        self, message: Message, fds: list[int] | None = None, *, patience: float = PATIENCE
    ) -> tuple[Message, list[int]]:
        """Send one request; returns the answer and the file descriptors that came with it.

        ::

            answer, fds = lab.client.ask({"op": "status"})

        ``patience`` is in seconds. Raises the NetlabError that the supervisor answers with.
        """
        channel = self.connect()
        try:
            return self.converse(channel, message, fds, patience=patience)
        finally:
            channel.close()

    def converse(
        self,
        channel: Channel,
        message: Message,
        fds: list[int] | None = None,
        *,
        patience: float = PATIENCE,
    ) -> tuple[Message, list[int]]:
        """Like :meth:`ask`, on a socket that stays open: see :meth:`connect`.

        ::

            channel = lab.client.connect()
            answer, fds = lab.client.converse(channel, {"op": "status"}, patience=5.0)
        """
        try:
            channel.sock.settimeout(patience)
            channel.send(message, fds)
            answer, brought = channel.receive()
            channel.sock.settimeout(None)
        except TimeoutError:
            raise self._hangs() from None
        except Disconnected:
            raise self._gone() from None
        if answer["event"] == "error":
            raise from_message(answer, f"asking the supervisor of {self.name}")
        return answer, brought

    def _gone(self) -> LabError:
        return LabError(f"the lab {self.name} is gone: its supervisor does not answer")

    def _hangs(self) -> LabError:
        return LabError(
            f"the supervisor of {self.name} does not answer: it is stopped, or "
            f"hangs; `netlab down {self.name}` ends it nevertheless"
        )

    def status(self) -> Message:
        """The lab's ``phase`` and its ``processes`` (pid in the lab, kind, node, label, returncode).

        ::

            for process in lab.client.status()["processes"]:
                print(process["pid"], process["kind"], process["node"])
        """
        return self.ask({"op": "status"})[0]

    def namespaces(self, nodes: Iterable[str]) -> dict[str, int]:
        """File descriptors of the nodes' network namespaces, for you to close.

        ::

            found = lab.client.namespaces(["client", "host"])
            for fd in found.values():
                os.close(fd)

        Raises NoNodeError.
        """
        wanted = list(nodes)
        found: dict[str, int] = {}
        for at in range(0, len(wanted), MAX_FDS):
            some = wanted[at : at + MAX_FDS]
            _, fds = self.ask({"op": "namespaces", "nodes": some})
            found.update(zip(some, fds, strict=True))
        return found

    def pairs(self, node: str, since: int = 0) -> tuple[list[Any], bool]:
        """The connections that a host's userland proxy has relayed since a time (CLOCK_MONOTONIC, ns).

        ::

            pairs, whole = lab.client.pairs("host")

        Each pair is ``[when, protocol, client, asked, own, backend]``, with addresses as ``[address, port]``.
        ``whole`` is false if some pairs are missing. Raises NoNodeError.
        """
        answer, _ = self.ask({"op": "pairs", "node": node, "since": since})
        return answer["pairs"], answer["whole"]

    def enter(self, node: str | None) -> tuple[str, list[int]]:
        """What a program needs to enter the lab: its private directory, and file descriptors.

        ::

            private, fds = lab.client.enter("client")

        The descriptors are those of the user, mount and PID namespaces, and of the node's network namespace
        if you name a node. They are yours to close. Raises NoNodeError.
        """
        answer, fds = self.ask({"op": "enter", "node": node})
        return answer["private"], fds

    def start(
        self,
        node: str,
        argv: Sequence[str],
        *,
        stdio: tuple[int, int, int] = (0, 1, 2),
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> Process:
        """Start a program in a node, as a child of the supervisor.

        ::

            with lab.client.start("client", ["ping", "-c1", "198.51.100.1"]) as process:
                print(process.wait(timeout=5))

        ``stdio`` are the program's stdin, stdout and stderr; default: yours. Raises NoNodeError.
        """
        message = {
            "op": "spawn",
            "node": node,
            "argv": list(argv),
            "env": dict(os.environ if env is None else env),
            "cwd": cwd or os.getcwd(),
        }
        return self._start(message, list(stdio))

    def start_module(
        self,
        module: str,
        args: Sequence[str] = (),
        *,
        nodes: Iterable[str] = (),
        fds: Sequence[int] = (),
        stdio: tuple[int, int, int] = (0, 1, 2),
    ) -> Process:
        """Run ``main(args, fds, namespaces)`` of a netlab module in the lab.

        ::

            with lab.client.start_module("netlab.lab.node.socket_list", nodes=["host"]) as process:
                process.wait()

        See :mod:`netlab.lab.supervisor.spawn`. Raises NoNodeError.
        """
        message = {"op": "spawn", "module": module, "args": list(args), "nodes": list(nodes)}
        return self._start(message, [*stdio, *fds])

    def _start(self, message: Message, fds: list[int]) -> Process:
        channel = self.connect()
        try:
            answer, _ = self.converse(channel, message, fds)
        except BaseException:
            channel.close()
            raise
        return Process(channel, answer["pid"])

    @property
    def has_history(self) -> bool:
        """Whether the lab was built from a scenario; a lab built from a plan alone has no history.

        ::

            if lab.client.has_history:
                lab.do("restart httpd")
        """
        try:
            self._read(state.HISTORY)
        except FileNotFoundError:
            return False
        return True

    def down(self) -> None:
        """Take the lab down; returns when only the kernel's own cleanup is left.

        ::

            netlab.attach("shop").down()
        """
        try:
            channel = self.connect()
        except LabError:
            if state.Record(self.name, self.path, self.record).alive:
                raise  # it accepts no connections, or something else answers
            return  # it ended by itself
        try:
            pidfd = pidfd_of_peer(channel.sock)
            try:
                end(pidfd, channel)
            finally:
                if pidfd is not None:
                    os.close(pidfd)
        except ProcessLookupError:
            pass
        finally:
            channel.close()


def find_lab(name: str) -> Client:
    """The running lab of that name; raises NoLabError with a suggestion."""
    return Client(find_record(name))


def find_record(name: str) -> state.Record:
    """The record of the running lab of that name; raises NoLabError with a suggestion."""
    record = state.read(name)
    if record is not None and record.ready:
        return record
    standing = [found.name for found in state.standing()]
    raise NoLabError(_no_lab(name, standing))


def _no_lab(name: str, standing: list[str]) -> str:
    if not standing:
        return f"no lab {name!r}: none is up (netlab up FILE)"
    near = nearest(name, standing)
    hint = f"did you mean {near}?" if near else "up: " + ", ".join(standing)
    return f"no lab {name!r} is up ({hint})"


def find_node(text: str) -> tuple[Client, str]:
    """The lab and node that ``LAB.NODE`` names, or ``NODE`` if only one lab is up; raises UsageError.

    ``service/N``, ``host/N`` and ``outside/N`` say which kind of node you mean.
    """
    lab, dot, node = text.partition(".")
    record = state.read(lab) if dot else None
    if record is not None and record.ready:
        client = Client(record)
        return client, resolve(client.plan, node)
    standing = state.standing()
    if len(standing) == 1:
        client = Client(standing[0])
        return client, resolve(client.plan, text)
    if dot:
        raise NoLabError(_no_lab(lab, [found.name for found in standing]))
    if not standing:
        raise NoNodeError(f"no node {text!r}: no lab is up (netlab up FILE)")
    names = [found.name for found in standing]
    what = f"several labs are up ({', '.join(names)}): write LAB.{text}"
    raise SeveralLabsError(what, names, text)
