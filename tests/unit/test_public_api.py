"""The public Python API: every name has a docstring with an example, and the examples are correct.

The public names are found here, not listed: everything in ``netlab.__all__`` and ``netlab.testing.__all__``,
the public members of these classes, and the classes that these functions and methods return.

An example after ``>>>`` is run, with a fake lab of recorded journeys as ``lab`` (tests/support/recorded.py
writes them). An example in an indented block after ``::`` needs a kernel: mypy checks it here, and tests/lab
tests what it uses.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import pytest
from support.recorded import JOURNEYS, SCENARIO

import netlab
import netlab.testing
from netlab.model.family import Family
from netlab.model.journey import Journey
from netlab.testing import Expected, FakeLab

ROOT = Path(__file__).parents[2]
#: The packages of the API; what comes from others (a netlink channel) is not part of it.
PACKAGES = ("journey", "lab", "model", "plan", "testing")
#: What examples that need a kernel may use without saying where it comes from.
PREAMBLE = """\
import os, pytest, select, signal, subprocess, warnings
import netlab
from netlab.lab import state
from netlab.lab.client.process import Process
from netlab.model.expectation import ScenarioEvent
from netlab.model.scenario import Scenario
from netlab.plan.change import History, happen
from netlab.testing import Expected, FakeLab
lab: netlab.Lab
process: Process
event: ScenarioEvent
scenario: Scenario
"""


class Name(NamedTuple):
    """One public name: a class, a function, or a member of a class."""

    path: str
    value: Any  # a class or a function

    @property
    def doc(self) -> str:
        """The name's own docstring, not that of a base class."""
        return inspect.cleandoc(vars(self.value).get("__doc__") or self.value.__doc__ or "")


@cache
def imported_in(module: str) -> dict[str, str]:
    """The names that a module imports or defines, also for type checking only, and their modules."""
    tree = ast.parse(Path(sys.modules[module].__file__ or "").read_text())
    found = {
        alias.asname or alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    return found | {node.name: module for node in tree.body if isinstance(node, ast.ClassDef)}


def classes_in(function: FunctionType) -> Iterator[type]:
    """The API's classes that a function returns, by its annotation."""
    known = imported_in(function.__module__)
    for word in re.findall(r"\w+", str(function.__annotations__.get("return", ""))):
        module = known.get(word, "")
        if module.startswith(tuple(f"netlab.{package}." for package in PACKAGES)):
            value = getattr(importlib.import_module(module), word)
            if inspect.isclass(value):
                yield value


def members_of(value: type) -> Iterator[Name]:
    """The public methods and properties of a class, inherited ones included."""
    for name in dir(value):
        if name.startswith("_"):
            continue
        owner = next(base for base in value.__mro__ if name in vars(base))
        member = vars(owner)[name]
        function = getattr(member, "fget", None) or getattr(member, "__func__", None) or member
        if owner.__module__.startswith("netlab.") and isinstance(function, FunctionType):
            yield Name(f"{owner.__module__}.{owner.__qualname__}.{name}", function)


def public() -> Iterator[Name]:
    """Every public name, once."""
    waiting = [getattr(place, name) for place in (netlab, netlab.testing) for name in place.__all__]
    seen: set[str] = set()
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, str):
            continue  # the version
        found = [Name(f"{value.__module__}.{value.__qualname__}", value)]
        if inspect.isclass(value):
            found += members_of(value)
        for name in found:
            if name.path not in seen:
                seen.add(name.path)
                yield name
                if isinstance(name.value, FunctionType):
                    waiting += classes_in(name.value)


PUBLIC = sorted(public())


def named(name: Name) -> str:
    """A name in the reports of this module."""
    return name.path.removeprefix("netlab.")


def blocks(doc: str) -> list[str]:
    """The indented code blocks after ``::`` in a docstring."""
    return [
        textwrap.dedent(block)
        for block in re.findall(r"(?:^|\n)(?:.*[^:])?::\n\n((?:(?: {4}.*)?\n)+)", doc + "\n")
    ]


def errors_raised(name: Name) -> set[str]:
    """The errors that the body of a public name raises itself."""
    value = vars(name.value).get("__init__") if inspect.isclass(name.value) else name.value
    if not isinstance(value, FunctionType) or value.__code__.co_filename.startswith("<"):
        return set()  # no constructor of its own, or a dataclass's
    tree = ast.parse(textwrap.dedent(inspect.getsource(value)))
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    calls = [node.func for node in raised if isinstance(node, ast.Call)]
    return {node.id for node in calls if isinstance(node, ast.Name) and node.id[0].isupper()}


@cache
def fake_lab() -> FakeLab:
    """A lab of recorded journeys, for the examples."""
    return FakeLab(SCENARIO, journeys=JOURNEYS)


def test_the_api_is_found() -> None:
    found = {named(name) for name in PUBLIC}
    assert len(found) > 60
    assert {
        "lab.lab.Lab.explain",
        "lab.questions.Questions.probe",
        "lab.client.client.Client.down",
        "model.journey.Journey.to_json",
        "plan.live_rules.LiveChain",
        "testing.fake.FakeLab",
    } <= found


@pytest.mark.parametrize("name", PUBLIC, ids=named)
def test_a_public_name_has_a_docstring_with_an_example(name: Name) -> None:
    assert name.doc, "no docstring"
    assert ">>> " in name.doc or blocks(name.doc), "no example: write one with >>>, or a block after ::"


@pytest.mark.parametrize("name", PUBLIC, ids=named)
def test_a_public_name_documents_its_errors(name: Name) -> None:
    missing = {error for error in errors_raised(name) if error not in name.doc}
    assert missing == set()


@pytest.mark.parametrize("name", [name for name in PUBLIC if ">>> " in name.doc], ids=named)
def test_examples_without_a_kernel_work(name: Name, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    known = {
        "netlab": netlab,
        "lab": fake_lab(),
        "Expected": Expected,
        "Family": Family,
        "FakeLab": FakeLab,
        "Journey": Journey,
    }
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    parsed = doctest.DocTestParser().get_doctest(name.doc, known, name.path, None, None)
    output: list[str] = []
    result = doctest.DocTestRunner(optionflags=options).run(parsed, out=output.append)
    assert result.failed == 0, "".join(output)
    assert result.attempted > 0


@pytest.mark.timeout(600)  # a minute or two without a cache of mypy
def test_examples_with_a_kernel_type_check(tmp_path: Path) -> None:
    lines = [PREAMBLE]
    examples = [(name.path, block) for name in PUBLIC for block in blocks(name.doc)]
    for number, (path, block) in enumerate(examples):
        lines.append(f"\ndef example_{number}() -> None:  # {path}\n")
        lines.append(textwrap.indent(block, "    "))
    assert len(lines) > 40
    page = tmp_path / "examples.py"
    page.write_text("".join(lines))
    # The cache is the one of `nox -s types`, so only the page itself is new.
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", str(page)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{page.read_text()}"
