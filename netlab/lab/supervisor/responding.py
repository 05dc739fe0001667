"""The responder from the supervisor's side: start it, give it orders, restart it when it dies.

::

    supervisor ──fork──▶ responder         everything that it is to listen on
        │  ◀── answer ──────┤              what this kernel cannot do, or an error
        ├──── order ───────▶│              ports to close and to open, when the lab is changed
        │  ◀── answer ──────┤
        │              ✗ dies              a new one is forked, with what it is to listen on by then;
        │                                  also if it is stopped while it owes an answer

A container's packets reach the responder, so a bug there must cost no more than the current connections.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netlab.kernel.channel import MAX_FDS, Channel, Disconnected
from netlab.lab.services.responder import serve
from netlab.lab.supervisor.children import Child
from netlab.lab.supervisor.runtime import Runtime
from netlab.model.errors import UsageError
from netlab.proxy.identity import rename

if TYPE_CHECKING:
    from netlab.kernel.channel import Message
    from netlab.lab.supervisor.loop import Timer

#: Seconds that the responder has for an answer to the supervisor, however many ports it is about.
PATIENCE = 30.0
#: A responder that dies more often than DEATHS times in PERIOD seconds is not started again.
DEATHS, PERIOD = 5, 60.0


class Responding:
    """The responder of a lab; there is none until it has something to answer.

    ``awaited`` is shared with the code that waits until the lab is ready: it contains a mark of this object
    while the responder owes an answer. ``lacking`` is called with what this kernel cannot do.
    """

    def __init__(self, runtime: Runtime, awaited: set[object], lacking: Callable[[list[str]], None]) -> None:
        self._runtime = runtime
        self._lacking = lacking
        self._awaited = awaited
        #: (protocol, port, node) → the node that owns the namespace, and the service
        self._ports: dict[tuple[str, int, str], tuple[str, str]] = {}
        self._child: Child | None = None
        self._channel: Channel | None = None
        self._owed = 0  #: answers that the responder owes
        self._patience: Timer | None = None
        self._deaths: list[float] = []
        self._last = ""  #: how the last one died
        #: whether a dead one must not be replaced before the current change has said what to listen on
        self._postponed = False

    def start(self, ports: list[Any]) -> None:
        """Listen on ``ports``: (node that owns the namespace, [(protocol, port, node, service)])."""
        self._note([], ports)
        if self._ports:
            self._fork()

    def order(self, close: list[Any], ports: list[Any]) -> None:
        """Let ports go, and listen on others."""
        self._note(close, ports)
        if self._child is not None and self._child.stopped:
            self._runtime.children.kill(self._child)  # otherwise nothing would answer any more
            self._dead("was stopped")
        if self._postponed or self._channel is None:
            self.revive()
        elif close or ports:
            self._send(self._channel, close, ports)

    def revive(self) -> None:
        """Start a responder if there should be one and is not."""
        self._postponed = False
        if self._ports and self._channel is None and self._may_live():
            self._fork()

    def _note(self, close: list[Any], ports: list[Any]) -> None:
        for protocol, port, node in close:
            self._ports.pop((protocol, port, node), None)
        for namespace, entries in ports:
            for protocol, port, node, service in entries:
                self._ports[protocol, port, node] = namespace, service

    # -- the process

    def _fork(self) -> None:
        runtime = self._runtime
        mine, its = socket.socketpair()
        mine.setblocking(False)

        def work() -> int:
            rename(["responder", f"of {runtime.name}"])
            orders = Channel(its)
            return serve(self._spec(), runtime.private, orders.send, orders)

        child = Child(0, "responder", on_exit=self._ended, on_stop=self._stopped)
        self._child = runtime.children.fork(child, work, keep=(its.fileno(),))
        its.close()
        self._channel = Channel(mine)
        runtime.loop.watch(mine.fileno(), self._read)
        self._owe(1)

    def _spec(self) -> list[tuple[int, list[tuple[str, int, str, str]]]]:
        """All ports by namespace, without those of namespaces that a failed change has removed."""
        spaces: dict[str, list[tuple[str, int, str, str]]] = {}
        for (protocol, port, node), (namespace, service) in self._ports.items():
            spaces.setdefault(namespace, []).append((protocol, port, node, service))
        found = []
        for namespace, entries in spaces.items():
            try:
                found.append((self._runtime.open_namespace(namespace), entries))
            except UsageError:
                continue
        return found

    def _send(self, channel: Channel, close: list[Any], ports: list[Any]) -> None:
        opened = [self._runtime.open_namespace(node) for node, _ in ports]
        try:
            for at in range(0, max(1, len(ports)), MAX_FDS):
                some = slice(at, at + MAX_FDS)
                channel.send({"close": close, "open": [p for _, p in ports[some]]}, opened[some])
                close = []
                self._owe(1)
        except Disconnected:
            self._dead("has died")  # its exit has not been seen yet
            self.revive()
            return
        finally:
            for fd in opened:
                os.close(fd)
        self._runtime.loop.also_writable(channel.fileno(), not channel.flush())

    # -- answers

    def _owe(self, number: int) -> None:
        self._owed += number
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._owed:
            self._awaited.add(self)
            self._patience = self._runtime.loop.after(PATIENCE, self._late)
        else:
            self._awaited.discard(self)

    def _read(self) -> None:
        channel = self._channel
        assert channel is not None
        try:
            self._runtime.loop.also_writable(channel.fileno(), not channel.flush())
            channel.fill()
        except Disconnected:
            self._runtime.loop.unwatch(channel.fileno())  # its exit tells the rest
            return
        while self._channel is channel and (found := channel.take()) is not None:
            self._heard(found[0])

    def _heard(self, words: Message) -> None:
        self._owe(-1)
        if "error" in words:
            self._runtime.on_failure(words["text"])
            return
        self._lacking(words["lacking"])
        if not self._owed:
            self._runtime.on_settled()

    def _late(self) -> None:
        """It owes an answer for too long: it is stopped, or hangs."""
        assert self._child is not None
        self._runtime.children.kill(self._child)
        self._dead(f"did not answer within {PATIENCE:.0f} s")
        self._replace()

    # -- deaths

    def _ended(self, child: Child) -> None:
        if child is self._child:
            self._dead(_how(child))
            self._replace()
        elif self._may_live():  # its death was noted before its exit was seen
            self._runtime.children.known.pop(child.pid, None)

    def _stopped(self, child: Child) -> None:
        if child is self._child and self._owed:  # otherwise it may still be continued before it is needed
            self._runtime.children.kill(child)
            self._dead("was stopped")
            self._replace()

    def _may_live(self) -> bool:
        return len(self._deaths) <= DEATHS

    def _dead(self, how: str) -> None:
        """Forget a responder that is gone, or about to end, and report it."""
        child, channel = self._child, self._channel
        self._child = self._channel = None
        if channel is not None:
            if self._runtime.loop.watches(channel.fileno()):
                self._runtime.loop.unwatch(channel.fileno())
            channel.close()
        self._owe(-self._owed)
        now = time.monotonic()
        self._deaths = [when for when in self._deaths if now - when < PERIOD] + [now]
        if child is not None and child.returncode is not None and self._may_live():
            self._runtime.children.known.pop(child.pid, None)
        self._last = how
        after = "was started again" if self._may_live() else "is not started again, after so many times"
        self._runtime.on_warning(f"the responder {how}, and {after}; connections to it were cut")

    def _replace(self) -> None:
        """Replace a dead one, now or once the ports to listen on are known."""
        runtime = self._runtime
        if runtime.phase == "building" or (runtime.change != "none" and not self._may_live()):
            runtime.on_failure(f"the responder {self._last}")
        elif runtime.change == "begun":
            self._postponed = True
        else:
            self.revive()


def _how(child: Child) -> str:
    """How the responder ended, in words."""
    assert child.returncode is not None
    if child.returncode < 0:
        return f"was ended by {signal.Signals(-child.returncode).name}"
    return f"ended with exit code {child.returncode}"
