"""Lessons as files: every problem has its place, and the lessons that come with netlab mean something."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netlab.cli.gallery_page import scenarios
from netlab.lab.lessons import expectations, prepare
from netlab.lesson.lesson import Choice, Lesson, Predict, Task, Tell, Words
from netlab.lesson.read import lessons, read_lesson
from netlab.lesson.shapes import LANGUAGES
from netlab.model.problem import ScenarioError

ROOT = Path(__file__).parents[3]
BEGIN = "title: {en: t}\nscenario: httpd.yaml\nsteps:\n"


def read(text: str) -> Lesson:
    return read_lesson(text.encode(), "own.yaml")


def problems(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as failed:
        prepare(read(text), scenarios(), "/nonexistent")
    return [str(problem) for problem in failed.value.problems]


PREDICT = "  - predict: {en: x}\n    flow: client -> host:80\n    family: ipv4\n    choices: "


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ("  - tel: {en: x}\n", "4:5: lesson.steps[0] needs one of the keys tell, build, predict, measure,"),
        ("  - tel: {en: x}\n", '(did you mean "tell"?)'),
        ("  - tell: {fr: x}\n", '4:12: unknown key "fr" in lesson.steps[0].tell'),
        ("  - tell: {}\n", "4:11: lesson.steps[0].tell is empty"),
        (
            "  - tell: {en: x}\n    do: [restart httpd]\n",
            '4:5: lesson.steps[0] has the keys "tell", "do", and',
        ),
        ("  - measure: client > host:80\n    ipv4: ok\n", "4:21: flow: expected"),
        ("  - measure: client -> host:80\n", "4:5: the flow has no expectation: add ipv4, ipv6 or both"),
        (
            "  - measure: client -> host:80\n    ipv4: foward\n",
            "5:11: 'foward': 'foward' is neither an outcome",
        ),
        ("  - measure: clent -> host:80\n    ipv4: ok\n", "did you mean"),
        ("  - show: [ss]\n", "4:5: a command shows something that the lesson says: add 'has' or 'lacks'"),
        (
            "  - show: ss\n    has: [x]\n",
            "4:11: lesson.steps[0].show must be a list of a command's words, not",
        ),
        ("  - do: [restrat httpd]\n", '4:10: event: unknown event "restrat" (did you mean "restart"?)'),
        ("  - do: [stop htpd]\n  - measure: client -> host:80\n    ipv4: ok\n", "4:10: "),
        (PREDICT.replace("ipv4", "ipv5") + "[]\n", '6:13: lesson.steps[0].family cannot be "ipv5"'),
        (PREDICT + "[]\n", "7:14: lesson.steps[0].choices is empty"),
        (PREDICT + "[{en: a}, {en: b, expect: ok}]\n", "7:15: a choice needs the key 'expect'"),
        (PREDICT + "[{expect: ok}, {en: b, expect: ok}]\n", "7:15: a choice needs a text: one of en, ja"),
        ("  - cost: client -> host:[80,443]\n    proxied: []\n", "is not one flow of TCP to one port"),
        (
            "  - build: htpd.yaml\n",
            "4:12: neither the lesson's folder nor the gallery has a scenario 'htpd.yaml'",
        ),
        ("  - task: {en: x}\n    solution: []\n    expect: []\n", "5:15: lesson.steps[0].solution is empty"),
    ],
)
def test_every_problem_has_its_place(steps: str, problem: str) -> None:
    found = problems(BEGIN + steps)
    assert all(one.startswith("own.yaml:") for one in found)
    assert any(problem in one for one in found), found


def test_what_a_lesson_needs() -> None:
    assert problems("steps: []\n") == [
        'own.yaml:1:1: lesson needs the key "title"',
        'own.yaml:1:1: lesson needs the key "scenario"',
        "own.yaml:1:8: lesson.steps is empty",
    ]


def test_a_flow_after_an_event_means_what_it_means_by_then() -> None:
    lesson = read(
        BEGIN + "  - do: [stop httpd]\n  - measure: client -> host:80\n    ipv4: refused\n"
        "  - build: httpd.yaml\n  - measure: client -> host:80\n    ipv4: ok\n"
    )
    first, second = prepare(lesson, scenarios(), "/nonexistent")
    (stopped,), (fresh,) = expectations(first.steps[1]), expectations(second.steps[0])
    assert [event.text for event in stopped.after] == ["stop httpd"]
    assert fresh.after == ()


def test_a_lesson_s_own_scenario_is_beside_it_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "lessons").mkdir()
    (tmp_path / "own.yaml").write_text((ROOT / "scenarios" / "httpd.yaml").read_text())
    (tmp_path / "lessons" / "link.yaml").symlink_to(tmp_path / "own.yaml")
    for name in ("../own.yaml", str(tmp_path / "own.yaml"), "link.yaml"):
        lesson = read(BEGIN.replace("httpd.yaml", name) + "  - tell: {en: x}\n")
        with pytest.raises(ScenarioError, match="neither the lesson's folder nor the gallery has"):
            prepare(lesson, scenarios(), str(tmp_path / "lessons"))
    (part,) = prepare(read(BEGIN.replace("httpd", "own") + "  - tell: {en: x}\n"), {}, str(tmp_path))
    assert part.scenario.name == "own"


def texts(lesson: Lesson) -> list[Words]:
    """Every text of a lesson."""
    found = [lesson.title]
    for step in lesson.steps:
        match step:
            case Tell():
                found.append(step.words)
            case Predict():
                found += [step.words, *(choice.words for choice in step.choices)]
            case Task():
                found += [step.words, *([step.hint] if step.hint else [])]
    return found


@pytest.mark.parametrize("name", lessons())
def test_a_lesson_of_netlab_s_own(name: str) -> None:
    lesson = read_lesson(Path(lessons()[name]).read_bytes(), lessons()[name])
    prepare(lesson, scenarios(), "/nonexistent")
    for words in texts(lesson):
        assert set(words.by_language) == set(LANGUAGES)
        assert re.search("[ぁ-ん一-龠]|^ip6?tables ", words.by_language["ja"]), words
        assert not re.search("[ぁ-ん一-龠]", words.by_language["en"])
    # Every claim is measured: what a lesson tells is followed by something that can fail.
    assert sum(bool(expectations(step)) for step in lesson.steps) >= 1
    for step in lesson.steps:
        if isinstance(step, Predict):
            assert all(isinstance(choice, Choice) for choice in step.choices)


def test_the_page_lists_the_lessons_in_their_order() -> None:
    rows = re.findall(r"^\| (\d+) \| ", (ROOT / "docs" / "lessons.md").read_text(), re.MULTILINE)
    assert rows == [str(number) for number in range(1, len(lessons()) + 1)]
    assert len(rows) == 12


def test_the_example_of_the_page_is_a_lesson() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "lessons.md").read_text(), re.DOTALL)
    lesson = read(example)
    prepare(lesson, scenarios(), "/nonexistent")
    assert [type(step).__name__ for step in lesson.steps] == ["Build", "Tell", "Predict", "Measure", "Task"]
