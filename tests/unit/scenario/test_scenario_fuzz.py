"""A short run of the fuzzer: nothing but a Scenario or a ScenarioError, ever."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FUZZER = Path(__file__).parents[2] / "fuzz" / "scenario_fuzz.py"


@pytest.fixture(scope="module")
def fuzzer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scenario_fuzz", FUZZER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["scenario_fuzz"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", range(4))
def test_mutated_files(seed: int, fuzzer: ModuleType, tmp_path: Path) -> None:
    for content in fuzzer.inputs(150, seed):
        assert fuzzer.check(tmp_path, content) is None, content


def test_the_fuzzer_would_notice(fuzzer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("services")

    monkeypatch.setattr(fuzzer, "load", broken)
    assert fuzzer.check(tmp_path, b"services: {}") == "KeyError: 'services'"
