"""``exposure`` in a scenario's expectations: read, checked, predicted, and shown by ``netlab verify``."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

import netlab
from netlab.cli.main import main

SCENARIO = """services:
  web: {image: nginx, ports: ["80:80", "127.0.0.1:9000:81"]}
x-netlab:
  host: {engine: docker-28, rules: [%s]}
  expect:
    - exposure: %s
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the scenario is written."""
    return tmp_path / "shop.yaml"


def verified(file: Path, exposure: str, rule: str = "") -> list[str]:
    """The words of the verdicts, predicted."""
    file.write_text(SCENARIO % (rule, exposure))
    return [verdict.word for verdict in netlab.Prediction(file).verify_exposures()]


def test_what_is_open_and_nothing_else(file: Path) -> None:
    assert verified(file, "{reaches: ['host:80/tcp'], nothing-else: true}") == ["passed"]
    assert verified(file, "{from: client, reaches: [web:80], nothing-else: true}") == ["failed"]
    assert verified(file, "{from: ext0, reaches: ['host:[80,443]', 'host:81']}") == ["failed"]
    assert verified(file, "{nothing-else: true}") == ["failed"]
    assert verified(file, "{nothing-else: true}", "iptables -I DOCKER-USER -j DROP") == ["failed"]
    limit = "iptables -I DOCKER-USER -m limit --limit 1/min -j DROP"
    assert verified(file, "{from: client, reaches: ['198.51.100.1:80']}", limit) == ["unmeasured"]


def test_a_failure_names_the_region_and_a_packet(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(SCENARIO % ("", "{reaches: [], nothing-else: true}"))
    assert main(["verify", "--predict", str(file)]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert f"{file}: 1 failed" not in out
    assert "1 failed" in out
    assert f"{file}:6:17: failed" in out
    assert "ipv4 from ext0 of host: tcp 80 to " in out
    assert "which nobody expects; for example client -> " in out


def test_json_and_junit_have_it(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(SCENARIO % ("", "{reaches: ['host:80', 'host:82']}"))
    report = tmp_path / "report.xml"
    assert main(["verify", "--predict", "--json", "--junit", str(report), str(file)]) == 1
    (verdict,) = json.loads(capsys.readouterr().out)["scenarios"][0]["verdicts"]
    assert verdict["exposure"] == "outside"
    assert verdict["expected"] == "host:80, host:82"
    assert verdict["problems"] == ["host:82 is not reached by any packet from ext0 of host"]
    case = ElementTree.parse(report).find("testsuite/testcase")
    assert case is not None
    assert case.get("name") == "all packets from outside"
    assert case.find("failure") is not None


@pytest.mark.parametrize(
    ("exposure", "place", "words"),
    [
        ("{reaches: ['host:80/tpc']}", "6:37", "tpc"),
        ("{reaches: [hots:80]}", "6:28", 'there is no node "hots" (did you mean "host"?)'),
        ("{from: cleint, reaches: [host:80]}", "6:24", 'there is no place "cleint" (did you mean "client"?)'),
        ("{reaches: [localhost:80]}", "6:28", "expected a node or an address"),
        ("{reach: [host:80]}", "6:18", 'did you mean "reaches"'),
        ("{from: outside}", "6:17", "nothing is expected: add reaches, or nothing-else: true"),
        ("{reaches: [host:80], nothing-else: maybe}", "6:52", "nothing-else"),
        ("[host:80]", "6:17", "mapping"),
    ],
)
def test_wrong_words_are_told_by_line_and_column(file: Path, exposure: str, place: str, words: str) -> None:
    file.write_text(SCENARIO % ("", exposure))
    with pytest.raises(netlab.ScenarioError) as caught:
        netlab.load_plan([file])
    assert f"{file}:{place}" in [str(problem.position) for problem in caught.value.problems]
    assert words in str(caught.value)


def test_behind_an_event_it_is_refused(file: Path) -> None:
    text = SCENARIO % ("", "{reaches: ['host:80']}")
    flow = "    - event: restart web\n    - flow: client -> host:80\n      both: ok\n"
    head, tail = text.split("    - exposure")
    file.write_text(f"{head}{flow}    - exposure{tail}")
    with pytest.raises(netlab.ScenarioError, match="before the first event"):
        netlab.load_plan([file])
