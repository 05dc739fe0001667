"""Rules that never decide anything: found where others take all of their packets, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

import netlab
from netlab.exposure.shadow import unused_rules
from netlab.predict.predictor import Predictor

SCENARIO = """
services:
  web:
    image: nginx
    ports: ["80:80"]
x-netlab:
  host:
    engine: docker-28
    rules:
{rules}
"""


def found(tmp_path: Path, *rules: str) -> list[tuple[str, tuple[str, ...]]]:
    """Each unused rule, with those that take its packets."""
    file = tmp_path / "case.yaml"
    file.write_text(SCENARIO.replace("{rules}", "\n".join(f"      - {rule!r}" for rule in rules)))
    unused = unused_rules(Predictor.of(netlab.load_plan([file])))
    return [(one.rule.text, tuple(by.text for by in one.by)) for one in unused]


def typed(*rules: str) -> list[str]:
    return [f"iptables -A INPUT {rule}" for rule in rules]


def test_docker_s_own_rules_all_decide_something(tmp_path: Path) -> None:
    assert found(tmp_path, "iptables -A INPUT -p tcp --dport 22 -j ACCEPT") == []


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (["-s 10.0.0.0/8 -j DROP"], "-s 10.1.0.0/16 -p tcp -m tcp --dport 22 -j ACCEPT"),
        (["-p tcp -m tcp --dport 1:1023 -j DROP"], "-p tcp -m tcp --dport 22 -j ACCEPT"),
        (["-s 10.0.0.0/9 -j DROP", "-s 10.128.0.0/9 -j ACCEPT"], "-s 10.0.0.0/8 -j REJECT"),
        (["-i eth+ -j DROP"], "-i eth0 -p udp -j ACCEPT"),
        (["! -i lo -j DROP"], "-i ext0 -j ACCEPT"),
        (["-m conntrack --ctstate NEW,INVALID -j DROP"], "-m conntrack --ctstate NEW -j ACCEPT"),
        (["-m addrtype --dst-type LOCAL -j DROP"], "-p tcp -m addrtype --dst-type LOCAL -j ACCEPT"),
    ],
)
def test_a_rule_behind_rules_that_take_its_packets_is_shadowed_by_them(
    tmp_path: Path, earlier: list[str], later: str
) -> None:
    ((rule, by),) = found(tmp_path, *typed(*earlier, later))
    assert later.partition(" ")[0] in rule
    assert len(by) == len(earlier)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("-s 10.1.0.0/16 -j DROP", "-s 10.0.0.0/8 -j ACCEPT"),
        ("-m limit --limit 1/min -j DROP", "-j ACCEPT"),
        ("-p tcp -m tcp ! --dport 22 -j DROP", "-p udp -m udp --dport 53 -j ACCEPT"),
        ("-s 10.0.0.0/8 -j LOG", "-s 10.0.0.0/8 -j ACCEPT"),
        ("-i eth0 -j DROP", "-i eth+ -j ACCEPT"),
        ("-m addrtype --dst-type LOCAL -j DROP", "-m addrtype --src-type LOCAL -j ACCEPT"),
        ("-m conntrack --ctstate ESTABLISHED -j ACCEPT", "-m conntrack --ctstate NEW -j ACCEPT"),
    ],
)
def test_a_rule_that_may_decide_is_not_named(tmp_path: Path, earlier: str, later: str) -> None:
    assert found(tmp_path, *typed(earlier, later)) == []


def test_what_a_mark_changes_in_between_is_not_claimed(tmp_path: Path) -> None:
    rules = ["-m mark --mark 0x1 -j DROP", "-j MARK --set-mark 1", "-m mark --mark 0x1 -j ACCEPT"]
    tables = [f"iptables -t mangle -A INPUT {rule}" for rule in rules]
    assert found(tmp_path, *tables) == []


def test_a_chain_that_ends_every_packet_shadows_what_follows_its_call(tmp_path: Path) -> None:
    unused = found(
        tmp_path,
        "iptables -N all",
        "iptables -A all -p tcp -j ACCEPT",
        "iptables -A all -j DROP",
        *typed("-j all", "-p udp -j ACCEPT"),
    )
    assert unused == [("-A INPUT -p udp -j ACCEPT", ("-A INPUT -j all",))]


def test_a_chain_that_no_rule_calls_is_dead(tmp_path: Path) -> None:
    assert found(tmp_path, "iptables -N alone", "iptables -A alone -j DROP") == [("-A alone -j DROP", ())]
