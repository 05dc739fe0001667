"""A connection to a lab's supervisor: ask it, enter its nodes, run programs in them.

Every request has a connection of its own, so any number of threads may ask at once.
"""

from __future__ import annotations

import os
import socket
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netlab.kernel.channel import MAX_FDS, Channel, Disconnected, Message
from netlab.lab import state
from netlab.lab.client.launch import end
from netlab.lab.folder import read_file
from netlab.lab.peer import peer_of, refuse_others
from netlab.model.errors import EngineFailed, LabError, NoLabError, Position, UsageError, from_message

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

    from netlab.model.event import Happening
    from netlab.model.plan import Plan
    from netlab.plan.change import Change, History


#: Seconds that the supervisor may take for an answer: more than it waits for any process of its own.
PATIENCE = 30.0
#: The same for a change of the lab.
CHANGE_PATIENCE = 600.0


class Client:
    """A lab that stands. ``name`` and ``record`` (what ``lab.json`` says) are known without asking."""

    def __init__(self, record: state.Record) -> None:
        self.name = record.name
        self.path = record.path
        self.record = record.data
        self._folder = record.folder
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan:
        """The plan that was built; read at the first use. Raises LabError if another netlab wrote it."""
        if self._plan is None:
            from netlab.lab import codec

            try:
                self._plan = codec.loads(self._read("plan.json"))
            except (FileNotFoundError, ValueError) as error:
                raise LabError(
                    f"cannot read the plan of {self.name}: {error}; take it down and up again"
                ) from error
        return self._plan

    def _read(self, name: str) -> bytes:
        """A file of the lab's folder; raises FileNotFoundError, MachineError."""
        with self._folder() as folder:
            return read_file(folder, name)

    def connect(self) -> Channel:
        """A new control connection; raises LabError if the supervisor is gone, hangs or is another's."""
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
        """One question, one answer; raises the NetlabError that the supervisor answers with."""
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
        """:meth:`ask` on a connection that stays. ``patience``: seconds for the answer."""
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
            f"hangs; `netlab down {self.name}` ends it all the same"
        )

    def status(self) -> Message:
        """``phase`` and ``processes`` (pid in the lab, kind, node, label, returncode)."""
        return self.ask({"op": "status"})[0]

    def namespaces(self, nodes: Iterable[str]) -> dict[str, int]:
        """Descriptors of the nodes' network namespaces, the caller's to close; raises UsageError."""
        wanted = list(nodes)
        found: dict[str, int] = {}
        for at in range(0, len(wanted), MAX_FDS):
            some = wanted[at : at + MAX_FDS]
            _, fds = self.ask({"op": "namespaces", "nodes": some})
            found.update(zip(some, fds, strict=True))
        return found

    def pairs(self, node: str, since: int = 0) -> tuple[list[Any], bool]:
        """What the userland proxy of a host paired since (CLOCK_MONOTONIC ns): pairs, and whether all.

        Each is ``[when, protocol, client, asked, own, backend]``, addresses as ``[address, port]``.
        """
        answer, _ = self.ask({"op": "pairs", "node": node, "since": since})
        return answer["pairs"], answer["whole"]

    def enter(self, node: str | None) -> tuple[str, list[int]]:
        """The lab's private directory; descriptors: user, mount and PID namespace, the node's network."""
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
        """Start a program in a node, as a child of the supervisor; raises UsageError for no such node."""
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
        """Run ``main(args, fds, namespaces)`` of a module of netlab in the lab:
        :mod:`netlab.lab.supervisor.spawn`.
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
        """Whether it is known where the lab comes from; a lab made from a plan alone has no history."""
        try:
            self._read(state.HISTORY)
        except FileNotFoundError:
            return False
        return True

    @property
    def history(self) -> History:
        """Where the lab comes from and what happened to it; raises UsageError if nobody knows."""
        from netlab.lab import codec
        from netlab.version import __version__

        if self.record.get("version") != __version__:
            raise UsageError(f"{self.name} was built by another netlab: take it down and up again")
        try:
            return codec.load_history(self._read(state.HISTORY))
        except FileNotFoundError:
            raise UsageError(f"{self.name} was built from a plan: nothing can happen to its engine") from None
        except ValueError as error:
            raise LabError(f"cannot read the history of {self.name}: {error}") from error

    def change(self, lock: state.Lock, change: Change, record: Mapping[str, Any]) -> list[str]:
        """Turn the lab into what ``change`` says; returns warnings. ``lock`` is the lab's.

        ``record`` is what ``lab.json`` is to say of it. Connections and rules that have nothing to do with
        it stay. Raises NetlabError.
        """
        from netlab.lab import codec
        from netlab.lab.client.launch import memory_file

        found = tuple((host, seen.rulesets, seen.sysctls) for host, seen in change.found.items())
        texts = (codec.dumps(change.plan), codec.dump_history(change.history), codec.dump(found))
        message = {
            "op": "change",
            "renewed": change.renewed,
            "flushed": change.flushed,
            "reloaded": change.reloaded,
            "record": record,
        }
        fds = [memory_file(text) for text in texts]
        try:
            answer, _ = self.ask(message, [*fds, lock.fd], patience=CHANGE_PATIENCE)
        finally:
            for fd in fds:
                os.close(fd)
        self._plan = change.plan
        self.record.update(record)
        warnings: list[str] = answer["warnings"]
        return warnings

    def do(
        self, event: str, where: str = "event", lock: state.Lock | None = None
    ) -> tuple[tuple[Happening, ...], list[str]]:
        """Change the lab's engine, in the words of ``netlab do``: ``lab.do("restart httpd")``.

        Returns what happened, in the engine's terms, and warnings. ``where`` stands before the errors of the
        words; ``lock``: the lab's, if the caller has it. The engine acts on the host as it is, whatever
        others have done there; namespaces, connections and rules that have nothing to do with it stay. Raises
        ScenarioError for what is no event, UsageError where the engine refuses it or the lab was made from a
        plan alone, EngineFailed where the engine fails midway, as the real one would.
        """
        from netlab.lab.client.commands import known_chains, run_commands
        from netlab.lab.client.observe import observe
        from netlab.lab.options import counts_of
        from netlab.plan.change import check_hosts, happen
        from netlab.plan.commands import commands_of
        from netlab.scenario.events import is_command, parse_event

        asked = parse_event(event, Position(where, 1, 1), known_chains(self.plan))
        with nullcontext(lock) if lock is not None else state.Lock(self.name) as held:
            if is_command(asked):
                check_hosts(self.history.scenario, asked)
                commands = commands_of(self.history.scenario, asked)
                named = [replace(one, node=resolve(self.plan, one.node)) for one in commands]
                return run_commands(self, named), []
            change = happen(self.history, asked, observe(self))
            if not change.events:
                return (), []
            record = {"digest": "", **counts_of(change.plan)}
            warnings = self.change(held, change, record)
            if change.failed:
                raise EngineFailed("\n".join(change.failed))
            return change.events, warnings

    def exec(
        self,
        node: str,
        argv: Sequence[str],
        *,
        input: str | None = None,
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in a node and wait for it, as :func:`subprocess.run` does with captured text.

        Raises UsageError for an unknown node, subprocess.TimeoutExpired (the program is killed), with
        ``check`` subprocess.CalledProcessError.
        """
        found = resolve(self.plan, node)
        return collect(self, found, argv, given=input, timeout=timeout, env=env, cwd=cwd, check=check)

    def down(self) -> None:
        """End the lab; returns when nothing of it is left but what the kernel takes apart by itself."""
        try:
            channel = self.connect()
        except LabError:
            if state.Record(self.name, self.path, self.record).alive:
                raise  # it takes no more connections, or what answers is not the lab's supervisor
            return  # it went by itself
        try:
            pidfd = _pidfd_of_peer(channel.sock)
            try:
                end(pidfd, channel)
            finally:
                if pidfd is not None:
                    os.close(pidfd)
        except ProcessLookupError:
            pass
        finally:
            channel.close()


