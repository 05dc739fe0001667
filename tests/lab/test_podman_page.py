"""What docs/docker-to-podman.md predicts is what labs measure."""

from __future__ import annotations

import pytest
from support.labs import ROOT

from netlab.cli.podman_page import ENGINES, NAMES, compared, shown
from netlab.journey.flow_diff import compare
from netlab.lab.load import load_scenario
from netlab.lab.temporary import side_column
from netlab.plan import make


@pytest.mark.parametrize("name", NAMES)
def test_labs_agree(name: str) -> None:
    file = ROOT / "docs" / "docker-to-podman" / f"{name}.yaml"
    scenarios = [load_scenario([file], engine=engine) for engine in ENGINES]
    before, after = (side_column(name, make(one), one) for name, one in zip(ENGINES, scenarios, strict=True))
    assert shown(compare(before, after)) == shown(compared(file))
