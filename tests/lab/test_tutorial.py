"""docs/tutorial.md, typed from top to bottom: what it shows is what netlab says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from support.labs import Netlab

TUTORIAL = (Path(__file__).parents[2] / "docs/tutorial.md").read_text()
BLOCKS = [
    (kind, text) for kind, text in re.findall(r"^```(\w+)\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)
]


def same(line: str) -> str:
    """A line without the port that the sender happened to get."""
    return re.sub(r"(198\.51\.100\.2):\d+", r"\1:PORT", line).rstrip()


def test_the_tutorial_shows_what_happens(netlab: Netlab, tmp_path: Path) -> None:
    scenario, expected = (text for kind, text in BLOCKS if kind == "yaml")
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "shop.yaml").write_text(scenario)
    local = scenario.replace("8080:80", "127.0.0.1:8080:80")
    (folder / "local.yaml").write_text(local)
    netlab.labs.append("shop")
    netlab.cwd = folder
    typed = 0
    for text in (text for kind, text in BLOCKS if kind == "console"):
        for part in text.removeprefix("$ sudo netlab ").split("\n$ sudo netlab "):
            command, *shown = part.splitlines()
            done = netlab(*shlex.split(command))
            there = [same(line) for line in done.stdout.splitlines() + done.stderr.splitlines()]
            for line in shown:
                if "…" not in line:
                    assert same(line) in there, f"{command}\n{done.stdout}{done.stderr}"
            typed += 1
    assert typed == 12
    (folder / "local.yaml").write_text(local + expected)
    netlab("verify", "local.yaml")
