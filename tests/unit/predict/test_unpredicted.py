"""What the first packet does not determine is never guessed: the rule is named, with both ways on from it."""

from __future__ import annotations

from pathlib import Path

import pytest

import netlab
from netlab.model.journey import Journey

SCENARIO = """
services:
  web:
    image: nginx
    ports: ["80:80"]
x-netlab:
  host:
    engine: docker-28
    rules: [{rules}]
"""


def predicted(tmp_path: Path, *rules: str, flow: str = "client -> host:80") -> Journey:
    file = tmp_path / "case.yaml"
    file.write_text(SCENARIO.replace("{rules}", ", ".join(f'"{rule}"' for rule in rules)))
    return netlab.Prediction(file).probe(flow, family=4)


@pytest.mark.parametrize(
    ("match", "what"),
    [
        ("-m limit --limit 1/min", "-m limit"),
        ("-m statistic --mode random --probability 0.5", "-m statistic"),
        ("-m recent --name x --rcheck", "-m recent"),
        ("-m quota --quota 1000", "-m quota"),
        ("-m time --timestart 08:00", "-m time"),
    ],
)
def test_both_ways_are_given(tmp_path: Path, match: str, what: str) -> None:
    journey = predicted(tmp_path, f"iptables -I DOCKER-USER {match} -j DROP")
    assert journey.outcome == "unpredicted"
    assert journey.problem is not None
    assert journey.problem.endswith(f"in ip filter DOCKER-USER of host depends on {what}")
    assert (journey.decided_by.chain, journey.decided_by.node) == ("DOCKER-USER", "host")
    assert [(one.condition, one.journey.outcome) for one in journey.continuations] == [
        ("it matches", "timeout"),
        ("it does not match", "ok"),
    ]
    assert Journey.from_json(journey.to_json()) == journey


def test_a_target_that_the_model_does_not_know_goes_on_or_ends(tmp_path: Path) -> None:
    journey = predicted(tmp_path, "iptables -I DOCKER-USER -j NFQUEUE --queue-num 1")
    assert [(one.condition, one.journey.outcome) for one in journey.continuations] == [
        ("its target lets the packet go on", "ok"),
        ("its target ends the packet", "timeout"),
    ]


def test_what_makes_no_difference_is_a_note(tmp_path: Path) -> None:
    journey = predicted(tmp_path, "iptables -I DOCKER-USER -m limit --limit 1/min -j RETURN")
    assert journey.outcome == "ok"
    assert "it makes no difference" in journey.notes[0]


def test_a_rule_that_only_logs_is_a_note(tmp_path: Path) -> None:
    journey = predicted(tmp_path, "iptables -I DOCKER-USER -m limit --limit 1/min -j LOG")
    assert journey.outcome == "ok"
    assert journey.notes == (
        "-A DOCKER-USER -m limit --limit 1/min -j LOG may match, too: that depends on -m limit",
    )


def test_another_flow_is_predicted(tmp_path: Path) -> None:
    journey = predicted(
        tmp_path, "iptables -I DOCKER-USER -m limit --limit 1/min -j DROP", flow="client -> host:81"
    )
    assert (journey.how, journey.outcome) == ("predicted", "refused")


def test_a_command_that_the_model_does_not_know_is_named(tmp_path: Path) -> None:
    journey = predicted(tmp_path, "ip rule add fwmark 1 table 100 suppress_prefixlength 0")
    assert journey.outcome == "unpredicted"
    assert journey.problem == (
        "host: the model does not know the command ip rule add fwmark 1 table 100 suppress_prefixlength 0"
    )
