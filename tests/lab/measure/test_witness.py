"""A share of ``nox -s witness``: random rules, each flow asked by netlab and by plain sockets."""

from __future__ import annotations

import random
import time

import pytest
from witness.run import Count, witness


@pytest.mark.parametrize("seed", [3, 11])
def test_nothing_false_is_said(seed: int) -> None:
    """Two labs, forty flows or ten seconds each. The seeds fix engine, firewall, rules and flows."""
    count = Count()
    witness(random.Random(seed), count, time.monotonic() + 10, most=40)
    assert count.false == []
    assert count.unmeasured == 0
    assert count.flows >= 5
