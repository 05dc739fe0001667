"""Helpers for tests that write scenario files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from netlab.model.problem import ScenarioError
from netlab.model.scenario import Scenario
from netlab.scenario import load

Load = Callable[..., Scenario]


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Write files (name=text, dots as two underscores) into a folder ``lab``, and load the first one."""
    folder = tmp_path / "lab"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run(
        text: str, others: dict[str, str] | None = None, files: tuple[str, ...] = ("f",), **more: Any
    ) -> Scenario:
        (folder / "f").write_text(dedent(text))
        for name, content in (others or {}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(dedent(content))
        return load(files, **more)

    return run


@pytest.fixture
def problems(loaded: Load) -> Callable[..., list[str]]:
    """The problems of a scenario that must have some, one line each."""

    def run(text: str, *arguments: Any, **more: Any) -> list[str]:
        with pytest.raises(ScenarioError) as caught:
            loaded(text, *arguments, **more)
        return str(caught.value).splitlines()

    return run
