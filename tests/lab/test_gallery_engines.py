"""Where a scenario of the gallery says that it holds, it does: measured at both ends of each range."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.labs import ROOT, Netlab

from netlab.cli.gallery_page import entry_of

ENDS = [
    (file, engine)
    for file in sorted((ROOT / "scenarios").glob("*.yaml"))
    for part in filter(None, entry_of(file).holds.split(", "))
    for engine in dict.fromkeys(part.split(" to "))
    if engine != entry_of(file).engine
]


@pytest.mark.parametrize(("file", "engine"), ENDS, ids=lambda value: getattr(value, "stem", value))
def test_it_holds_there(netlab: Netlab, file: Path, engine: str) -> None:
    done = netlab("verify", "--json", "--engine", engine, file)
    (scenario,) = json.loads(done.stdout)["scenarios"]
    assert {verdict["verdict"] for verdict in scenario["verdicts"]} == {"passed"}
