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
