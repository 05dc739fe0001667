"""Every scenario of the gallery opens with a drawing and a claim, and states what proves it.

The session "gallery" measures that each expectation holds.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.lab.load import load_scenario

GALLERY = sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))


def test_there_are_scenarios() -> None:
    assert len(GALLERY) > 60


@pytest.mark.parametrize("file", GALLERY, ids=lambda file: file.stem)
def test_a_scenario_opens_with_its_drawing_and_its_claim(file: Path) -> None:
    text = file.read_text()
    comment = text[: text.index("\nservices:" if "\nversion:" not in text else "\nversion:")]
    assert all(line.startswith("#") for line in comment.splitlines() if line)
    assert "# The claim" in comment
    assert "─" in comment or "iptables" in comment
    assert "engine: docker-" in text or "engine: podman" in text or "engines: [docker-" in text


@pytest.mark.parametrize("file", GALLERY, ids=lambda file: file.stem)
def test_a_scenario_expects_something(file: Path) -> None:
    assert load_scenario([file]).expect
