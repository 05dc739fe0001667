"""The process that speaks HTTP: it has no rights, and draws what the tracing process sends it.

::

    ← {"ready": true}, or an error               the port is served
    → {"journey": …, "when": seconds}            as they happen
    → {"rules": …}                               somebody changed them
    → {"ended": "why"}, or the end of the socket
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from uvicorn import Config, Server

from netlab.kernel import descriptors, unprivileged
from netlab.kernel.channel import MAX_LINE_BETWEEN_OURS, Channel, Disconnected
from netlab.model.error_messages import to_message
from netlab.model.journey import Journey
from netlab.version import __version__
from netlab.view.page.live import LivePage
from netlab.web.application import Events, application
from netlab.web.rules_message import decode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netlab.model.plan import Plan
    from netlab.plan.live_rules import Rules

#: journeys that wait to be drawn; if more come, the oldest of them are skipped
_WAITING: Final = 300
#: connections at the same time, open pages included
_CONNECTIONS: Final = 64
#: seconds that the process has for its end, once it was told to
_PATIENCE: Final = 3.0


def serve(
    plan: Plan, rules: Mapping[str, Rules], token: str, listener: socket.socket, sock: socket.socket
) -> None:
    """Serve a lab's page on ``listener`` until the other end of ``sock`` tells that it ended, or ends."""
    channel = Channel(sock, MAX_LINE_BETWEEN_OURS)
    try:
        page = LivePage(plan, rules, __version__)
        asyncio.run(_load_all(page))
        server = _server(page, token)
        unprivileged.give_up()
    except BaseException as error:
        channel.send(to_message(error, "starting the page's server"))
        return
    channel.send({"ready": True})
    asyncio.run(server.run_on(listener, channel))


async def _load_all(page: LivePage) -> None:
    """Answer a request of each kind, so that everything is loaded while the process may read its files."""
    events = Events()
    events.publish("ended", {}, last=True)
    warm = application("warm", lambda: page.document(0), events)

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()  # the caller says nothing more
        raise AssertionError

    async def send(_: object) -> None:
        pass

    for path in ("/warm/", "/warm/events", "/cold/"):
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
            "method": "GET", "scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "",
            "query_string": b"after=0", "headers": [(b"host", b"localhost")],
        }  # fmt: skip
        await warm(scope, receive, send)


def _server(page: LivePage, token: str) -> _Server:
    events = Events()
    config = Config(
        application(token, lambda: page.document(events.last), events),
        loop="asyncio", http="h11", ws="none", lifespan="off", interface="asgi3", log_config=None,
        access_log=False, server_header=False, proxy_headers=False, limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=1, h11_max_incomplete_event_size=16384,
    )  # fmt: skip
    config.load()
    return _Server(config, page, events)


class _Server(Server):
    """uvicorn's server, and what comes from the tracing process."""

    def __init__(self, config: Config, page: LivePage, events: Events) -> None:
        super().__init__(config)
        self._page = page
        self._events = events
        self._waiting: deque[tuple[dict[str, Any], float]] = deque()
        self._drawing = False
        self._skipped = 0

    async def run_on(self, listener: socket.socket, channel: Channel) -> None:
        """Serve until the channel ends."""
        channel.sock.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_reader(channel.sock, self._read, loop, channel)
        await self.serve([listener])

    def _read(self, loop: asyncio.AbstractEventLoop, channel: Channel) -> None:
        try:
            channel.fill()
            while (found := channel.take()) is not None:
                self._heard(found[0])
        except Disconnected:
            loop.remove_reader(channel.sock)
            self._end("netlab serve has ended.")
        if self._waiting and not self._drawing:
            self._drawing = True
            loop.call_soon(self._draw, loop)

    def _heard(self, message: dict[str, Any]) -> None:
        if "journey" in message:
            self._waiting.append((message["journey"], message["when"]))
            if len(self._waiting) > _WAITING:
                self._waiting.popleft()
                self._skipped += 1
        elif "rules" in message:
            self._events.publish("rules", self._page.replace_rules(decode(message["rules"])))
        else:
            self._end(message["ended"])

    def _draw(self, loop: asyncio.AbstractEventLoop) -> None:
        """One journey; requests are answered before the next one."""
        journey, when = self._waiting.popleft()
        drawn = self._page.add(Journey.from_json(journey), when)
        self._events.publish("journey", {**drawn, "skipped": self._skipped})
        self._drawing = bool(self._waiting)
        if self._drawing:
            loop.call_soon(self._draw, loop)

    def _end(self, why: str) -> None:
        if not self._events.ended:
            self._events.publish("ended", {"text": why}, last=True)
        self.should_exit = True


class Page:
    """The serving process, from the tracing process's side: started at once, ended by :meth:`close`.

    ``port`` 0 is any that is free. Raises OSError if the port cannot be had, MachineError if the process
    cannot give up its rights.
    """

    def __init__(self, plan: Plan, rules: Mapping[str, Rules], token: str, port: int = 0) -> None:
        with socket.create_server(("127.0.0.1", port)) as listener:
            self.port: int = listener.getsockname()[1]
            ours, theirs = socket.socketpair()
            with theirs:
                self.pid = _start(plan, rules, token, listener, theirs)
        self._channel = Channel(ours, MAX_LINE_BETWEEN_OURS)
        try:
            self._channel.answer("the page's server")
        except BaseException:
            self.close()
            raise

    def journey(self, journey: Journey, when: float) -> None:
        """Show a journey."""
        self._send({"journey": journey.to_json(), "when": when})

    def rules(self, rules: list[Any]) -> None:
        """Show other rules, as :func:`netlab.web.rules_message.encode` gives them."""
        self._send({"rules": rules})

    def end(self, why: str) -> None:
        """Tell open pages that nothing comes any more."""
        self._send({"ended": why})

    def _send(self, message: dict[str, Any]) -> None:
        # Whoever waits for the process is told by SIGCHLD.
        with suppress(Disconnected):
            self._channel.send(message)

    def returncode(self) -> int | None:
        """Its return code, once it has ended by itself."""
        pid, status = os.waitpid(self.pid, os.WNOHANG) if self.pid else (0, 0)
        if not pid:
            return None
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """End it; idempotent."""
        self._channel.close()
        if self.pid:
            pid, self.pid = self.pid, 0
            _reap(pid)


def _start(
    plan: Plan, rules: Mapping[str, Rules], token: str, listener: socket.socket, sock: socket.socket
) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        unprivileged.end_with_parent()
        os.setsid()  # Ctrl-C is for the command line, which ends this process in its own time
        null = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        descriptors.close_all_but((listener.fileno(), sock.fileno()))
        serve(plan, rules, token, listener, sock)
        code = 0
    finally:
        os._exit(code)


def _reap(pid: int) -> None:
    """Wait for a process that was told to end, and end it if it does not."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not select.select([pidfd], [], [], _PATIENCE)[0]:
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # its end was seen already
    finally:
        os.close(pidfd)
