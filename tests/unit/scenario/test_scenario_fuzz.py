"""A short run of the fuzzer: nothing but a Scenario or a ScenarioError, ever."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz import scenario_fuzz


@pytest.mark.parametrize("seed", range(4))
def test_mutated_files(seed: int, tmp_path: Path) -> None:
    for content in scenario_fuzz.inputs(150, seed):
        assert scenario_fuzz.check(tmp_path, content) is None, content


def test_the_fuzzer_would_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("services")

    monkeypatch.setattr(scenario_fuzz, "load", broken)
    assert scenario_fuzz.check(tmp_path, b"services: {}") == "KeyError: 'services'"