#: include/uapi/asm-generic/socket.h, since Linux 6.5
_SO_PEERPIDFD = 77


def _pidfd_of_peer(sock: socket.socket) -> int | None:
    """A pidfd of the process at the other end; raises ProcessLookupError if it is gone.

    None if the kernel names it by its PID only, and that is of another PID namespace.
    """
    try:
        return sock.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except ProcessLookupError:
        raise
    except OSError:
        pid = peer_of(sock)[0]
    return os.pidfd_open(pid) if pid else None


class Process:
    """A process that the supervisor runs for us; killed, with its children, when this is closed.

    ``pid`` is its number in the lab's PID namespace. ``returncode`` as :class:`subprocess.Popen` counts it.
    """

    def __init__(self, channel: Channel, pid: int) -> None:
        self._channel = channel
        self.pid = pid
        self.returncode: int | None = None

    def fileno(self) -> int:
        """Readable once the process has ended: for poll."""
        return self._channel.fileno()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises TimeoutError, or LabError if the lab ended first."""
        if self.returncode is None:
            self._channel.sock.settimeout(timeout)
            try:
                message, _ = self._channel.receive()
            except Disconnected:
                raise LabError("the lab ended while a process of it was waited for") from None
            self.returncode = message["returncode"]
        assert self.returncode is not None
        return self.returncode

    def signal(self, number: int) -> None:
        """Send a signal to the process and its children."""
        self._channel.send({"op": "signal", "pid": self.pid, "signal": number})

    def close(self) -> None:
        """Kill it if it still runs."""
        self._channel.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def attach(name: str) -> Client:
    """A connection to the running lab of that name; raises NoLabError with a suggestion.

    ::

        lab = netlab.attach("shop")
        print(lab.exec("web", ["ip", "-br", "address"]).stdout)
        lab.do("restart web")
    """
    record = state.read(name)
    if record is not None and record.ready:
        return Client(record)
    standing = [found.name for found in state.standing()]
    raise NoLabError(_no_lab(name, standing))


def _no_lab(name: str, standing: list[str]) -> str:
    import difflib

    if not standing:
        return f"no lab {name!r}: none is up (netlab up FILE)"
    near = difflib.get_close_matches(name, standing, 1)
    hint = f"did you mean {near[0]}?" if near else "up: " + ", ".join(standing)
    return f"no lab {name!r} is up ({hint})"


def find_node(text: str) -> tuple[Client, str]:
    """The lab and node that ``LAB.NODE`` names, or ``NODE`` where one lab is up; raises UsageError.

    ``service/N``, ``host/N`` and ``outside/N`` say which kind of node is meant.
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
        raise UsageError(f"no node {text!r}: no lab is up (netlab up FILE)")
    names = ", ".join(found.name for found in standing)
    raise UsageError(f"say LAB.{text}: several labs are up ({names})")


