"""The random rules of ``nox -s agree`` are read and predicted without an error."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from agree.run import Host, questions

import netlab


@pytest.mark.parametrize("seed", range(8))
def test_random_rules_are_read_and_predicted(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    host = Host.at_random(chance)
    file = tmp_path / "agree.yaml"
    file.write_text(host.text())
    prediction = netlab.Prediction(file)
    asked = [one for one in questions(chance, 12) if " -> 198" not in one and " -> 203" not in one]
    found = [journey for one in asked for journey in prediction.probe_all(one)]
    assert {journey.how for journey in found} == {"predicted"}


def test_the_same_seed_is_the_same_host() -> None:
    one, other = (Host.at_random(random.Random("3/7")) for _ in range(2))
    assert one.text() == other.text()
