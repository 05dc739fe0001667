"""Processes in a lab, from the client's side: wait for them, signal them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from netlab.kernel.channel import Disconnected
from netlab.model.errors import LabError

if TYPE_CHECKING:
    from types import TracebackType

    from netlab.kernel.channel import Channel


class Process:
    """A process that the supervisor runs for you. Closing it kills the process and its children.

    ::

        with lab.client.start("client", ["sleep", "60"]) as process:
            print(process.pid, process.returncode)  # 7 None

    ``pid`` is its PID in the lab's PID namespace. ``returncode`` is that of :class:`subprocess.Popen`:
    negative for a signal, None while the process runs.
    """

    def __init__(self, channel: Channel, pid: int) -> None:
        self._channel = channel
        self.pid = pid
        self.returncode: int | None = None

    def fileno(self) -> int:
        """A descriptor for poll: readable once the process has ended.

        ::

            select.select([process], [], [], 5.0)
        """
        return self._channel.fileno()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, at most ``timeout`` seconds; returns the return code.

        ::

            assert process.wait(timeout=5) == 0

        Raises TimeoutError, and LabError if the lab ends first.
        """
        if self.returncode is None:
            self._channel.sock.settimeout(timeout)
            try:
                message, _ = self._channel.receive()
            except Disconnected:
                raise LabError("the lab ended before its process did") from None
            self.returncode = message["returncode"]
        assert self.returncode is not None
        return self.returncode

    def signal(self, number: int) -> None:
        """Send a signal to the process and its children.

        ::

            process.signal(signal.SIGTERM)
        """
        self._channel.send({"op": "signal", "pid": self.pid, "signal": number})

    def close(self) -> None:
        """Kill the process and its children, if they still run.

        ::

            process.close()
        """
        self._channel.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def ending(returncode: int) -> str:
    """``exit code 1``, or ``SIGKILL``."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return signal.Signals(-returncode).name
    except ValueError:
        return f"signal {-returncode}"
