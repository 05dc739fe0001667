"""``netlab verify``: verdicts, what they are explained by, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from support.labs import SEED, Netlab

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


TALE = (
    HEAD.replace('ports: ["8080:80"]', 'ports: ["8080:80", "5300:53/udp"], restart: always')
    + """
  expect:
    - flow: client:40000 -> host:5300/udp
      ipv4: {outcome: ok, path: forward, sees: client}
    - event: stop web
    - flow: "[client, neighbour]:40000 -> host:5300/udp"
      ipv4: {outcome: unreachable}
    - flow: client:40000 -> host:8080
      both: {outcome: refused}
    - event: start web
    - event: restart daemon
    - flow: client:40000 -> host:8080
      ipv4: {outcome: ok, path: forward, sees: client}
      ipv6: {outcome: ok, path: proxy, sees: gateway}
    - flow: client:40000 -> host:8080
      ipv4: {outcome: refused}
"""
)


def test_what_happens_between_flows_happens_in_order(netlab: Netlab, tmp_path: Path) -> None:
    file = tmp_path / "tale.yaml"
    file.write_text(TALE)
    junit = tmp_path / "junit.xml"
    verdicts = json.loads(netlab("verify", file, "--json", "--junit", junit, code=1).stdout)
    verdicts = verdicts["scenarios"][0]["verdicts"]
    stopped, started = ["stop web"], ["stop web", "start web", "restart daemon"]
    assert [(v["flow"], v["family"], v["after"], v["verdict"]) for v in verdicts] == [
        ("client:40000 -> host:5300/udp", "ipv4", [], "passed"),
        ("client:40000 -> host:5300/udp", "ipv4", stopped, "passed"),
        ("neighbour:40000 -> host:5300/udp", "ipv4", stopped, "passed"),
        ("client:40000 -> host:8080/tcp", "ipv4", stopped, "passed"),
        ("client:40000 -> host:8080/tcp", "ipv6", stopped, "passed"),
        ("client:40000 -> host:8080/tcp", "ipv4", started, "passed"),
        ("client:40000 -> host:8080/tcp", "ipv6", started, "passed"),
        ("client:40000 -> host:8080/tcp", "ipv4", started, "failed"),
    ]
    assert verdicts[0]["journey"]["flow"]["src"] == "198.51.100.2:40000"
    names = [case.get("name") for case in ElementTree.parse(junit).getroot().iter("testcase")]
    assert names[3] == "client:40000 -> host:8080/tcp [ipv4] after stop web"


def test_the_table_has_a_line_for_each_event(netlab: Netlab, tmp_path: Path) -> None:
    file = tmp_path / "tale.yaml"
    file.write_text(TALE)
    done = netlab("verify", file, code=1)
    lines = [line.split()[:4] for line in done.stdout.splitlines()]
    words = ["passed", "event", "passed", "passed", "passed", "passed", "event", "event", "passed"]
    assert [line[0] for line in lines if line][3 : 3 + len(words)] == words
    assert ["event", "restart", "daemon"] in lines
    assert f"{file}:20:7: failed after stop web, start web, restart daemon" in done.stdout


def test_an_event_that_the_engine_refuses_is_reported_before_anything_is_built(
    netlab: Netlab, tmp_path: Path
) -> None:
    file = tmp_path / "refused.yaml"
    file.write_text(TALE.replace("start web", "create network default", 1))
    done = netlab("verify", file, code=2)
    assert f"{file}:15:14: docker-20.10 refuses: " in done.stderr


def test_a_program_that_has_ended_is_said(netlab: Netlab, tmp_path: Path) -> None:
    file = tmp_path / "ended.yaml"
    file.write_text(
        """
services: {job: {image: x}, web: {image: nginx}}
x-netlab:
  services: {job: {command: [sh, -c, "exit 3"]}}
  expect:
    - {flow: "job -> web:80", ipv4: ok bridge}
"""
    )
    done = netlab("verify", file)
    assert "the program of job has ended (exit code 3)" in done.stderr
