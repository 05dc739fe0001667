"""Starting a ``command:`` program alone in its node, beside starting it with nothing around it.

Both sides start the same program from a process as small as a lab's supervisor, and wait for its end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import IO

from netlab.bench.frame import Effort, NoYardstick, Result, at_most, interleaved
from netlab.kernel import libc, userns
from netlab.kernel.sandbox.launcher import CONTAINER, Program, Sandbox
from netlab.model.errors import LabError

GOAL = 3.0
AT_ONCE = 20
"""Programs that one sample starts, one after the other."""

PROGRAM = "/bin/true"


def main() -> None:
    """The starting process: prints the seconds of a sample for each line of input (``ours`` or
    ``theirs``).
    """
    libc.unshare(libc.CLONE_NEWNS | libc.CLONE_NEWNET | libc.CLONE_NEWUTS | libc.CLONE_NEWIPC)
    libc.mount("none", "/", "", libc.MS_REC | libc.MS_SLAVE)
    sandbox, program = Sandbox(), Program((PROGRAM,), userns.create_network(), CONTAINER)

    def isolated() -> int:
        return sandbox.start(program, 0, 2, 2)

    def bare() -> int:
        return os.posix_spawn(PROGRAM, [PROGRAM], program.environment)

    ways: dict[str, Callable[[], int]] = {"ours": isolated, "theirs": bare}
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(AT_ONCE):
            os.waitpid(ways[line.strip()](), 0)
        print(json.dumps((time.perf_counter() - start) / AT_ONCE), flush=True)


def run(effort: Effort) -> Iterator[Result]:
    """One line: seconds a program."""
    if os.geteuid() != 0:
        raise NoYardstick("starting isolated programs is measured as root")
    command = [sys.executable, "-I", "-c", "from netlab.bench.isolation import main; main()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        samples = interleaved(
            Effort(effort.rounds * 5, effort.seconds),
            _asking(process.stdin, process.stdout, "ours"),
            _asking(process.stdin, process.stdout, "theirs"),
        )
        process.stdin.close()
        if process.wait() != 0:
            raise LabError(f"the process that starts programs ended with {process.returncode}")
    yield samples.result("a program of the scenario, alone", "posix_spawn", at_most(GOAL))


def _asking(words: IO[str], answers: IO[str], which: str) -> Callable[[], float]:
    def sample() -> float:
        words.write(f"{which}\n")
        words.flush()
        answer = answers.readline()
        if not answer:
            raise LabError("the process that starts programs has ended")
        return float(answer)

    return sample
