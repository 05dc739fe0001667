"""The grid of a matrix on screens of different widths: nothing is wider, and nothing is lost."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from rich.console import Console

from netlab.journey.matrix_grid import Answer, Grid, Row
from netlab.model.family import FAMILIES
from netlab.view.matrix_grid import tables

LONG = "2001:db8:aaaa:cccc::1"
CHAIN = "DOCKER-ISOLATION-STAGE-1"


def row(place: str, *answers: Answer | None) -> Row:
    return Row(
        "web", place, "tcp", (8080,), FAMILIES[1:], "unpublished", answers, Answer("ok", LONG, "proxy")
    )


ANSWERS = [Answer("ok", f"{LONG}{number}", "proxy") for number in range(4)]
STOPPED = [Answer("timeout", "", "none", CHAIN)] * 4
GRID = Grid(
    tuple((name,) for name in ("host", "a-long-service-name", "client", "web-1")),
    (row("gateway@front", *ANSWERS), row("web@a-long-network", *STOPPED)),
)


def drawn(grid: Grid, width: int) -> list[str]:
    text = StringIO()
    console = Console(file=text, width=width, color_system=None, emoji=False, markup=False, highlight=False)
    for table in tables(grid, (), width):
        console.print(table)
    return text.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200, 10_000])
def test_four_columns_of_addresses_are_whole_and_not_too_wide(width: int) -> None:
    lines = drawn(GRID, width)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    if width >= 80:
        for word in (*(answer.seen for answer in ANSWERS), "gateway@front:8080/tcp", "a-long-service-name"):
            assert word in words
        assert words.count(f"[{CHAIN}]") == 4
        assert words.count("ITSELF") == 1
    if width == 10_000:
        assert len(re.findall("TO  ", "\n".join(lines))) == 1


def test_on_the_narrowest_screen_words_are_broken_and_not_lost() -> None:
    lines = drawn(GRID, 40)
    assert max(map(len, lines)) <= 40
    text = "".join("".join(lines).split())
    assert text.count("proxy") >= 4
    assert sum(character in "0123456789" for character in text) >= sum(
        character in "0123456789" for answer in ANSWERS for character in answer.seen
    )


def test_a_grid_without_columns_has_its_targets() -> None:
    alone = Grid((), (Row("web", "host", "tcp", (80,), FAMILIES, "published", (), None),))
    assert any("host:80/tcp" in line for line in drawn(alone, 80))
