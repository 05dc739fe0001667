"""Flows and the events between them: what is asked when, and of what."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.lab.load import load_scenario
from netlab.lab.stages import stages
from netlab.model.errors import UsageError
from netlab.plan import make
from netlab.plan.change import History

TEXT = """
services:
  web: {{networks: [front]}}
  db: {{networks: [back]}}
networks:
  front: {{ipam: {{config: [{{subnet: 172.30.0.0/24}}]}}}}
  back: {{ipam: {{config: [{{subnet: 172.31.0.0/24}}]}}}}
x-netlab:
  host: {{engine: docker-28}}
  expect:
{expect}
"""
FLOW = "    - {flow: 'client -> web:80', ipv4: {outcome: ok}}\n"


def load(tmp_path: Path, expect: str):  # type: ignore[no-untyped-def]
    file = tmp_path / "stages.yaml"
    file.write_text(TEXT.format(expect=expect))
    scenario = load_scenario([file])
    return make(scenario), History.of(scenario)


def test_names_mean_what_they_mean_by_then(tmp_path: Path) -> None:
    plan, history = load(
        tmp_path,
        FLOW + FLOW + "    - event: connect web back\n    - event: disconnect web front\n" + FLOW,
    )
    first, second = stages(plan, history)
    assert [claim.flow.address for claim in first.claims] == ["172.30.0.2", "172.30.0.2"]
    assert first.events == ()
    assert [event.text for event in second.events] == ["connect web back", "disconnect web front"]
    assert [claim.flow.address for claim in second.claims] == ["172.31.0.3"]


def test_what_the_engine_refuses_is_said_at_the_event(tmp_path: Path) -> None:
    plan, history = load(tmp_path, FLOW + "    - event: disconnect web back\n" + FLOW)
    with pytest.raises(UsageError, match=r"stages\.yaml:12:14: docker-28 refuses: "):
        stages(plan, history)


def test_a_plan_alone_has_no_past(tmp_path: Path) -> None:
    plan, _ = load(tmp_path, FLOW + "    - event: stop web\n" + FLOW)
    with pytest.raises(UsageError, match=r"stages\.yaml:12:14: the lab was built from a plan"):
        stages(plan, None)
    quiet, _ = load(tmp_path, FLOW)
    (stage,) = stages(quiet, None)
    assert len(stage.claims) == 1
