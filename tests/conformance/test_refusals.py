"""Each file that Docker or Compose refuses, on a real daemon by the real Compose, and in netlab.

The daemon refuses it in the words of ``refusals.toml``, or takes it, and so does netlab.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from groundtruth.compose import FILE, PROJECT, Refusal, program, up
from groundtruth.daemons import Installed
from groundtruth.source import plan, scenario_of

from netlab.model.errors import UsageError


def of_netlab(engine: str) -> str:
    """What netlab says of the file in this folder; nothing if it takes it."""
    try:
        plan(scenario_of(Path(FILE), engine))
    except UsageError as refusal:
        return str(refusal)
    return ""


def test_refused(
    daemon: Installed,
    refusal: Refusal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    compose = program()
    assert compose is not None
    folder = tmp_path / PROJECT
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path(FILE).write_text(refusal.file)
    said, ours = up(compose, folder, daemon.lower), of_netlab(daemon.engine)
    result = {
        "test": "test_refused",
        "engine": daemon.engine,
        "version": daemon.version,
        "scenario": f"refusal-{refusal.name}",
        "claim": refusal.says[0] + ".",
        "compared": {"refused" if said else "accepted": 1},
        "used": [],
        "differing": ["refusal"],
    }
    record_property("conformance", json.dumps(result))
    assert ours == refusal.expected(daemon.engine)
    if refusal.by(daemon.engine):
        assert any(words in said for words in refusal.says), said
    else:
        assert said == ""
