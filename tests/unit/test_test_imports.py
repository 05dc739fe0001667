"""What the tests import exists, also in those that a plain run does not collect (conformance, torture)."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
#: packages of the project's own, by the folder that holds them
OURS = {
    "netlab": TESTS.parent,
    "support": TESTS,
    "witness": TESTS,
    "agree": TESTS,
    "groundtruth": TESTS / "conformance",
}


def imported(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, module and name of each ``from MODULE import NAME`` of the project's packages."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
            yield from ((node.lineno, str(node.module), alias.name) for alias in node.names)


def exists(module: str, name: str) -> bool:
    """Whether ``from module import name`` would succeed."""
    try:
        if hasattr(importlib.import_module(module), name):
            return True
        importlib.import_module(f"{module}.{name}")
    except ModuleNotFoundError:
        return False
    return True


@pytest.mark.parametrize("name", sorted({str(p.parent.relative_to(TESTS)) for p in TESTS.rglob("*.py")}))
def test_what_a_test_imports_exists(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = TESTS / name
    for place in set(OURS.values()):
        monkeypatch.syspath_prepend(place)
    missing = [
        f"{path.relative_to(TESTS)}:{line}: from {module} import {wanted}"
        for path in sorted(folder.glob("*.py"))
        for line, module, wanted in imported(path)
        if not exists(module, wanted)
    ]
    assert not missing


def test_a_name_that_is_gone_is_found() -> None:
    assert exists("netlab.model", "errors")
    assert not exists("netlab.model.errors", "NoSuchError")
    assert not exists("netlab.no_such_module", "anything")
