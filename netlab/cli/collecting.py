"""Ask this host every step of a collection, one after the other."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from netlab.kernel import process
from netlab.twin.archive import LARGEST_FILE, Ran
from netlab.twin.dockerd_settings import kept_flags, kept_settings
from netlab.twin.steps import (
    DEFAULT_SETTINGS,
    FLAGS_FILE,
    PID_FILES,
    SETTINGS_FILE,
    VARIABLE,
    Step,
    steps,
)

_Say = Callable[[str], None]


class Collecting:
    """The answers so far: the contents by file name, and what was run."""

    def __init__(self, say: _Say) -> None:
        self.files: dict[str, bytes] = {}
        self.ran: list[Ran] = []
        self._say = say

    def run(self) -> None:
        """Ask everything. A program that is missing, or that fails, is noted."""
        for step in steps():
            program = step.argv[0]
            if not process.has(program):
                self._note("absent", step.file, 127, program)
            elif step.exists and not os.path.exists(step.exists):
                self._note("skipped", step.file, 0, program)
            elif step.each:
                self._for_each(step)
            else:
                self._once(step)
        self._settings()

    def _note(self, kind: str, file: str, code: int, program: str) -> None:
        size = len(self.files.get(file, b""))
        self.ran.append(Ran(kind, file, code, size, program))

    def _words(self, file: str) -> list[str]:
        return self.files.get(file, b"").decode(errors="replace").split()

    def _output(self, argv: tuple[str, ...]) -> tuple[int, bytes]:
        done = process.run(argv)
        return done.code, done.output.encode("utf-8", "replace")[:LARGEST_FILE]

    def _once(self, step: Step) -> None:
        words = self._words(step.words) if step.words else []
        if step.words and not words:
            self._note("skipped", step.file, 0, step.argv[0])
            return
        self._say(f"+ {step.text}")
        code, output = self._output((*step.argv, *words))
        if step.only:
            lines = output.decode(errors="replace").splitlines(keepends=True)
            output = "".join(line for line in lines if re.search(step.only, line)).encode()
        self.files[step.file] = output
        self._note("step", step.file, code, step.argv[0])

    def _for_each(self, step: Step) -> None:
        lines = self._words(step.each)
        if not lines:
            self._note("skipped", step.file, 0, step.argv[0])
            return
        self._say(f"+ {step.text}  (for each of {step.each})")
        parts = []
        for line in lines:
            argv = tuple(line if word == "{}" else word for word in step.argv)
            parts.append(f"@ {line}\n".encode() + self._output(argv)[1])
        self.files[step.file] = b"".join(parts)
        self._note("step", step.file, 0, step.argv[0])

    def _settings(self) -> None:
        """Dockerd's own: its command line, and the file that it names."""
        config = DEFAULT_SETTINGS
        pid = next((word for file in PID_FILES for word in _read(file).split()[:1] if word.isdigit()), "")
        if pid:
            self._say(f"+ read /proc/{pid}/cmdline")
            flags = kept_flags(_read(f"/proc/{pid}/cmdline").rstrip("\0").split("\0"))
            variables = _read(f"/proc/{pid}/environ").split("\0")
            flags += "".join(f"{one}\n" for one in variables if one.startswith(f"{VARIABLE}="))
            self.files[FLAGS_FILE] = flags.encode("utf-8", "replace")
            self._note("step", FLAGS_FILE, 0, "dockerd")
            named = [line for line in flags.splitlines() if line.startswith("config-file=")]
            config = named[-1].partition("=")[2] if named else config
        else:
            self._note("absent", FLAGS_FILE, 1, "dockerd")
        if not os.path.isfile(config):
            self._note("absent", SETTINGS_FILE, 1, config)
            return
        self._say(f"+ read {config}")
        try:
            self.files[SETTINGS_FILE], code = kept_settings(_read(config)).encode(), 0
        except ValueError:
            self.files[SETTINGS_FILE], code = b"", 1
        self._note("step", SETTINGS_FILE, code, "cat")


def _read(path: str) -> str:
    """The text of one of the host's own files; empty if it is not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 20)
    except OSError:
        return ""
