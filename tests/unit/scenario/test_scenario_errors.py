"""Every way to be wrong that we could think of: the exact words, the exact place, and all of them at once.

``errors.txt`` holds pairs of a scenario and what is said of it, ``---->`` between the two and ``====``
between pairs. Whoever adds one writes the right-hand side by hand, and judges the words as a user would.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

CASES = [
    tuple(case.split("\n---->\n"))
    for case in (Path(__file__).parent / "errors.txt").read_text(encoding="utf-8").split("====\n")
]


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[str(n) for n in range(len(CASES))])
def test_problems(text: str, expected: str, problems: Callable[..., list[str]]) -> None:
    assert problems(text + "\n") == expected.splitlines()


def test_the_cases_were_found() -> None:
    assert len(CASES) > 30
