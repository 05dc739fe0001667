"""No node limits ICMP errors, unless its scenario says so: an error that is not sent looks like a drop."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import netlab
from netlab.journey.sentence import sentence
from netlab.kernel import netns, sysctl

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
