"""The processes that have a host's published ports: userland proxies, and processes that only hold ports.

Those of rootless containers (pasta, slirp4netns, rootlessport) are proxies, too, one process a container.

A listener names its process, and has a backend if that process is a proxy (docker-proxy). ``shared``: one
process serves all of a proxy's listeners. ``per-port``: one process per listener, with docker-proxy's command
line, as in Docker. A path: that program, one process per listener. Ports that are only held (by dockerd,
conmon) belong to one process of each name.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netlab.kernel import netns
from netlab.kernel.process import STOPPED, state
from netlab.lab.services.user_networks import Places
from netlab.model.errors import LabError
from netlab.model.plan import Listener
from netlab.proxy import child, sockets
from netlab.proxy.server import LINES, PACKET, Inside
from netlab.proxy.spec import UDP_TIMEOUT, Spec

if TYPE_CHECKING:
    import _socket

#: Seconds that a real docker-proxy may take to report that it is ready.
READY_TIMEOUT = 10.0
#: Seconds that netlab's proxy may take for an answer, and between two checks whether it is stopped.
ANSWER_TIMEOUT, LOOK = 10.0, 0.1
#: Seconds until a proxy of netlab is killed if it does not end on request.
END_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class ProxiedConnection:
    """A client's connection and the proxy's connection for it: proof that two legs belong to one journey.

    Addresses are (address, port); ``when`` is CLOCK_MONOTONIC in ns. ``asked`` is the address that the
    client's connection has on the host, after any DNAT.
    """

    when: int
    protocol: str
    client: tuple[str, int]
    asked: tuple[str, int]
    own: tuple[str, int]
    backend: tuple[str, int]


def spec_of(listener: Listener, udp_timeout: float = UDP_TIMEOUT) -> Spec:
    """The listener in the proxy's words."""
    backend = listener.backend
    return Spec(
        listener.protocol,
        listener.address,
        listener.port,
        listener.v6only,
        None if backend is None else (backend.address, backend.port),
        listener.backlog,
        "-use-listen-fd" in listener.argv,
        udp_timeout,
    )


def _is_proxy(listener: Listener) -> bool:
    """Whether a proxy answers; otherwise, the port is only held."""
    return listener.backend is not None


def command_line(listener: Listener) -> tuple[str, ...]:
    """docker-proxy's command line: the plan's, or as dockerd would write it."""
    if listener.argv:
        return listener.argv if listener.argv[0] == listener.process else (listener.process, *listener.argv)
    assert listener.backend is not None
    return (
        listener.process,
        *("-proto", listener.protocol, "-host-ip", listener.address, "-host-port", str(listener.port)),
        *("-container-ip", listener.backend.address, "-container-port", str(listener.backend.port)),
    )


