"""A real daemon's host is collected: it stays as it was, its twin is like it, and drift names what breaks.

Each way of breaking is undone before the next: the rules are restored, the settings set back.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from groundtruth.daemons import Installed
from groundtruth.facts import facts_of
from groundtruth.flows import facts_of_flows, flows_of, measuring, on_lab
from groundtruth.real import RealHost, real_host
from groundtruth.source import events, plan

import netlab
from netlab.lab.twins import Twin, written
from netlab.measure.session import Session
from netlab.model.family import FAMILIES
from netlab.model.flow import Flow
from netlab.model.plan import Node, Plan
from netlab.model.scenario import Scenario
from netlab.scenario.hosts import Overrides
from netlab.scenario.loader import load
from netlab.twin.archive import Collection, read_archive
from netlab.twin.drift import drift
from netlab.twin.script import script

SCENARIO = """
services:
  web: {image: nginx, networks: {front: {}, back: {}}, ports: ["8080:80", "127.0.0.1:9000:90/udp"]}
  db: {image: postgres, networks: {back: {}, quiet: {}}}
  mute: {image: nginx, networks: [quiet]}
  plain: {image: nginx, network_mode: bridge, ports: ["81:81"]}
networks:
  front: {}
  back: {internal: true}
  quiet: {driver_opts: {com.docker.network.bridge.enable_icc: "false"}}
x-netlab:
  host: {rules: ["iptables -I DOCKER-USER -i ext0 -s 198.51.100.9 -j DROP"]}
"""
FIREWALLS = {"none": "none", "ufw": '{"ufw": {"allow": ["22/tcp"]}}', "firewalld": "firewalld"}
PROGRAMS = Path("usr/local/bin")
SHELLS = [["dash"], ["busybox", "sh"]]
BRIDGED = "net.bridge.bridge-nf-call-iptables"

#: a command that breaks the host, and the finding that names it
BREAKS = {
    "iptables -t nat -F": "missing",
    "iptables -D FORWARD -j DOCKER-USER; iptables -A FORWARD -j DOCKER-USER": "order",
    "iptables -A DOCKER -d 172.31.9.9 ! -i docker0 -o docker0 -p tcp --dport 80 -j ACCEPT": "left-over",
    "iptables -A FORWARD -j DOCKER-USER": "doubled",
    "iptables -N f2b-x; iptables -A f2b-x -j DROP; iptables -I FORWARD -s 192.0.2.7 -j f2b-x": "foreign",
    "iptables -A DOCKER-USER -j RETURN; iptables -A DOCKER-USER -s 192.0.2.7 -j DROP": "unreachable",
    "iptables -N mine; iptables -A mine -j DROP": "unreachable",
    "iptables-legacy -A INPUT -s 192.0.2.7 -j DROP": "legacy",
    "iptables -P FORWARD ACCEPT": "policy",
    "sysctl -qw net.ipv4.ip_forward=0": "forwarding",
    f"sysctl -qw {BRIDGED}=0": "bridge-netfilter",
}
Case = tuple[Installed, str]


@pytest.fixture(scope="module")
def daemon(twin_case: Case) -> Installed:
    """The daemon whose host is collected."""
    return twin_case[0]


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory, twin_case: Case) -> Scenario:
    """What the daemon is told to make, beside a firewall."""
    file = tmp_path_factory.mktemp("twin") / "compose.yaml"
    file.write_text(SCENARIO)
    return load([file], overrides=Overrides(engine=twin_case[0].engine, firewall=FIREWALLS[twin_case[1]]))


@pytest.fixture(scope="module")
def real(scenario: Scenario, daemon: Installed) -> Iterator[RealHost]:
    """The daemon with networks, containers and an administrator's rule; the docker command in its testbed."""
    command = shutil.which("docker")
    assert command is not None, "run ./install --dev"
    host = scenario.hosts[0]
    with real_host(scenario, host, events(scenario, host), daemon.lower) as found:
        found.admin(host.rules)
        for name in (command, "/bin/busybox"):  # both are static
            program = found.testbed.root / PROGRAMS / Path(name).name
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_bytes(Path(name).read_bytes())
            program.chmod(0o755)
        yield found


@pytest.fixture(scope="module")
def session(real: RealHost, scenario: Scenario) -> Iterator[Session]:
    """The instrument on the host, with servers in its containers."""
    with measuring(real, plan(scenario), "host") as found:
        yield found


def collected(real: RealHost, shell: list[str]) -> Collection:
    """What the script collects on the host."""
    done = subprocess.run(
        real.testbed.argv(shell), input=script("test").encode(), capture_output=True, check=True
    )
    return read_archive(done.stdout, "host.tar")


def kinds(collection: Collection) -> set[str]:
    """The kinds of everything that drift finds."""
    twin = Twin(collection)
    return {one.kind for one in drift(twin.drafted.host, twin.facts)}


