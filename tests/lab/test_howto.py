"""docs/howto.md and its pages: their files are written, and their commands run from top to bottom."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from support.labs import Netlab

DOCS = Path(__file__).parents[2] / "docs"
INDEX = (DOCS / "howto.md").read_text()
PAGES = re.findall(r"^\| \[[^\]]+\]\((howto/[\w-]+\.md)\)", INDEX, re.MULTILINE)
BLOCKS = re.findall(
    r"^```(\w+)\n(.*?)^```$", "\n".join([INDEX, *((DOCS / page).read_text() for page in PAGES)]), re.M | re.S
)


def test_every_page_is_listed() -> None:
    assert sorted(PAGES) == sorted(f"howto/{path.name}" for path in (DOCS / "howto").iterdir())


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
        "matrix",
        "verify",
        "verify",
        "diff",
        "diff",
        "verify",
        "matrix",
    ]
    for number, ipv6 in ((4, r"timeout local \[INPUT\]"), (5, r"unreachable local")):
        firewall = run[number][1]
        assert re.search(r"host:8080/tcp +published +ipv4 +\S+ forward +\S+ forward *\n", firewall)
        assert re.search(rf"ipv6 +\S+ proxy +{ipv6}", firewall)
