"""``netlab exposure --no-proof``: what it prints, what it compares, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netlab.cli.main import main

SCENARIOS = Path(__file__).parents[3] / "scenarios"
SEED = str(SCENARIOS / "httpd.yaml")


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What the verb prints."""
    assert main(["exposure", *arguments, "--no-proof"]) == code
    return capsys.readouterr().out


def parts(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    """The parts of the verb's JSON."""
    found = json.loads(told(capsys, *arguments, "--json"))
    assert found["schema_version"] == 1
    assert "proof" not in found
    return list(found["parts"])


def test_one_plan_has_a_part_for_each_family(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, SEED, "--to", "198.51.100.1", "-4").splitlines()
    assert lines[0] == "ipv4 from ext0 of host"
    assert "  icmp echo → host, local, sender's address kept" in lines
    assert lines[-1] == "  everything else → host, where nothing listens"
    assert [(one["family"], one["from"]) for one in parts(capsys, SEED)] == [
        ("ipv4", "ext0 of host"),
        ("ipv6", "ext0 of host"),
    ]


def test_regions_as_json_are_exact(capsys: pytest.CaptureFixture[str]) -> None:
    (part,) = parts(capsys, SEED, "-4", "--to", "198.51.100.1")
    (kept,) = [
        region
        for region in part["regions"]
        if region["fate"].get("service") == "httpd" and "sees" not in region["fate"]
    ]
    assert {tuple(box["dport"]) for box in kept["boxes"]} == {("80", "443")}
    assert {tuple(box["protocol"]) for box in kept["boxes"]} == {("tcp",)}
    assert {rule["chain"] for rule in kept["accepted"]} == {"DOCKER"}


@pytest.mark.parametrize(
    ("origin", "heading"),
    [("client", "client"), ("httpd", "httpd"), ("ext0", "ext0 of host"), ("ext0@host", "ext0 of host")],
)
def test_packets_enter_where_one_says(capsys: pytest.CaptureFixture[str], origin: str, heading: str) -> None:
    out = told(capsys, SEED, "--from", origin, "--to", "host", "-4")
    assert out.startswith(f"ipv4 from {heading}\n")


def test_a_container_reaches_the_other_network_s_gateway_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (part,) = parts(capsys, SEED, "-4", "--from", "httpd", "--to", "172.17.0.1")
    reached = [one["fate"] for one in part["regions"] if one["fate"]["word"] == "reaches"]
    assert {fate["node"] for fate in reached} == {"host", "httpd"}


def test_two_engines_differ(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(SCENARIOS / "direct-access.yaml")
    engines = ("--engine", "docker-27", "--engine", "docker-28")
    out = told(capsys, file, *engines, "-4", "--to", "192.168.10.10")
    assert out.splitlines()[0] == "docker-27 -> docker-28"
    assert "\n  - " in out
    assert "for example client -> 192.168.10.10:" in out
    found = json.loads(told(capsys, file, *engines, "-4", "--to", "192.168.10.10", "--json"))
    assert found["labels"] == ["docker-27", "docker-28"]
    (part,) = found["parts"]
    assert {change["opens"] for change in part["changes"]} == {False, None}


def test_two_files_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "services: {web: {image: a, ports: ['80:80'%s]}}\n"
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text(text % "")
    other.write_text(text % ", '81:80'")
    out = told(capsys, str(one), str(other), "-4", "--to", "198.51.100.1")
    assert "  + tcp 81" in out
    assert "    → web:80, forward" in out
    assert told(capsys, str(one), str(one), "-4").splitlines()[2:] == ["  no packet has another fate"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "cleint"), "did you mean client"),
        (("--from", "eth7"), "expected outside, a node or an interface such as ext0"),
        (("--from", "ext0@client"), "ext0@client"),
        (("--to", "htpd"), "did you mean httpd"),
        (("--to", "198.51.100.1/40"), "198.51.100.1/40"),
        (("--engine", "docker-99"), "docker-99"),
        ((SEED, SEED), "exposure compares"),
        (("-4", "-6"), "not allowed with"),
    ],
)
def test_wrong_words_are_refused(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    try:
        code = main(["exposure", SEED, *arguments, "--no-proof"])
    except SystemExit as stopped:
        code = int(str(stopped.code))
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert words in said.err


def test_a_file_with_an_error_is_told_by_line_and_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("services:\n  web: {image: a, ports: ['80:80'], netwroks: [b]}\n")
    assert main(["exposure", str(file), "--no-proof"]) == 2
    said = capsys.readouterr().err
    assert f"{file}:2:37" in said
    assert "networks" in said
