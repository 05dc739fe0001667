"""``nft monitor trace`` as a second witness: the kernel's trace as somebody else's program decodes it."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from groundtruth.flows import IDLE
from netlab.model.journey import Journey

#: The witness reads the whole ruleset before it hears anything.
PATIENCE = 30.0
PACKET = re.compile(r"^trace id (\S+) \S+ \S+ \S+ packet: .*(?:tcp|udp) sport (\d+) ", re.M)
EVENT = re.compile(
    r"^trace id (\S+) (\S+) (\S+) (\S+) (?:rule .*\(verdict (.*)\)|verdict (.*)|(policy .*?)) *$", re.M
)


class Witness:
    """What it has written so far."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def text(self) -> str:
        """Everything."""
        return self._path.read_text(errors="replace")

    def wait_for(self, knock: Callable[[], int]) -> None:
        """Until a packet of ``knock``, which returns its source port, is on paper; so are all before it."""
        deadline = time.monotonic() + PATIENCE
        while f"sport {knock()} " not in self.text():
            if time.monotonic() > deadline:
                raise TimeoutError(f"nft monitor trace heard nothing: {self.text()[-2000:]}")

    def verdicts(self, port: int) -> list[str]:
        """``ip nat DOCKER: accept`` for all that the packets from this port met, in order."""
        text = self.text()
        ids = {found[1] for found in PACKET.finditer(text) if int(found[2]) == port}
        out = []
        for found in EVENT.finditer(text):
            verdict = found[5] or found[6] or found[7]
            if found[1] in ids and not found[3].startswith("netlab") and verdict not in IDLE:
                out.append(f"{found[2]} {found[3]} {found[4]}: {verdict}")
        return out


@contextmanager
def witness(namespace: str, knock: Callable[[], int]) -> Iterator[Witness]:
    """The witness in a namespace, once it has heard ``knock``; TimeoutError if it never does."""
    with tempfile.NamedTemporaryFile(prefix="netlab-witness-") as file:
        process = subprocess.Popen(
            ["nsenter", f"--net={namespace}", "nft", "monitor", "trace"],
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            heard = Witness(Path(file.name))
            heard.wait_for(knock)
            yield heard
        finally:
            process.kill()
            process.wait(timeout=30)


def own_verdicts(journey: Journey) -> list[str]:
    """The same of a journey's first leg."""
    return [
        f"{hit.family} {hit.table} {hit.chain}: {hit.verdict}"
        for visit in journey.legs[0].hooks
        for hit in visit.rules
        if hit.verdict not in IDLE
    ]
