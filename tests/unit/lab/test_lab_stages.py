"""Flows and the events between them: what is asked when, and of what."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.lab.load import load_plan, load_scenario
from netlab.lab.stages import stages
from netlab.model.errors import UsageError
from netlab.model.problem import ScenarioError
from netlab.plan import make
from netlab.plan.change import History
from netlab.plan.commands import commands_of

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
HEAD = TEXT.format(expect="").lstrip().removesuffix("\n")
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


#: what stands below ``expect``, and what is said of it: line and column, words
WRONG = [
    (
        "{flow: 'client -> [fe80::1%eht0]:80', ipv6: ok}",
        "10:7: flow: client has no interface 'eht0' (did you mean eth0?)",
    ),
    ("{flow: 'db -> web:80 via client', ipv4: ok}", "10:7: flow: db and client share no segment"),
    ("{flow: 'client -> gateway:80', ipv4: ok}", "10:7: for client, gateway may be that of several networks"),
    ("{flow: 'client -> db@front:80', ipv4: ok}", "10:7: db is not on the network front"),
    ("{event: reload rules}", "10:15: host: x-netlab names no ruleset file"),
    ("{event: flush rules}", "10:15: host: x-netlab names no ruleset file"),
    ("{event: down link host extO}", "10:15: event: host has no interface 'extO' (did you mean ext0?)"),
    ("{event: up link web eth1}", "10:15: event: web has no interface 'eth1' (did you mean eth0?)"),
    (
        "{event: 'run host iptables -A INPUT -i {bridge:fornt}'}",
        "10:15: {bridge:fornt}: there is no network 'fornt'",
    ),
    (
        "{event: 'run web iptables -A INPUT -i {bridge:front}'}",
        "10:15: event: {bridge:…} is the name of a host's",
    ),
    ("{event: stop web}\n    - {event: connect web front}", "11:15: "),
]
FINE = [
    "{flow: 'client -> [fe80::1%eth0]:80', ipv6: ok}",
    "{flow: 'client -> 172.30.0.2:80 via host', ipv4: ok}",
    "{flow: 'web -> [fe80::1%eth1]:80', ipv6: ok}\n",
    "{event: down link host ext0}",
    "{event: down link host docker0}",
    "{event: down link web lo}",
    "{event: run host ip link add mine type dummy}\n    - {event: up link host mine}",
    "{event: 'run host iptables -A INPUT -i {bridge:front} -j DROP'}",
]


@pytest.mark.parametrize(("entry", "said"), WRONG)
def test_what_cannot_be_measured_is_said_by_the_plan(tmp_path: Path, entry: str, said: str) -> None:
    (tmp_path / "f").write_text(HEAD + f"    - {entry}\n" + (FLOW if "event" in entry else ""))
    with pytest.raises(ScenarioError) as caught:
        load_plan([tmp_path / "f"])
    assert str(caught.value).startswith(f"{tmp_path}/f:{said}")


@pytest.mark.parametrize("entry", FINE)
def test_what_can_be_measured_is_planned(tmp_path: Path, entry: str) -> None:
    before = "    - event: connect web back\n" if "eth1" in entry else ""
    (tmp_path / "f").write_text(HEAD + before + f"    - {entry}\n" + FLOW)
    assert load_plan([tmp_path / "f"]).expect


def test_a_bridge_in_a_command_is_the_one_that_the_lab_has(tmp_path: Path) -> None:
    (tmp_path / "f").write_text(HEAD + f"    - {FINE[-1]}\n" + FLOW)
    scenario = load_scenario([tmp_path / "f"])
    plan = make(scenario)
    (event,) = scenario.expect[-1].after
    (command,) = commands_of(scenario, event, plan.networks)
    bridge = next(network.bridge for network in plan.networks if network.key == "front")
    assert command.argv == ("iptables", "-A", "INPUT", "-i", bridge, "-j", "DROP")
