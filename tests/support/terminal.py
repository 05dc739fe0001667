"""The command line on a terminal of its own."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

#: Seconds until a program that is waited for has failed.
PATIENCE = 100.0


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, netlab: Any, *arguments: str, **env: str) -> None:
        self.master, slave = pty.openpty()
        environment = {**netlab.env, "PS1": "$ ", **env}
        identity = {"user": netlab.uid, "group": netlab.uid, "extra_groups": []} if netlab.uid else {}
        self.process = subprocess.Popen(  # type: ignore[call-overload]
            ["setsid", "--ctty", "--wait", sys.executable, "-m", "netlab", *arguments],
            stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=Path(__file__).parents[2],
            **identity,
        )  # fmt: skip
        os.close(slave)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def expect(self, text: str) -> str:
        """Read until ``text`` is seen; what came before it."""
        end = time.monotonic() + PATIENCE
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            assert ready, f"never saw {text!r} in {self.seen!r}"
            try:
                data = os.read(self.master, 65536)
            except OSError:
                data = b""
            assert data, f"ended without {text!r}: {self.seen!r}"
            self.seen += data.decode()
        before, _, self.seen = self.seen.partition(text)
        return before

    def end(self) -> int:
        code = self.process.wait(timeout=PATIENCE)
        os.close(self.master)
        return code
