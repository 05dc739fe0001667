"""The real ``docker compose``, and the table of what it and the daemon behind it refuse."""

from __future__ import annotations

import os
import subprocess
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from groundtruth.daemons import CACHE, COMPOSE, SUITES
from netlab.bench.real.daemon import Daemon, image_tar
from netlab.bench.real.testbed import Testbed

TABLE = Path(__file__).parents[1] / "refusals.toml"
#: The project's name, and its folder's: networks are ``proj_KEY``.
PROJECT = "proj"
FILE = "compose.yaml"
#: An image that sleeps.
IMAGE = "box"
ENTRYPOINT = 'ENTRYPOINT ["/busybox", "sleep", "1000000"]'


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that is refused: words of Docker or Compose, one of which is said, and netlab's lines."""

    name: str
    file: str
    says: tuple[str, ...]
    netlab: str
    refused: tuple[str, ...] = ()  #: the engines that refuse it; none are named: all

    def by(self, engine: str) -> bool:
        """Whether that engine refuses it, or Compose on its behalf."""
        return not self.refused or engine in self.refused

    def expected(self, engine: str) -> str:
        """What netlab says for that engine; nothing where it takes the file."""
        return self.netlab.strip().replace("{engine}", engine) if self.by(engine) else ""


def refusals(table: Path = TABLE) -> list[Refusal]:
    """Every entry of the table."""
    return [
        Refusal(name, entry["file"], tuple(entry["says"]), entry["netlab"], tuple(entry.get("refused", ())))
        for name, entry in tomllib.loads(table.read_text()).items()
    ]


def program() -> Path | None:
    """Compose's own program: the machine's, or one that came with a suite's daemon; None without any."""
    roots = [Path("/"), *(CACHE / suite for suite in SUITES)]
    return next((root / COMPOSE for root in roots if (root / COMPOSE).exists()), None)


def up(compose: Path, folder: Path, lower: str) -> str:
    """What ``docker compose up`` said, on a fresh daemon of that root, if it failed; else nothing."""
    testbed = Testbed(lower)
    daemon = Daemon(testbed, {})
    try:
        testbed.ip(["link set lo up"])
        daemon.start()
        query = {"fromSrc": "-", "repo": IMAGE, "changes": ENTRYPOINT}
        daemon.api.call("POST", "/images/create", image_tar(), query)
        return _run([str(compose), "up", "--detach", "--pull", "never"], folder, testbed)
    finally:
        daemon.kill()


def _run(argv: Sequence[str], folder: Path, testbed: Testbed) -> str:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "DOCKER_HOST": f"unix://{testbed.root}/run/docker.sock",
    }
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120)
    return done.stderr.strip() or f"exit code {done.returncode}" if done.returncode else ""
