"""The random rules of ``nox -s agree`` are read and predicted without an error."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from agree.host import Host
from agree.packets import questions

import netlab


@pytest.mark.parametrize("seed", range(12))
def test_random_rules_are_read_and_predicted(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    prediction = netlab.Prediction(Host.at_random(chance).write(tmp_path))
    asked = [one for one in questions(chance, 12) if " via " not in one]
    found = [journey for one in asked for journey in prediction.probe_all(one)]
    assert {journey.how for journey in found} == {"predicted"}


def test_the_same_seed_is_the_same_host() -> None:
    one, other = (Host.at_random(random.Random("3/7")) for _ in range(2))
    assert one == other
