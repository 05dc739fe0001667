"""What Podman leaves to chance, and which of the ways a plan takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import netlab
from netlab.cli.main import main
from netlab.engine.podman.chance import permutation
from netlab.model.errors import OptionError
from netlab.model.plan import Plan
from netlab.model.problem import ScenarioError

TWO = """
services:
  web:
    image: busybox
    networks: {front: {ipv4_address: 192.168.10.10}, back: {ipv4_address: 192.168.20.10}}
    ports: ["80:80"]
  app: {image: busybox, networks: [front]}
networks:
  front: {ipam: {config: [{subnet: 192.168.10.0/24}]}}
  back: {ipam: {config: [{subnet: 192.168.20.0/24}]}}
x-netlab:
  host: {engine: podman%s}
  expect:
    - flow: app -> host:80/tcp
      ipv4: ok forward, sees 192.168.10.1
    - flow: client -> host:80/tcp
      ipv4: ok forward, sees client
"""
HOSTS = """
services:
  one: {image: busybox, networks: [a, b], ports: ["80:80"]}
  two: {image: busybox, networks: [c, d, e]}
networks: {a: {}, b: {}, c: {}, d: {}, e: {}}
x-netlab:
  hosts:
    left: {engine: podman, interfaces: {ext0: {addresses: [198.51.100.1/24], segment: ext}}}
    right: {engine: podman, interfaces: {ext0: {addresses: [198.51.100.9/24], segment: ext}}}
  services: {one: {host: left}, two: {host: right}}
