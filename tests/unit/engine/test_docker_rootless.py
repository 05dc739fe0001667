"""Rootless Docker in a plan: its namespace, what listens where, and what is refused, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

import netlab
from netlab.lab.load import load_plan
from netlab.model.plan import Plan
from netlab.model.problem import ScenarioError

FILE = """
services:
  web: {{image: a, ports: [{ports}]}}
x-netlab:
  host: {{engine: {engine}, rootless: true{more}}}
"""
DRIVER = "environment: {DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER: %s}"


def planned(folder: Path, ports: str = '"8080:80"', engine: str = "docker-20.10", more: str = "") -> Plan:
    file = folder / "netlab.yaml"
    file.write_text(FILE.format(ports=ports, engine=engine, more=f", {more}" if more else ""))
    return load_plan([file])


def sockets(plan: Plan, node: str) -> list[tuple[str, str, int]]:
    return [(one.process, one.address, one.port) for one in plan.node(node).listeners]


@pytest.mark.parametrize(
    ("driver", "outside", "inside"),
    [
        (
            "builtin",
            [("rootlesskit", "0.0.0.0", 8080), ("rootlesskit", "::", 8080)],
            [("docker-proxy", "127.0.0.1", 8080), ("docker-proxy", "::1", 8080)],
        ),
        ("slirp4netns", [("slirp4netns", "0.0.0.0", 8080)], [("docker-proxy", "10.0.2.100", 8080)]),
    ],
)
def test_who_listens(
    tmp_path: Path, driver: str, outside: list[tuple[str, str, int]], inside: list[tuple[str, str, int]]
) -> None:
    plan = planned(tmp_path, more=DRIVER % driver)
    assert sockets(plan, "host") == outside
    assert sockets(plan, "host-rootless") == inside
    assert {one.host for one in plan.publications} == {"host"}


def test_the_host_has_its_own_interfaces_and_no_rules(tmp_path: Path) -> None:
    plan = planned(tmp_path, more="sysctls: {net.ipv4.ip_forward: 0}")
    host, inside = plan.node("host"), plan.node("host-rootless")
    assert [one.name for one in host.interfaces] == ["ext0"]
    assert (host.rulesets, [(one.key, one.value) for one in host.sysctls]) == (
        (),
        [("net.ipv4.ip_forward", "0")],
    )
    assert [one.name for one in inside.interfaces][:2] == ["tap0", "docker0"]
    assert ("net.ipv4.ip_forward", "1") in [(one.key, one.value) for one in inside.sysctls]
    assert plan.node("web").host == "host-rootless"
    assert host.user_networks[0].node == "host-rootless"


def test_sctp_is_published_nowhere(tmp_path: Path) -> None:
    plan = planned(tmp_path, ports='"9096:80/sctp"')
    assert sockets(plan, "host") == sockets(plan, "host-rootless") == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ports": '"443:443"'}, "cannot expose privileged port 443, you can add 'net.ipv4.ip_unprivileged"),
        (
            {"ports": '"443:443"'},
            "listen tcp4 0.0.0.0:443: bind: permission denied; publish a port from 1024",
        ),
        ({"ports": '"443:443"', "more": DRIVER % "slirp4netns"}, "add_hostfwd: slirp_add_hostfwd failed"),
        ({"more": DRIVER % "implicit"}, "PORT_DRIVER=implicit: write builtin or slirp4netns"),
        (
            {"engine": "docker-28"},
            "netlab reproduces rootless Docker of docker-20.10 alone, not of docker-28",
        ),
        ({"more": "daemon: {userland-proxy: false}"}, "does not know what rootless Docker publishes without"),
        ({"more": "proxy: per-port"}, "x-netlab.host.proxy with rootless Docker yet"),
    ],
)
def test_what_is_refused(tmp_path: Path, given: dict[str, str], said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        planned(tmp_path, **given)
    assert said in str(caught.value)


def test_a_lower_first_port_is_believed(tmp_path: Path) -> None:
    plan = planned(tmp_path, ports='"443:443"', more="sysctls: {net.ipv4.ip_unprivileged_port_start: 400}")
    assert ("rootlesskit", "0.0.0.0", 443) in sockets(plan, "host")


def test_an_event_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "netlab.yaml"
    file.write_text(FILE.format(ports="", engine="docker-20.10", more="") + "  events: [restart web]\n")
    with pytest.raises(ScenarioError, match="containers later yet: take the lab down and up again"):
        load_plan([file])


@pytest.mark.parametrize("flow", ["web -> client:7000", "client -> host:8080"])
def test_what_a_program_decides_is_not_predicted(tmp_path: Path, flow: str) -> None:
    planned(tmp_path)
    assert netlab.Prediction(tmp_path / "netlab.yaml").probe(flow, family=4).outcome == "unpredicted"