@pytest.mark.parametrize("shell", SHELLS, ids=lambda argv: argv[0])
def test_collecting_changes_nothing(real: RealHost, shell: list[str]) -> None:
    before = facts_of(real.settled(), "host", {})
    found = collected(real, shell)
    assert facts_of(real.settled(), "host", {}) == before
    assert kinds(found) == set()


def test_the_twin_has_the_rules_of_the_host(real: RealHost) -> None:
    found = collected(real, SHELLS[0])
    with written(Twin(found).files, "twin") as place, netlab.Lab(place) as lab:
        for family in FAMILIES:
            saved = lab.exec("host", [f"{family.iptables}-save"], check=True).stdout
            assert _rules(saved) == _rules(found.text(f"{family.iptables}.rules"))


# Before the tests with a session, which lasts until the module's end and has tables of its own on the host.
@pytest.mark.parametrize(
    ("arguments", "code"),
    {
        "twin --from docker -o /root/twin": 0,
        "drift --from docker": 0,
        "collect --anonymise -o /root/host.tar.gz": 0,
    }.items(),
)
def test_the_commands_work_on_the_host_itself(
    real: RealHost, daemon: Installed, arguments: str, code: int
) -> None:
    if daemon.lower != "/":
        pytest.skip("this root has no Python")
    before = facts_of(real.settled(), "host", {})
    done = subprocess.run(
        real.testbed.argv([sys.executable, "-I", "-m", "netlab", *arguments.split()]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert facts_of(real.settled(), "host", {}) == before


def test_every_flow_takes_the_same_way(real: RealHost, session: Session, scenario: Scenario) -> None:
    """Outcome, hooks, addresses, rules and verdicts of the whole matrix, with servers on both sides."""
    original = plan(scenario)
    compare_flows(real, session, original, flows_of(original, "host"))


@pytest.mark.parametrize("value", ["0", "1"])
def test_bridged_packets_take_the_same_way(
    real: RealHost, session: Session, scenario: Scenario, value: str
) -> None:
    """br_netfilter decides between two containers of a network that forbids what they ask."""
    original = plan(scenario)
    flows = [
        flow for flow in flows_of(original, "host") if flow.origin == "mute" and flow.target.name == "db"
    ]
    try:
        real.testbed.sysctls({BRIDGED: value})
        outcomes = compare_flows(real, session, original, flows)
    finally:
        real.testbed.sysctls({BRIDGED: "1"})
    assert flows
    assert any(line.startswith("timeout by bridge") for line in outcomes) == (value == "1")


def compare_flows(real: RealHost, session: Session, original: Plan, flows: list[Flow]) -> list[str]:
    """Measure flows on the host and in its twin, and compare; what the twin says of them."""
    theirs = facts_of_flows(flows, session.measure(flows))
    found = collected(real, SHELLS[0])
    with written(Twin(found).files, "twin") as place:
        twin = plan(load([place]))
    names = {node.name: _same(node, twin).name for node in original.nodes if node.kind == "container"}
    addresses = {
        old: new
        for node in original.nodes
        if node.kind == "outside"
        for old, new in zip(_addresses(node), _addresses(twin.node(node.name)), strict=True)
    }
    asked = [
        replace(
            flow,
            origin=names.get(flow.origin, flow.origin),
            target=replace(flow.target, name=names.get(flow.target.name or "", flow.target.name)),
            address=addresses.get(flow.address, flow.address),
        )
        for flow in flows
    ]
    ours = on_lab(twin, asked)
    for (flow, lines), read in zip(theirs.items(), ours.values(), strict=True):
        assert read == [_words(line, names | addresses) for line in lines], flow
    return [line for lines in ours.values() for line in lines]


def _same(node: Node, twin: Plan) -> Node:
    """The container that has these addresses."""
    return next(one for one in twin.nodes if _addresses(one) == _addresses(node))


def _addresses(node: Node) -> list[str]:
    return [one.partition("/")[0] for interface in node.interfaces for one in interface.addresses]


def _words(line: str, others: Mapping[str, str]) -> str:
    """A line with other names and addresses."""
    known = "|".join(map(re.escape, others))
    return re.sub(rf"(?<![\w.:-])(?:{known})(?![\w.-])", lambda word: others[word[0]], line)


def _rules(saved: str) -> list[str]:
    return [line for line in saved.splitlines() if line.startswith("-A") or " DROP " in line]


@pytest.mark.parametrize(("command", "kind"), BREAKS.items(), ids=list(BREAKS))
def test_what_is_broken_is_named(real: RealHost, command: str, kind: str) -> None:
    saved = real.testbed.run(["iptables-save"])
    try:
        real.testbed.run(["sh", "-c", command])
        assert kind in kinds(collected(real, SHELLS[0]))
    finally:
        real.testbed.run(["iptables-restore"], stdin=saved)
        if kind == "legacy":
            real.testbed.run(["iptables-legacy", "-F", "INPUT"])
        real.testbed.sysctls({"net.ipv4.ip_forward": "1", BRIDGED: "1"})
    assert kinds(collected(real, SHELLS[0])) == set()
