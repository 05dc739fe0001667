"""What a flow is does not depend on how long was waited, nor on the flows before it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import netlab
from netlab.lab.probe_options import flows
from netlab.measure import probes, session

SCENARIO = """
services:
  web: {image: nginx, ports: ["8080:80"]}
  impatient: {image: busybox, sysctls: {net.ipv4.tcp_syn_retries: 1}}
x-netlab:
  host: {engine: docker-28}
"""
#: Nobody has the address: the kernel gives up the search after three seconds.
NOBODY = ("client -> 198.51.100.99:80", "host -> 198.51.100.99:80", "web -> 198.51.100.99:80")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[netlab.Lab]:
    file: Path = tmp_path_factory.mktemp("edges") / "edges.yaml"
    file.write_text(SCENARIO)
    with netlab.Lab(str(file), name=f"edges-{os.getpid()}") as built:
        yield built


@pytest.mark.parametrize("seconds", [0.5, 3.3])
def test_nobody_with_that_address_is_a_timeout(
    lab: netlab.Lab, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the kernel's error comes before the wait ends, or another flow began the search."""
    monkeypatch.setattr(session, "patience", lambda: seconds)
    monkeypatch.setattr(probes, "patience", lambda: seconds)
    asked = [flow for text in NOBODY * 2 for flow in flows(lab.plan, text, 4)]
    with session.Session(lab.namespaces, lab.plan) as measuring:
        journeys = [measuring.measure([flow])[0] for flow in asked]
    assert {journey.outcome for journey in journeys} == {"timeout"}
    nodes = ["client", "host", "host"] * 2
    assert [journey.decided_by.kind for journey in journeys] == ["none"] * 6
    assert [journey.decided_by.rule for journey in journeys] == [
        f"no neighbour of {node} has the address 198.51.100.99" for node in nodes
    ]


def lose(lab: netlab.Lab, node: str, match: str) -> None:
    """Have the egress hook of the node's device drop packets."""
    for command in (
        "add table netdev lost",
        "add chain netdev lost egress { type filter hook egress device eth0 priority 0; }",
        f"add rule netdev lost egress {match} drop",
    ):
        lab.exec(node, ["nft", command], check=True)


def test_a_datagram_that_its_own_device_drops_is_a_timeout(lab: netlab.Lab) -> None:
    """The kernel says ENOBUFS to a socket that wants to hear of errors; others hear nothing."""
    lose(lab, "web", "udp dport 7000")
    (journey,) = lab.probe_all("web -> impatient:7000/udp", family=4)
    assert (journey.outcome, journey.decided_by.kind) == ("timeout", "rule")
    assert "udp dport 7000 drop" in str(journey)


def test_tcp_that_gives_up_is_a_timeout(lab: netlab.Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ETIMEDOUT, after three seconds here, says that nobody answered, and nothing of routes."""
    lose(lab, "impatient", "tcp dport 7000")
    monkeypatch.setattr(session, "patience", lambda: 6.0)
    monkeypatch.setattr(probes, "patience", lambda: 6.0)
    (flow,) = flows(lab.plan, "impatient -> web:7000", 4)
    with session.Session(lab.namespaces, lab.plan) as measuring:
        (journey,) = measuring.measure([flow])
    assert journey.outcome == "timeout"