"""


@pytest.fixture
def two(tmp_path: Path) -> Path:
    file = tmp_path / "two.yaml"
    file.write_text(TWO % "")
    return file


def first(plan: Plan) -> str:
    return plan.publications[0].network.rpartition("_")[2]


def test_permutations_begin_with_the_given_order() -> None:
    assert ["".join(permutation("abc", number)) for number in range(6)] == [
        "abc", "acb", "bac", "bca", "cab", "cba",
    ]  # fmt: skip


def test_a_choice_says_which_network_gets_the_port(two: Path) -> None:
    plans = [netlab.load_plan([two], choice=number) for number in (None, 1, "2")]
    assert [first(plan) for plan in plans] == ["front", "front", "back"]
    assert [(plan.choice, plan.choices) for plan in plans] == [(1, 2), (1, 2), (2, 2)]
    routes = [[route.interface for route in plan.node("web").routes] for plan in plans]
    assert routes == [["eth0", "eth1"], ["eth0", "eth1"], ["eth1", "eth0"]]


def test_the_file_can_say_it(tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    file.write_text(TWO % ", choice: 2")
    assert first(netlab.load_plan([file])) == "back"
    assert first(netlab.load_plan([file], choice=1)) == "front"
    file.write_text(TWO % ", choice: 3")
    with pytest.raises(ScenarioError, match=r"two.yaml:12:3: choice 3: .* in 2 ways: 1 to 2"):
        netlab.load_plan([file])


def test_a_seed_is_the_same_each_time_and_not_always_the_same_way(two: Path) -> None:
    drawn = [netlab.load_plan([two], choice=f"seed:{number}").choice for number in range(12)]
    assert set(drawn) == {1, 2}
    assert drawn == [netlab.load_plan([two], choice=f"seed:{number}").choice for number in range(12)]


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("3", "there is no way 3: what podman leaves to chance can come out in 2 ways: 1 to 2"),
        ("0", "there is no way 0"),
        ("two", '"two" is neither the number of a way nor seed:WORD'),
        ("all", "all is for matrix, verify, diff and report"),
    ],
)
def test_what_is_no_choice(two: Path, choice: str, words: str) -> None:
    with pytest.raises(OptionError, match=words) as raised:
        netlab.load_plan([two], choice=choice)
    assert raised.value.option == "choice"


def test_docker_has_nothing_to_choose(two: Path) -> None:
    with pytest.raises(OptionError, match="docker-28 leaves nothing to chance here that could be chosen"):
        netlab.load_plan([two], engine="docker-28", choice=2)
    assert netlab.load_plan([two], engine="docker-28", choice=1).choices == 1


def test_several_hosts_take_every_combination(tmp_path: Path) -> None:
    file = tmp_path / "hosts.yaml"
    file.write_text(HOSTS)
    plans = [netlab.load_plan([file], choice=number) for number in range(1, 13)]
    assert [plan.choice for plan in plans] == list(range(1, 13))
    routes = {
        tuple(tuple(route.interface for route in plan.node(node).routes) for node in ("one", "two"))
        for plan in plans
    }
    assert len(routes) == 12


def test_a_restart_draws_again(tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    file.write_text((TWO % "").replace("  expect:", "  events: [restart web]\n  expect:"))
    plans = [netlab.load_plan([file], choice=number) for number in range(1, 5)]
    assert [first(plan) for plan in plans] == ["front", "front", "back", "back"]


def test_orders_of_published_groups(tmp_path: Path) -> None:
    file = tmp_path / "groups.yaml"
    ports = '["0.0.0.0:80:80", "[::]:80:81", "54:53/udp"]'
    file.write_text(
        f"services: {{web: {{image: busybox, ports: {ports}}}}}\nx-netlab: {{host: {{engine: podman}}}}\n"
    )
    plans = [netlab.load_plan([file], choice=number) for number in range(1, 7)]
    found = [[(one.protocol, one.port, one.address) for one in plan.node("host").listeners] for plan in plans]
    assert len({tuple(one) for one in found}) == 6


def test_matrix_asks_every_way_and_says_what_depends_on_it(
    two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["matrix", str(two), "--predict", "--choice", "all", "--from", "app", "--to", "host:80"]) == 0
    shown = capsys.readouterr()
    assert "left to chance: 2 ways; 1 flow depends on it" in shown.err
    (line,) = [line for line in shown.out.splitlines() if "host:80/tcp" in line and "ipv4" in line]
    assert line.startswith("≠")
    assert "192.168.10.1 forward" in line
    assert "192.168.20.1 forward" in line


def test_ways_with_the_same_answers_are_one_column(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["matrix", str(two), "--predict", "--choice", "all", "--from", "client"]) == 0
    shown = capsys.readouterr()
    assert "left to chance: 2 ways; no flow depends on it" in shown.err
    assert "choice" not in shown.out


def test_verify_says_which_expectations_depend_on_chance(
    two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(two), "--predict", "--choice", "all"]) == 1
    shown = capsys.readouterr()
    assert (
        f"{two}: app -> host:80/tcp ipv4 depends on chance: passed with choice 1; failed with choice 2"
        in (shown.err)
    )
    assert shown.err.count("depends on chance") == 1
    assert main(["verify", str(two), "--predict", "--choice", "all", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["scenarios"]
    assert [(one["choice"], len(one["verdicts"])) for one in found] == [(1, 2), (2, 2)]


def test_diff_shows_what_a_side_leaves_to_chance(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engines = ["--engine", "docker-28", "--engine", "podman-5-nftables"]
    assert main(["diff", str(two), "--predict", "--choice", "all", *engines]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("left to chance"))
    assert lines[start].startswith("left to chance by podman-5-nftables, in 2 ways")
    assert (
        "    app -> host:80/tcp  ipv4: 192.168.10.1 forward (choice 1); 192.168.20.1 forward (choice 2)"
        in lines[start:]
    )
    assert main(["diff", str(two), "--predict", "--choice", "all"]) == 0
    assert capsys.readouterr().out.startswith("choice 1 -> choice 2\n")
    assert main(["diff", str(two), "--predict", "--choice", "2"]) == 0
    assert capsys.readouterr().out.startswith("podman-5-nftables as written -> choice 2\n")


def test_too_many_ways_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "many.yaml"
    file.write_text(
        (TWO % "")
        .replace("ports:", "deploy: {replicas: 7}\n    ports:")
        .replace('["80:80"]', "[]")
        .replace("{ipv4_address: 192.168.10.10}", "{}")
        .replace("{ipv4_address: 192.168.20.10}", "{}")
    )
    assert main(["matrix", str(file), "--predict", "--choice", "all"]) == 2
    assert "can come out in 128 ways, and 64 are the most" in capsys.readouterr().err


def test_the_plan_says_that_it_is_random(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(two)]) == 0
    assert "left to chance: way 1 of 2" in capsys.readouterr().out
    assert main(["plan", str(two), "--choice", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["choice"], found["choices"]) == (2, 2)
