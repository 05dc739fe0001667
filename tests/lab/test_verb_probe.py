"""``netlab probe``: journeys of the seed, as root and as an ordinary user."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.labs import SEED, Netlab


def journeys(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_the_two_paths_of_one_published_port(anyones: Netlab) -> None:
    lab = anyones.up()
    four, six = journeys(anyones("probe", lab, "client -> host:80/tcp", "--json").stdout)
    assert (four["outcome"], four["path"], four["answered_by"]) == ("ok", "forward", "httpd")
    assert four["sees"] == {"address": "198.51.100.2", "node": "client"}
    assert [visit["hook"] for visit in four["legs"][0]["hooks"]] == ["prerouting", "forward", "postrouting"]
    assert four["legs"][0]["nat"]["dnat"] == "192.168.10.10:80"
    assert four["decided_by"]["rule"] == (
        "-A DOCKER -d 192.168.10.10/32 ! -i docker_httpd -o docker_httpd -p tcp -m tcp --dport 80 -j ACCEPT"
    )
    assert four["decided_by"]["reason"] == "port 80 of httpd on nw, published"
    assert (six["outcome"], six["path"]) == ("ok", "proxy")
    assert six["sees"]["address"] == "192.168.10.1"
    first, second = six["legs"]
    assert [visit["hook"] for visit in first["hooks"]] == ["prerouting", "input"]
    assert [visit["hook"] for visit in second["hooks"]] == ["output", "postrouting"]
    assert second["by"] == "docker-proxy"


def test_pictures_of_both_families(netlab: Netlab, tmp_path: Path) -> None:
    lab = netlab.up()
    file = tmp_path / "paths.svg"
    text = netlab("probe", lab, "client -> host:80/tcp", "--picture", "--svg", str(file)).stdout
    first = text.splitlines()[0]
    assert first.split() == ["client", "->", "host:80/tcp"] * 2
    assert "◆ filter FORWARD → DOCKER-USER" in text
    drawn = [one.text for one in ElementTree.fromstring(file.read_text()).iter() if one.tag.endswith("}text")]
    assert "3 POSTROUTING" in drawn
    assert "host (docker-proxy's own connection)" in drawn
    failed = netlab("probe", lab, "client -> host:80", "--svg", str(tmp_path / "no/file"), code=2)
    assert "cannot write" in failed.stderr


def test_flows_from_stdin_are_answered_in_order(netlab: Netlab) -> None:
    lab = netlab.up()
    process = netlab.start("probe", lab, "-", "-4", "--json", stdin=subprocess.PIPE)
    asked = ["client -> host:443", "# a comment", "", "neighbour -> host:80", "httpd -> httpd:80"]
    out, err = process.communicate("\n".join(asked), timeout=100)
    assert process.returncode == 0, err
    found = [(one["flow"]["from"], one["flow"]["to"], one["path"]) for one in journeys(out)]
    assert found == [
        ("client", "host:443/tcp", "forward"),
        ("neighbour", "host:80/tcp", "forward"),
        ("httpd", "httpd:80/tcp", "inside"),
    ]


def test_text_output_has_hooks_rules_and_a_sentence(netlab: Netlab) -> None:
    lab = netlab.up()
    text = netlab("probe", lab, "client -> host:80", "-6").stdout
    assert "├── prerouting  in by ext0" in text
    assert "docker-proxy's own connection" in text
    assert "through INPUT and not FORWARD" in " ".join(text.split())
    assert "put the rule in INPUT" in text


@pytest.mark.parametrize("engine", ["docker-20.10", "docker-27", "docker-28", "docker-29"])
def test_the_administrators_chain_is_named_with_and_without_a_rule_in_it(netlab: Netlab, engine: str) -> None:
    lab = netlab.up(SEED, "--engine", engine)
    assert "put the rule in DOCKER-USER" in netlab("probe", lab, "client -> host:80", "-4").stdout
    assert "iptables -I DOCKER-USER" in netlab("explain", lab, "client -> host:80", "-4").stdout


def test_options_change_the_packet(netlab: Netlab) -> None:
    lab = netlab.up()
    (port,) = journeys(
        netlab("probe", lab, "client -> host:80", "-4", "--from-port", "4711", "--json").stdout
    )
    assert port["flow"]["src"] == "198.51.100.2:4711"
    (syn,) = journeys(netlab("probe", lab, "client -> host:80", "-4", "--syn", "--json").stdout)
    assert (syn["outcome"], syn["probe"]) == ("ok", "syn")
    (ping,) = journeys(netlab("probe", lab, "client -> host", "-6", "--icmp", "--json").stdout)
    assert (ping["outcome"], ping["path"]) == ("ok", "local")
    forged = ("--from-address", "203.0.113.9")
    (lie,) = journeys(netlab("probe", lab, "client -> host:80", "-4", *forged, "--json").stdout)
    assert lie["flow"]["src"].startswith("203.0.113.9:")
    assert (lie["path"], lie["outcome"]) == ("forward", "timeout"), "the host has no route for the answer"


def test_all_wrong_flows_are_reported_at_once(netlab: Netlab) -> None:
    lab = netlab.up()
    done = netlab("probe", lab, "clent -> host:80", "client -> host:80/tpc", code=2)
    assert "did you mean client?" in done.stderr.replace('"', "")
    assert "did you mean tcp?" in done.stderr.replace('"', "")
    assert done.stdout == ""
    assert "no flow" in netlab("probe", lab, code=2).stderr


def test_a_prediction_agrees_until_the_kernel_knows_more(anyones: Netlab) -> None:
    lab = anyones.up()
    told = anyones("probe", lab, "--both", "[client,httpd,host] -> host:[80,9]").stdout
    assert told.count("The prediction agrees.") == 12
    anyones("exec", f"{lab}.host", "iptables", "-I", "DOCKER-USER", "-i", "ext0", "-j", "DROP")
    parted = anyones("probe", lab, "--both", "-4", "client -> host:80", code=1).stdout
    assert "The prediction parts from it at host, forward, rule 2: predicted ip filter DOCKER-USER" in parted
    (found,) = journeys(anyones("probe", lab, "--both", "-4", "client -> host:80", "--json", code=1).stdout)
    assert found["parting"]["place"] == "host, forward, rule 2"
    assert (found["measured"]["outcome"], found["predicted"]["outcome"]) == ("timeout", "ok")


def test_a_file_is_predicted_without_a_lab(anyones: Netlab) -> None:
    told = journeys(anyones("probe", "--predict", SEED, "client -> host:80", "--json").stdout)
    assert [(one["how"], one["outcome"], one["path"]) for one in told] == [
        ("predicted", "ok", "forward"),
        ("predicted", "ok", "proxy"),
    ]
    refused = anyones("probe", "--predict", "--syn", SEED, "client -> host:80", code=2).stderr
    assert "--predict does not know packets made by hand: --syn" in refused
