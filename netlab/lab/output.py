"""Running a program of a node to its end, and collecting what it writes."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

    from netlab.lab.client import Client


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
