"""``netlab explain --predict``: the rule that decides, and a change that was tried in the model alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netlab.cli.main import main

SCENARIO = """\
services:
  web: {image: nginx, ports: ["8080:80"]}
x-netlab:
  host: {engine: docker-28, sysctls: {net.ipv4.conf.all.rp_filter: 1}}
  rules:
    - iptables -I DOCKER-USER -s 198.51.100.3 -j DROP
    - nft add table inet own
    - nft add chain inet own base '{ type filter hook forward priority -5; policy accept; }'
    - nft add rule inet own base ip saddr 198.51.100.3 drop
    - ip route add unreachable 203.0.113.0/24
"""


def explained(tmp_path: Path, capsys: pytest.CaptureFixture[str], flow: str) -> dict[str, object]:
    file = tmp_path / "explained.yaml"
    file.write_text(SCENARIO)
    assert main(["explain", "--predict", "--json", "-4", str(file), flow]) == 0
    (found,) = json.loads(capsys.readouterr().out)["explanations"]
    assert found["before"]["how"] == "predicted"
    assert isinstance(found, dict)
    return found


def test_a_flow_that_two_rules_drop_needs_two_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = explained(tmp_path, capsys, "neighbour -> host:8080")
    tools = [rule["argv"][0] for rule in found["rules"]]  # type: ignore[attr-defined]
    assert (found["wish"], sorted(tools), found["proved"]) == ("allow", ["iptables", "nft"], True)
    assert found["after"]["outcome"] == "ok"  # type: ignore[index]


def test_a_flow_that_passes_can_be_blocked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = explained(tmp_path, capsys, "client -> host:8080")
    assert (found["wish"], found["proved"]) == ("block", True)
    assert found["after"]["decided_by"]["chain"] == "DOCKER-USER"  # type: ignore[index]


def test_a_route_that_refuses_is_deleted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = explained(tmp_path, capsys, "host -> 203.0.113.9:80")
    assert found["wish"] == "allow"
    tried = [*found["rules"], *found["failed"]]  # type: ignore[misc]
    assert ["ip", "route", "del", "unreachable", "203.0.113.0/24"] in [one["argv"] for one in tried]


def test_what_the_rules_do_not_decide_has_a_cause(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = explained(tmp_path, capsys, "client -> host:81")
    assert found["wish"] is None
    assert "listens on 81/tcp" in str(found["cause"])
