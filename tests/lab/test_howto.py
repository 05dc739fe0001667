"""docs/howto.md: its files are written, and its commands run from top to bottom."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from support.labs import Netlab

PAGE = (Path(__file__).parents[2] / "docs" / "howto.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.timeout(600)
def test_the_answers_work(netlab: Netlab, tmp_path: Path) -> None:
    netlab.cwd = tmp_path
    run = []
    for kind, text in BLOCKS:
        if kind == "yaml":
            name = text.splitlines()[0].removeprefix("# ")
            assert re.fullmatch(r"[a-z]+\.yaml", name)
            (tmp_path / name).write_text(text)
        for line in text.splitlines() if kind == "sh" else ():
            words = shlex.split(line.removeprefix("sudo "))
            assert words[0] == "netlab"
            run.append((words[1], netlab(*words[1:]).stdout))
    assert [verb for verb, _ in run] == [
        "verify",
        "up",
        "explain",
        "down",
        "matrix",
        "verify",
        "diff",
        "diff",
        "verify",
        "matrix",
    ]
    firewalls = run[4][1]
    assert re.search(r"host:8080/tcp +published +ipv4 +\S+ forward +\S+ forward +\S+ forward *\n", firewalls)
    assert re.search(r"ipv6 +\S+ proxy +timeout local \[INPUT\] +unreachable local", firewalls)
