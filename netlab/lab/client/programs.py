"""Run a program in a node and wait for it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from netlab.lab.client.client import Client
from netlab.lab.client.nodes import resolve


class RunsPrograms(ABC):
    """A lab in whose nodes you can run programs with :meth:`exec`."""

    @abstractmethod
    def _running(self) -> Client:
        """The connection to the lab; raises LabError if it is closed."""

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

        ::

            lab = netlab.attach("shop")
            print(lab.exec("client", ["ip", "-br", "address"], timeout=5, check=True).stdout)

        ``timeout`` is in seconds. Raises NoNodeError, subprocess.TimeoutExpired (the program is killed), and
        with ``check`` subprocess.CalledProcessError.
        """
        client = self._running()
        found = resolve(client.plan, node)
        return collect(client, found, argv, given=input, timeout=timeout, env=env, cwd=cwd, check=check)


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

    Raises subprocess.TimeoutExpired, subprocess.CalledProcessError, NoNodeError.
    """
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
