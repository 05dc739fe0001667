"""Copies of a packet, and hosts whose networks have the same addresses: each event belongs to one flow."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import netlab
from netlab.kernel import netns

ONE = """
services:
  web: {image: nginx, ports: ["8080:80"]}
  db: {image: nginx, expose: ["5432"]}
  third: {image: nginx, expose: ["5432"]}
x-netlab:
  host: {engine: docker-28}
"""
TWINS = """
services:
  web: {image: nginx, ports: ["8080:80"]}
  shop: {image: nginx, ports: ["8080:80"]}
x-netlab:
  hosts:
    one: {engine: docker-20.10, interfaces: {ext0: {addresses: [198.51.100.1/24, 2001:db8:1::1/64]}}}
    two: {engine: docker-20.10, interfaces: {ext0: {addresses: [198.51.100.4/24, 2001:db8:1::4/64]}}}
  services:
    web: {host: one}
    shop: {host: two}
"""


def run(lab: netlab.Lab, node: str, *argv: str) -> None:
    """Run a tool in a node, which must succeed."""
    with netns.entered(lab.namespaces[node]):
        subprocess.run(argv, check=True, capture_output=True)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[netlab.Lab]:
    file: Path = tmp_path_factory.mktemp("copies") / "copies.yaml"
    file.write_text(ONE)
    with netlab.Lab(str(file), name=f"copies-{os.getpid()}") as built:
        yield built


def test_a_copy_that_a_rule_made_and_another_dropped_ends_nothing(lab: netlab.Lab) -> None:
    address = lab.plan.node("db").interfaces[0].addresses[0].partition("/")[0]
    copy = (
        "-t",
        "mangle",
        "-I",
        "PREROUTING",
        "-p",
        "tcp",
        "--dport",
        "8080",
        "-j",
        "TEE",
        "--gateway",
        address,
    )
    run(lab, "host", "iptables", *copy)
    run(lab, "host", "iptables", "-I", "OUTPUT", "-p", "tcp", "--dport", "8080", "-j", "DROP")
    journey = lab.probe("client -> host:8080/tcp", family=4)
    assert (journey.outcome, journey.answered_by, journey.path) == ("ok", "web", "forward")
    assert journey.decided_by.chain == "DOCKER"


@pytest.mark.parametrize(("dropped", "outcome"), [("third", "ok"), ("db", "timeout")])
def test_a_flooding_bridges_copies_are_distinguished_by_their_ports(
    lab: netlab.Lab, dropped: str, outcome: str
) -> None:
    run(lab, "host", "ip", "link", "set", lab.plan.networks[0].bridge, "type", "bridge", "ageing_time", "0")
    port = next(i.name for i in lab.plan.node("host").interfaces if i.peer and i.peer[0] == dropped)
    rule = ("FORWARD", "-p", "tcp", "--dport", "5432", "-m", "physdev", "--physdev-out", port, "-j", "DROP")
    run(lab, "host", "iptables", "-I", *rule)
    try:
        journey = lab.probe("web -> db:5432/tcp", family=4)
        assert journey.outcome == outcome
        assert journey.path == "bridge"
        named = f"--physdev-out {port}" in (journey.decided_by.rule or "")
        assert named is (outcome == "timeout"), "the copy to the third port decided nothing"
    finally:
        run(lab, "host", "iptables", "-D", *rule)


def test_hosts_with_the_same_subnets_keep_their_flows_apart(tmp_path: Path) -> None:
    file = tmp_path / "twins.yaml"
    file.write_text(TWINS)
    with netlab.Lab(str(file), name=f"twins-{os.getpid()}") as lab:
        addresses = [lab.plan.node(name).interfaces[0].addresses for name in ("web", "shop")]
        assert addresses[0] == addresses[1]
        flows = [f"client -> {host}:8080/tcp" for host in ("one", "two")] * 16
        flows += ["one -> localhost:8080/tcp", "two -> localhost:8080/tcp"] * 16
        for family in (4, 6):
            for journey in lab.probe_all(flows, family=family):
                host = journey.flow.to.partition(":")[0].replace("localhost", journey.flow.origin)
                assert journey.outcome == "ok"
                assert journey.answered_by == {"one": "web", "two": "shop"}[host]
                assert {leg.node for leg in journey.legs} == {host}
                assert journey.sees is not None
                assert journey.sees.node in ("client", host)
        crossing = lab.probe("web -> two:8080/tcp", family=4)
        assert [leg.node for leg in crossing.legs] == ["one", "two"]
        assert (crossing.answered_by, crossing.sees and crossing.sees.node) == ("shop", "one")
