"""Ratios beside those of an earlier run: what moved beyond noise is marked, and nothing fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from netlab.bench import __main__ as command
from netlab.bench.against import Before, lines, moved, read
from netlab.bench.frame import Effort, Goal, Result, Samples, at_least, at_most, faster
from netlab.model.errors import UsageError


def result(low: float, middle: float, high: float, goal: Goal) -> Result:
    return Result("up", "Mininet", 1.0, 1.0, middle, goal, rounds=3, spread=(low, high))


@pytest.mark.parametrize(
    ("goal", "now", "word"),
    [
        (at_most(1.3), (1.4, 1.5, 2.0), ""),
        (at_most(1.3), (1.9, 2.5, 2.6), ""),
        (at_most(1.3), (2.1, 2.5, 2.6), "WORSE"),
        (at_most(1.3), (0.5, 0.6, 0.9), "BETTER"),
        (faster(12), (2.1, 2.5, 2.6), "BETTER"),
        (at_least(12), (0.5, 0.6, 0.9), "WORSE"),
    ],
)
def test_what_moved_is_what_no_round_of_the_other_run_had(
    goal: Goal, now: tuple[float, float, float], word: str
) -> None:
    assert moved(result(*now, goal), Before(1.5, (1.0, 2.0), 7)) == word
    assert moved(result(*now, goal), None) == ""


def test_what_json_writes_is_read_again_and_stands_beside_the_new_run(tmp_path: Path) -> None:
    before = Samples((1.0, 1.2), (1.0, 1.0)).result("up", "Mininet", at_most(2))
    file = tmp_path / "before.json"
    file.write_text(json.dumps(command.document([before], {})))
    now = Samples((3.0, 4.0), (1.0, 1.0)).result("up", "Mininet", at_most(2))
    other = Samples((3.0,), (1.0,)).result("down", "Mininet", at_most(2))
    first, second = list(lines([now, other], read(file)))[1:]
    assert "1.10× (1.00 to 1.20)" in first
    assert first.endswith("3.50× (3.00 to 4.00)  WORSE")
    assert second.split() == ["down", "Mininet", "new", "3.00×"]


@pytest.mark.parametrize("text", ["", "[]", '{"results": [{"name": "up"}]}', None])
def test_a_file_that_is_none_is_refused_before_anything_is_measured(
    text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "before.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UsageError, match=r"before\.json has no results"):
        read(file)
    assert command.main(["--against", str(file), "startup"]) == 2
    assert "measuring" not in capsys.readouterr().err


def test_a_run_beside_an_earlier_one_ends_with_0(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: Effort) -> Iterator[Result]:
        yield result(5.0, 6.0, 7.0, at_most(1.3))

    monkeypatch.setitem(command.BENCHMARKS, "startup", SimpleNamespace(run=run))
    file = tmp_path / "before.json"
    file.write_text(json.dumps(command.document([result(1.0, 1.5, 2.0, at_most(1.3))], {})))
    assert command.main(["--against", str(file), "startup"]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("WORSE")
    assert command.main(["startup"]) == 1
