"""``netlab plan``: exactly the rules, a document, and a tree with reasons."""

from __future__ import annotations

import json

import pytest
from support.captures import CAPTURES

from netlab.cli.main import main

SEED = CAPTURES / "scenarios" / "c04.old.rules.yaml"


def shown(capsys: pytest.CaptureFixture[str], *options: str, code: int = 0) -> str:
    assert main(["plan", str(SEED), *options]) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


@pytest.mark.parametrize(("family", "name"), [("ipv4", "iptables.txt"), ("ipv6", "ip6tables.txt")])
def test_rules_are_exactly_what_the_tool_prints(
    capsys: pytest.CaptureFixture[str], family: str, name: str
) -> None:
    expected = (CAPTURES / "20.10.24" / "c04" / name).read_text()
    assert shown(capsys, "--engine", "docker-20.10", "--rules", family) == expected


def test_rules_that_an_engine_does_not_have(capsys: pytest.CaptureFixture[str]) -> None:
    for engine, kind, others in (
        ("docker-20.10", "nft", "--rules ipv4 and --rules ipv6"),
        ("docker-29-nftables", "ipv4", "--rules nft"),
    ):
        assert main(["plan", str(SEED), "--engine", engine, "--rules", kind]) == 0
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.splitlines()[-1] == (
            f"{engine} writes no rules for --rules {kind} here; it has some for {others}"
        )


def test_by_default_the_plan_is_what_up_shows(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "--engine", "docker-20.10")
    assert text.splitlines()[0].endswith(": docker-20.10, 1 container on 2 networks, 2 ports published")
    assert "*:80/tcp  → httpd:80   docker-proxy on 0.0.0.0 and [::]" in text
    assert "-j ACCEPT" not in text


def test_the_document_has_a_version_and_every_reason(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(shown(capsys, "--engine", "docker-20.10", "--json"))
    assert document["schema_version"] == 1
    host = next(node for node in document["nodes"] if node["name"] == "host")
    rules = [
        rule
        for ruleset in host["rulesets"]
        for table in ruleset["tables"]
        for chain in table["chains"]
        for rule in chain["rules"]
    ]
    assert len(rules) > 30
    for thing in (*rules, *host["sysctls"], *host["listeners"]):
        assert thing["reason"]


def test_the_tree_names_what_is_published_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    tree = shown(capsys, "--engine", "docker-20.10", "--full")
    assert "host port 80/tcp -> httpd:80" in tree
    assert "--dport 80 -j ACCEPT  port 80 of httpd on nw, published" in tree
    assert "docker-proxy [::]:443/tcp -> [fd00:10::10]:443" in tree


def test_a_host_that_is_not_there_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no host 'moon'" in shown(capsys, "--rules", "ipv4", "--host", "moon", code=2)
