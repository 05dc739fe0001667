"""The benchmarks' frame: ratios, goals, the order of rounds, the table, the exit code."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from netlab.bench import __main__ as command
from netlab.bench import frame
from netlab.bench.frame import Effort, Goal, Result, Samples, absolute, at_least, at_most, faster, interleaved
from netlab.model.errors import UsageError


@pytest.mark.parametrize(
    ("goal", "ours", "theirs", "ratio", "met"),
    [
        (at_most(1.3), 1.2, 1.0, 1.2, True),
        (at_most(1.3), 1.4, 1.0, 1.4, False),
        (faster(12), 1.0, 12.0, 12.0, True),
        (faster(12), 2.0, 12.0, 6.0, False),
        (at_least(1.0), 110.0, 100.0, 1.1, True),
        (at_least(1.0), 90.0, 100.0, 0.9, False),
    ],
)
def test_a_goal(goal: Goal, ours: float, theirs: float, ratio: float, met: bool) -> None:
    assert goal.ratio(ours, theirs) == pytest.approx(ratio)
    assert goal.met(goal.ratio(ours, theirs)) is met


def test_the_ratio_is_the_median_of_the_rounds_and_not_of_the_figures() -> None:
    # One loaded minute slows both sides of a round, and must not count.
    samples = Samples((1.0, 10.0, 1.0), (2.0, 20.0, 4.0))
    result = samples.result("up", "mininet", faster(2))
    assert (result.ours, result.theirs, result.ratio, result.rounds) == (1.0, 4.0, 2.0, 3)
    assert result.met


def test_rounds_alternate_and_change_sides() -> None:
    calls: list[str] = []
    counter = itertools.count(1.0)

    def ours() -> float:
        calls.append("a")
        return next(counter)

    def theirs() -> float:
        calls.append("b")
        return next(counter)

    samples = interleaved(Effort(rounds=3), ours, theirs)
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab"
    assert samples == Samples((3.0, 6.0, 7.0), (4.0, 5.0, 8.0))


def test_time_is_bounded_but_one_round_is_always_taken() -> None:
    samples = interleaved(Effort(rounds=1000, seconds=0.0), lambda: 1.0, lambda: 2.0, warm=False)
    assert len(samples.ours) == len(samples.theirs) == 1


def test_cleaning_up_is_not_in_the_time() -> None:
    done: list[str] = []
    sample = frame.timed(lambda: done.append("work"), lambda: done.append("clean"))
    assert sample() >= 0
    assert done == ["work", "clean"]


def test_the_table_lines_up_and_shouts_what_was_missed() -> None:
    good = Result("bring-up", "Mininet", 0.1, 1.5, 15.0, faster(12))
    bad = absolute("memory", 40e6, 32e6, unit="B")
    lines = list(frame.table([good, bad]))
    assert lines[1].split() == [
        "bring-up",
        "100",
        "ms",
        "1.5",
        "s",
        "Mininet",
        "15.00×",
        "≥",
        "12×",
        "faster",
        "yes",
    ]
    assert lines[2].endswith("NO")
    assert lines[0].index("goal") == lines[1].index("≥ 12") == lines[2].index("≤ 1×")


@pytest.mark.parametrize(
    ("ratios", "unmeasured", "code"),
    [
        ((15.0,), {}, 0),
        ((15.0, 1.0), {}, 1),
        ((15.0,), {"x": "no"}, 3),
        ((1.0,), {"x": "no"}, 1),
        ((), {}, 5),
    ],
)
def test_the_exit_code(ratios: tuple[float, ...], unmeasured: dict[str, str], code: int) -> None:
    results = [Result("up", "Mininet", 1.0, ratio, ratio, faster(12)) for ratio in ratios]
    assert command.exit_code(results, unmeasured) == code


def test_an_unknown_benchmark_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"no benchmark nonsense; there are: .*startup"):
        command.chosen(["startup", "nonsense"])


def test_a_missing_yardstick_is_unmeasured_and_said_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from netlab.bench import startup

    monkeypatch.setattr(startup, "SEED", tmp_path / "nothing.yaml")
    assert command.main(["startup", "--json", str(tmp_path / "out.json")]) == 3
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["schema_version"] == 1
    assert report["results"] == []
    assert "nothing.yaml" in report["unmeasured"]["startup"]
    assert "startup: not measured" in capsys.readouterr().out
