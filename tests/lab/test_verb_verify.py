"""``netlab verify``: verdicts, what they are explained by, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from conftest import SEED, Netlab

HEAD = """
services:
  web: {image: nginx, ports: ["8080:80"]}
x-netlab:
  host: {engine: docker-20.10}
"""


def test_a_wrong_claim_fails_and_its_journey_explains_it(netlab: Netlab, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(
        HEAD
        + """
  expect:
    - flow: client -> host:8080
      ipv4: {outcome: ok, path: forward, sees: gateway}
      ipv6: {outcome: ok, path: proxy, sees: gateway}
"""
    )
    junit = tmp_path / "junit.xml"
    done = netlab("verify", file, "--junit", junit, code=1)
    assert "1 failed" in done.stdout
    assert "1 passed" in done.stdout
    assert f"{file}:8:7" in done.stdout
    assert "the server saw 198.51.100.2 (client)" in done.stdout
    assert "├── prerouting  in by ext0" in done.stdout
    (suite,) = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")


def test_without_expectations_nothing_is_tested(netlab: Netlab, tmp_path: Path) -> None:
    file = tmp_path / "plain.yaml"
    file.write_text(HEAD)
    assert "nothing was tested" in netlab("verify", file, code=5).stderr


def test_a_scenario_that_cannot_be_read_ends_it_before_anything_is_built(
    netlab: Netlab, tmp_path: Path
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("services:\n  web: {image: x, prots: [80]}\n")
    done = netlab("verify", SEED, file, code=2)
    assert f"{file}:2:" in done.stderr
    assert "ports" in done.stderr
    assert done.stdout == ""


def test_json_has_each_verdict_with_its_journey(netlab: Netlab) -> None:
    document = json.loads(netlab("verify", SEED, "--json").stdout)
    assert document["schema_version"] == 1
    assert document["exit_code"] == 0
    verdicts = document["scenarios"][0]["verdicts"]
    assert [verdict["family"] for verdict in verdicts] == ["ipv4", "ipv4", "ipv6", "ipv6"]
    assert all(verdict["journey"]["legs"] for verdict in verdicts)