_KINDS = {"service": "container", "host": "host", "outside": "outside"}


def resolve(plan: Plan, text: str) -> str:
    """The name of a node in the plan; raises UsageError with a suggestion."""
    kind, slash, name = text.partition("/")
    for node in plan.nodes:
        if node.kind == "segment":
            continue
        mine = slash and node.kind == _KINDS.get(kind) and node.name in (name, f"{kind}-{name}")
        if node.name == text or mine:
            return node.name
    import difflib

    names = [node.name for node in plan.nodes if node.kind != "segment"]
    near = difflib.get_close_matches(text, names, 1)
    few = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    hint = f"did you mean {near[0]}?" if near else f"there are: {few}"
    raise UsageError(f"the lab {plan.name} has no node {text!r} ({hint})")


def collect(
    client: Client,
    node: str,
    argv: Sequence[str],
    *,
    given: str | None = None,
    timeout: float | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """:func:`subprocess.run` with captured text, in a node: input and output are files, so nothing blocks.

    Raises subprocess.TimeoutExpired and CalledProcessError, UsageError for an unknown node.
    """
    import subprocess

    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        if given is not None:
            stdin.write(given.encode())
            stdin.seek(0)
        stdio = (stdin.fileno(), out.fileno(), err.fileno())
        with client.start(node, argv, stdio=stdio, env=env, cwd=cwd) as process:
            try:
                code = process.wait(timeout)
            except TimeoutError:
                raise subprocess.TimeoutExpired(list(argv), timeout or 0, _text(out.fileno())) from None
        stdout, stderr = _text(out.fileno()), _text(err.fileno())
    if check and code != 0:
        raise subprocess.CalledProcessError(code, list(argv), stdout, stderr)
    return subprocess.CompletedProcess(list(argv), code, stdout, stderr)


def _text(fd: int) -> str:
    size = os.fstat(fd).st_size
    return os.pread(fd, size, 0).decode(errors="replace") if size else ""
