"""No node limits ICMP errors, unless its scenario says so: an error that is not sent looks like a drop."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

import netlab
from netlab.journey.sentence import sentence
from netlab.kernel import netns, sysctl
from netlab.lab.probe_options import flows as flows_of
from netlab.measure import session
from netlab.model.family import Family
from netlab.model.journey import Icmp

SCENARIO = """
services:
  web: {image: nginx, ports: ["8080:80"]}
x-netlab:
  host:
    engine: docker-28
  outside:
    client: {addresses: [198.51.100.2/24, 2001:db8:1::2/64]}
  rules:
    - iptables -I INPUT -p tcp --dport 1:40 -j REJECT
    - ip6tables -I INPUT -p tcp --dport 1:40 -j REJECT
"""
MASKS = ("net.ipv4.icmp_ratemask", "net.ipv6.icmp.ratemask")


def test_every_error_of_many_at_once_arrives(tmp_path: Path) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text(SCENARIO)
    with netlab.Lab(str(file), name=f"icmp-{os.getpid()}") as lab:
        for node, namespace in lab.namespaces.items():
            with netns.entered(namespace):
                assert [sysctl.read(key) for key in MASKS] == ["0", "0"], node
        for family in (4, 6):
            journeys = lab.probe_all(["client -> host:1-40/tcp"], family=family)
            assert Counter(journey.outcome for journey in journeys) == {"unreachable": 40}


def test_a_scenarios_own_limit_stays(tmp_path: Path) -> None:
    file = tmp_path / "limits.yaml"
    limits = "sysctls: {net.ipv4.icmp_ratelimit: 1000}"
    file.write_text(SCENARIO.replace("engine: docker-28", f"engine: docker-28\n    {limits}"))
    with netlab.Lab(str(file), name=f"icmp-own-{os.getpid()}") as lab:
        with netns.entered(lab.namespaces["host"]):
            assert [sysctl.read(key) for key in MASKS] == ["6168", "0"]
        journeys = lab.probe_all(["client -> host:1-40/tcp"], family=4)
        lost = [journey for journey in journeys if journey.outcome == "timeout"]
        assert lost, "forty errors in a moment are over the limit"
        assert sentence(lost[0]).startswith("Rejected in INPUT by ip filter INPUT: ")
        assert "net.ipv4.icmp_ratelimit" in sentence(lost[0])


@pytest.mark.parametrize("kind", ["unreachable", "prohibit"])
def test_the_errors_of_a_missing_route_are_waited_for(tmp_path: Path, kind: str) -> None:
    """The kernel sends five of them to an address, then one a second; no namespace can change that."""
    file = tmp_path / "routes.yaml"
    file.write_text(SCENARIO)
    with netlab.Lab(str(file), name=f"icmp-route-{kind}-{os.getpid()}") as lab:
        lab.exec("host", ["ip", "route", "add", kind, "192.0.2.0/24"], check=True)
        flows = [
            f"client -> 192.0.2.{number}:9/{protocol} via host"
            for number in (1, 2, 3, 4)
            for protocol in ("tcp", "udp")
        ]
        journeys = lab.probe_all(flows, family=4)
        assert Counter(journey.outcome for journey in journeys) == {"unreachable": 8}
        code = {"unreachable": 1, "prohibit": 13}[kind]
        assert {journey.icmp for journey in journeys} == {Icmp(3, code, "198.51.100.1")}
        assert {journey.decided_by.kind for journey in journeys} == {"route"}


def test_no_error_is_awaited_of_a_blackhole(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(SCENARIO)
    with netlab.Lab(str(file), name=f"icmp-blackhole-{os.getpid()}") as lab:
        lab.exec("host", ["ip", "route", "add", "blackhole", "192.0.2.0/24"], check=True)
        journey = lab.probe("client -> 192.0.2.1:9/udp via host", family=4)
        assert (journey.outcome, journey.decided_by.kind) == ("timeout", "route")


def test_an_error_that_cannot_be_waited_for_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(SCENARIO)
    monkeypatch.setattr(session, "_FOR_ERRORS", 0.5)
    with netlab.Lab(str(file), name=f"icmp-many-{os.getpid()}") as lab:
        lab.exec("host", ["ip", "route", "add", "unreachable", "192.0.2.0/24"], check=True)
        flows = flows_of(lab.plan, "client -> 192.0.2.1:1-12/udp via host", Family.IPV4, {})
        with session.Session(lab.namespaces, lab.plan) as measuring:
            journeys = measuring.measure(flows)
    assert Counter(journey.outcome for journey in journeys).keys() == {"unreachable", "timeout"}
    for journey in journeys:
        assert journey.decided_by.kind == "route"
        due = "An ICMP error about the missing route was due" in sentence(journey)
        assert due == (journey.outcome == "timeout")
