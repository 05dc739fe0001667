"""``netlab demo``: guided lessons, listed, or one of them in the terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from netlab.cli.asciicast import Recording
from netlab.cli.demo_screen import Screen
from netlab.cli.demo_teacher import Teacher
from netlab.cli.gallery_page import scenarios
from netlab.cli.output import print_json
from netlab.lab.lessons import prepare
from netlab.lab.output_file import open_output
from netlab.lesson.lesson import Show
from netlab.lesson.read import lessons, read_lesson
from netlab.model.errors import UsageError
from netlab.model.near import nearest
from netlab.model.problem import Problem, ScenarioError
from netlab.view import rich
from netlab.view.console import console

if TYPE_CHECKING:
    import argparse

    from netlab.cli.documents import DemoDocument
    from netlab.lesson.lesson import Lesson


def run(args: argparse.Namespace) -> int:
    """List, or teach.

    Returns 0, 1 if a claim did not hold, 3 if one could not be measured, 130 if the learner ended the lesson.
    Raises UsageError for an unknown lesson, and ScenarioError for a wrong one.
    """
    language = args.lang or _language()
    if args.name is None:
        _list(language, as_json=args.json)
        return 0
    path = _path(args.name)
    with open(path, "rb") as file:
        lesson = read_lesson(file.read(), path)
    if path not in lessons().values() and not args.allow_programs:
        _refuse_programs(lesson)
    parts = prepare(lesson, scenarios(), os.path.dirname(path))
    if not args.auto and not sys.stdin.isatty():
        raise UsageError("a lesson asks its learner, and stdin is no terminal: with --auto it asks nothing")
    title = lesson.title.of(language)
    recording = Recording(open_output(args.record), title) if args.record else None
    screen = Screen(language, recording, auto=args.auto)
    teacher = Teacher(screen, allow_programs=args.allow_programs)
    screen.print(title, style="bold")
    try:
        for part in parts:
            teacher.teach(part)
    except EOFError:
        return 130
    screen.say("end", style="dim")
    if teacher.failed:
        return 1
    return 3 if teacher.unmeasured else 0


def _refuse_programs(lesson: Lesson) -> None:
    """Raise ScenarioError for the commands of a lesson that did not come with netlab."""
    problems = [
        Problem(step.position, f"show: {step.argv[0]} would run as you", "--allow-programs", "lets it run")
        for step in lesson.steps
        if isinstance(step, Show)
    ]
    if problems:
        raise ScenarioError(problems)


def _language() -> str:
    """The language of the environment, as gettext(3) finds it: Japanese, or else English."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if os.environ.get(name):
            return "ja" if os.environ[name].startswith("ja") else "en"
    return "en"


def _path(name: str) -> str:
    """The file of a lesson: by its name, its number, or the path of a file of one's own."""
    known = lessons()
    for number, (own, path) in enumerate(known.items(), 1):
        if name in (own, str(number)):
            return path
    if os.path.isfile(name):
        return name
    near = nearest(name, known)
    more = f" (did you mean {near}?)" if near else "; netlab demo lists them"
    raise UsageError(f"there is no lesson {name!r}{more}")


def _list(language: str, *, as_json: bool) -> None:
    found = []
    for name, path in lessons().items():
        with open(path, "rb") as file:
            found.append((name, read_lesson(file.read(), path)))
    if as_json:
        document: DemoDocument = {
            "lessons": [{"name": name, "title": dict(one.title.by_language)} for name, one in found]
        }
        print_json(document)
        return
    table = rich.Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="right")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for number, (name, one) in enumerate(found, 1):
        table.add_row(str(number), rich.Text(name, style="bold"), rich.Text(one.title.of(language)))
    console(sys.stdout).print(table)
