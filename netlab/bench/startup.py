"""Whole processes: ``netlab ls``, ``--help`` and ``up`` of the seed, beside the bare interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from netlab.bench.frame import Effort, NoYardstick, Result, at_most, interleaved, timed
from netlab.model.errors import LabError

FEW, SOME = 5.0, 20.0
"""Goals: ``ls`` and ``--help`` cost at most 5 bare interpreters, ``up`` of the seed at most 20."""

SEED = Path(__file__).parents[2] / "scenarios" / "httpd.yaml"
ENTRY = "import sys; sys.argv[0] = 'netlab'; from netlab.cli.main import script; script()"


def netlab(*arguments: str) -> list[str]:
    """The command line that the installed launcher runs."""
    return ["/usr/bin/env", "--block-signal=INT", sys.executable, "-I", "-c", ENTRY, *arguments]


def run_quietly(command: Sequence[str], environment: dict[str, str]) -> None:
    """Run a command to its end; raises LabError with its words if it fails."""
    result = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, env=environment, check=False, timeout=60
    )
    if result.returncode:
        words = result.stderr.decode(errors="replace").strip()
        raise LabError(f"{' '.join(command[6:])} ended with {result.returncode}: {words}")


def run(effort: Effort) -> Iterator[Result]:
    """Three comparisons; the labs have their own state folder, so that other labs are left alone."""
    if not SEED.exists():
        raise NoYardstick(f"the seed scenario is not there: {SEED}")
    with TemporaryDirectory(prefix="netlab-bench-") as folder:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environment["NETLAB_STATE"] = f"{folder}/state"
        bare = timed(lambda: run_quietly([sys.executable, "-I", "-c", "pass"], environment))
        for words in (("ls",), ("--help",)):
            ours = timed(lambda words=words: run_quietly(netlab(*words), environment))  # type: ignore[misc]
            samples = interleaved(Effort(effort.rounds * 3, effort.seconds), ours, bare)
            yield samples.result(f"netlab {words[0]}", "python3 -I -c pass", at_most(FEW))
        ours = timed(
            lambda: run_quietly(netlab("up", "--name", "bench-seed", str(SEED)), environment),
            lambda: run_quietly(netlab("down", "bench-seed"), environment),
        )
        yield interleaved(effort, ours, bare).result(
            "netlab up httpd.yaml", "python3 -I -c pass", at_most(SOME)
        )
