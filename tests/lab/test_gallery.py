"""Every scenario of the gallery proves its claim, on the engine that it names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.labs import ROOT, Netlab

GALLERY = sorted((ROOT / "scenarios").glob("*.yaml"))


@pytest.mark.parametrize("file", GALLERY, ids=lambda file: file.stem)
def test_scenario_holds(netlab: Netlab, file: Path) -> None:
    done = netlab("verify", "--json", file)
    (scenario,) = json.loads(done.stdout)["scenarios"]
    assert scenario["verdicts"], "a scenario of the gallery expects something"
    assert {verdict["verdict"] for verdict in scenario["verdicts"]} == {"passed"}


@pytest.mark.parametrize("file", GALLERY, ids=lambda file: file.stem)
def test_scenario_opens_with_its_drawing_and_its_claim(file: Path) -> None:
    text = file.read_text()
    comment = text[: text.index("\nservices:" if "\nversion:" not in text else "\nversion:")]
    assert all(line.startswith("#") for line in comment.splitlines() if line)
    assert "# The claim" in comment
    assert "─" in comment or "iptables" in comment
    assert "engine: docker-" in text or "engine: podman" in text