@dataclass(slots=True)
class _Process:
    """One process and its listeners. ``control`` is None for a program that is not netlab's."""

    name: str
    pid: int
    pidfd: int
    control: _socket.socket | None
    keys: set[str]
    inside: str = ""  #: the rootless container that it is for
    owed: int = 0  #: answers that it has yet to give

    def request(self, verb: str, lines: Iterable[str]) -> list[str]:
        """Ask, and wait for the whole answer; raises LabError if the process is gone, or does not answer.

        The answer to an earlier request, which came too late, is passed over.
        """
        assert self.control is not None
        answer: list[str] = []
        until = time.monotonic() + ANSWER_TIMEOUT
        try:
            try:
                self.control.send("\n".join([verb, *lines]).encode())
            except ConnectionError:
                pass  # gone; its last words are still to be read
            self.owed += 1
            while True:
                head, *rest = self._receive(until).decode().split("\n")
                if head not in ("more", "done"):
                    raise LabError(f"{self.name} (pid {self.pid}) has died: {' '.join(rest) or 'killed'}")
                if self.owed == 1:
                    answer += rest
                if head == "done":
                    self.owed -= 1
                if not self.owed:
                    return answer
        except TimeoutError as error:
            raise LabError(f"{self.name} (pid {self.pid}) does not answer: {error}") from None
        except BlockingIOError:
            raise LabError(
                f"{self.name} (pid {self.pid}) does not answer and accepts no more requests"
            ) from None
        except OSError as error:
            raise LabError(f"{self.name} (pid {self.pid}) has died: {error.strerror}") from error

    def _receive(self, until: float) -> bytes:
        """The next packet; raises TimeoutError. If the process ended without reading everything, this is
        reported once, before its last messages.
        """
        assert self.control is not None
        poll = select.poll()
        poll.register(self.control.fileno(), select.POLLIN)
        while not poll.poll(LOOK * 1000):
            if state(self.pid) in STOPPED:
                raise TimeoutError("it is stopped (kill -CONT lets it go on)")
            if time.monotonic() > until:
                raise TimeoutError(f"{ANSWER_TIMEOUT:.0f} s have passed")
        try:
            return self.control.recv(PACKET)
        except ConnectionResetError:
            return self.control.recv(PACKET)

    def end(self) -> None:
        """End it and wait until it is gone, whichever process reaps it."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        if self.control is not None:
            self.control.close()  # netlab's proxy ends then, and its helper before it
        patience = 0.0 if self.control is None or state(self.pid) in STOPPED else END_TIMEOUT
        if not poll.poll(patience * 1000):
            with contextlib.suppress(ProcessLookupError):  # it ended and was reaped
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            poll.poll(END_TIMEOUT * 1000)  # all except one that the kernel cannot end
        with contextlib.suppress(ChildProcessError):  # the supervisor's own loop was faster
            os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG)
        os.close(self.pidfd)


class Proxies:
    """The listeners of one host. Not thread-safe: it forks, as a single-threaded supervisor may."""

    def __init__(
        self, netns_fd: int, mode: str, udp_timeout: float = UDP_TIMEOUT, places: Places | None = None
    ) -> None:
        self._places = places
        self._udp_timeout = udp_timeout
        self._netns = netns_fd
        self._mode = mode
        self._processes: list[_Process] = []

    @classmethod
    def start(
        cls,
        netns_fd: int,
        listeners: Sequence[Listener],
        mode: str = "shared",
        udp_timeout: float = UDP_TIMEOUT,
        places: Places | None = None,
    ) -> Proxies:
        """Bind all listeners in the namespace behind ``netns_fd``, which stays open as long as this.

        ``udp_timeout`` is the time in seconds until a UDP flow ends after its last answer (always 90 in a
        real docker-proxy). ``places``: the programs that are networks of rootless containers. Returns when
        all listeners are bound. Raises LabError with the first one that could not be bound, and the reason;
        then none is left.
        """
        proxies = cls(netns_fd, mode, udp_timeout, places)
        try:
            for program, node in places.networks if places is not None else ():
                proxies._fork(program, (program,), inside=node)
            proxies.add(*listeners)
        except BaseException:
            proxies.close()
            raise
        return proxies

    def add(self, *listeners: Listener) -> None:
        """Bind more listeners; raises LabError after closing all listeners of this call."""
        done: list[Listener] = []
        try:
            for group in self._groups(listeners):
                done += group
                self._bind(self._process_for(group[0]), group)
        except BaseException:
            for listener in done:
                if self._owner(spec_of(listener).key) is not None:
                    self.remove(listener)
            self._sweep()
            raise

    def remove(self, listener: Listener) -> None:
        """Close a listener; raises LabError if it does not exist.

        Its connections are cut, as when a docker-proxy ends.
        """
        spec = spec_of(listener)
        process = self._owner(spec.key)
        if process is None:
            raise LabError(f"nothing of this host listens on {spec}")
        process.keys.discard(spec.key)
        if process.control is not None:
            process.request("remove", [spec.key])
        self._sweep()

    def pairs(self, since: int = 0) -> tuple[tuple[ProxiedConnection, ...], bool]:
        """The pairs since ``since`` (CLOCK_MONOTONIC ns), oldest first, and whether these are all.

        Each process remembers its last 4096. A program that is not netlab's reports none: then these are not
        all.
        """
        found: list[ProxiedConnection] = []
        whole = True
        for process in self._processes:
            if process.control is None:
                whole = False
                continue
            complete, *lines = process.request("pairs", [str(since)])
            whole = whole and complete == "1"
            found += map(_pair, lines)
        found.sort(key=lambda pair: pair.when)
        return tuple(found), whole

    def pids(self) -> tuple[int, ...]:
        """The processes that hold the listeners, in the order in which they were started."""
        return tuple(process.pid for process in self._processes)

    def close(self) -> None:
        """End all processes; returns when they are gone."""
        while self._processes:
            self._processes.pop().end()

    def let_go(self) -> None:
        """Close the descriptor of the namespace, in which nothing more is started."""
        os.close(self._netns)

    def _groups(self, listeners: Sequence[Listener]) -> Iterator[list[Listener]]:
        """The listeners that one request can add: same process, no longer than a packet."""
        kinds: dict[tuple[bool, str, str], list[Listener]] = {}
        for listener in sorted(listeners, key=_is_proxy):
            key = (_is_proxy(listener), listener.process, listener.inside)
            kinds.setdefault(key, []).append(listener)
        for (proxy, _, inside), kind in kinds.items():
            size = 1 if proxy and self._mode != "shared" and not inside else LINES
            for start in range(0, len(kind), size):
                yield kind[start : start + size]

    def _owner(self, key: str) -> _Process | None:
        return next((process for process in self._processes if key in process.keys), None)

    def _sweep(self) -> None:
        """End processes without listeners; Docker has none either."""
        networks = self._places.networks if self._places is not None else {}
        idle = [one for one in self._processes if not one.keys and (one.name, one.inside) not in networks]
        for process in idle:
            self._processes.remove(process)
            process.end()

    def _enter(self) -> None:
        netns.enter(self._netns)

    def _process_for(self, listener: Listener) -> _Process | None:
        """Our process that is to bind the listener, or None: a program of its own."""
        if not _is_proxy(listener) or listener.inside or self._mode == "shared":
            for process in self._processes:
                if (process.name, process.inside) == (listener.process, listener.inside):
                    return process
            if listener.inside:
                return self._fork(listener.process, (listener.process,), inside=listener.inside)
            argv = (listener.process, "--shared") if _is_proxy(listener) else (listener.process,)
            return self._fork(listener.process, argv, helped=True)
        if self._mode == "per-port":
            return self._fork(listener.process, command_line(listener))
        return None

    def _fork(self, name: str, argv: Sequence[str], *, helped: bool = False, inside: str = "") -> _Process:
        place: AbstractContextManager[Inside | None] = nullcontext(None)
        if inside:
            assert self._places is not None
            place = self._places.inside(name, inside, self._netns)
        try:
            with place as found:
                pid, control = child.serve(argv, self._enter, helped=helped, inside=found)
        except OSError as error:
            raise LabError(f"starting {name}: {error.strerror}") from error
        control.setblocking(False)
        process = _Process(name, pid, os.pidfd_open(pid), control, set(), inside)
        self._processes.append(process)
        return process

    def _bind(self, process: _Process | None, listeners: Sequence[Listener]) -> None:
        """Have ``listeners`` bound; raises LabError naming the first that cannot be."""
        if process is None:
            self._execute(listeners[0])
            return
        specs = [spec_of(listener, self._udp_timeout) for listener in listeners]
        failed = process.request("add", [spec.encode() for spec in specs])
        reasons = {key: int(code) for code, key in (line.split(" ", 1) for line in failed)}
        process.keys |= {spec.key for spec in specs} - reasons.keys()
        for spec in specs:
            if spec.key in reasons:
                raise _refused(process.name, spec, os.strerror(reasons[spec.key]))

    def _execute(self, listener: Listener) -> None:
        """Start the real program for one listener and read that it is ready; raises LabError."""
        spec = spec_of(listener)
        sock = None
        if "-use-listen-fd" in listener.argv:
            with netns.entered(self._netns):
                try:
                    sock = sockets.listen(spec)
                except OSError as error:
                    raise _refused(listener.process, spec, os.strerror(error.errno or 0)) from error
        pid, ready = child.execute(
            self._mode, command_line(listener), self._enter, None if sock is None else sock.fileno()
        )
        if sock is not None:
            sock.close()
        process = _Process(listener.process, pid, os.pidfd_open(pid), None, set())
        self._processes.append(process)
        poll = select.poll()
        poll.register(ready, select.POLLIN)
        answer = (
            os.read(ready, 4096).decode(errors="replace")
            if poll.poll(READY_TIMEOUT * 1000)
            else "1\nit says nothing"
        )
        os.close(ready)
        if not answer.startswith("0\n"):
            reason = answer.partition("\n")[2].strip() or "it ended without a word"
            raise _refused(self._mode, spec, reason)
        process.keys.add(spec.key)


def _refused(name: str, spec: Spec, reason: str) -> LabError:
    return LabError(f"{name} cannot listen on {spec}: {reason}")


def _pair(line: str) -> ProxiedConnection:
    when, protocol, *words = line.split(" ")
    client, asked, own, backend = ((words[i], int(words[i + 1])) for i in range(0, 8, 2))
    return ProxiedConnection(int(when), protocol, client, asked, own, backend)
