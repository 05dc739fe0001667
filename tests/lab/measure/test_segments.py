"""Frames ``via`` a node go by the link that both are on, and an answer counts where it was asked."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import netlab
from netlab.journey.sentence import sentence
from netlab.kernel import netns

SCENARIO = """
services:
  web: {image: nginx, ports: ["8080:80"]}
x-netlab:
  host:
    engine: docker-28
    interfaces:
      ext0: {addresses: [198.51.100.1/24], segment: ext}
      lan0: {addresses: [10.9.0.1/24], segment: lan}
    rules:
      - ip route add 192.0.2.0/24 dev ext0
      - ip route add default via 198.51.100.2
  outside:
    client: {addresses: [198.51.100.2/24]}
    far: {addresses: [192.0.2.9/24], routes: none}
    inner: {addresses: [10.9.0.2/24], segment: lan}
"""
FORGED = "203.0.113.5"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[netlab.Lab]:
    file: Path = tmp_path_factory.mktemp("segments") / "segments.yaml"
    file.write_text(SCENARIO)
    with netlab.Lab(str(file), name=f"segments-{os.getpid()}") as built:
        yield built


def test_a_node_of_another_prefix_on_the_same_segment(lab: netlab.Lab) -> None:
    journey = lab.probe("far -> web:80 via host", family=4)
    assert journey.flow.src is not None
    assert journey.flow.src.startswith("192.0.2.9:")
    assert [leg.node for leg in journey.legs] == ["host"]
    assert journey.legs[0].hooks[0].iif == "ext0"
    assert (journey.outcome, journey.decided_by.table) == (
        "timeout",
        "raw",
    )  # 28 drops what was not published
    published = lab.probe("far -> 198.51.100.1:8080 via host")
    assert (published.outcome, published.path, published.probe) == ("ok", "forward", "syn")


def test_nodes_of_two_segments_cannot_send_frames_to_each_other(lab: netlab.Lab) -> None:
    with pytest.raises(netlab.UsageError, match="inner and client share no segment"):
        lab.probe("inner -> client:7000 via client", family=4)


def plainly(lab: netlab.Lab, node: str, source: str, to: tuple[str, int]) -> bool:
    """Whether an ordinary socket that has the source address gets a connection."""
    with netns.entered(lab.namespaces[node]):
        subprocess.run(["ip", "addr", "add", f"{source}/32", "dev", "lo"], check=True)
        try:
            socket.create_connection(to, 1, (source, 0)).close()
        except TimeoutError:
            return False
        finally:
            subprocess.run(["ip", "addr", "del", f"{source}/32", "dev", "lo"], check=True)
    return True


def test_an_answer_by_another_link_is_none(lab: netlab.Lab) -> None:
    """The host sends it by its default route; the source address on the second link gets nothing."""
    journey = lab.probe("inner -> 10.9.0.1:8080", source=FORGED)
    assert not plainly(lab, "inner", FORGED, ("10.9.0.1", 8080))
    assert (journey.outcome, journey.path, journey.decided_by.kind) == ("timeout", "forward", "none")
    assert "host sent the answer out by ext0, but the packet came in by lan0 of host" in sentence(journey)


def test_an_answer_by_the_same_link_counts(lab: netlab.Lab) -> None:
    journey = lab.probe("client -> 198.51.100.1:8080", source=FORGED)
    assert plainly(lab, "client", FORGED, ("198.51.100.1", 8080))
    assert (journey.outcome, journey.path) == ("ok", "forward")


def test_an_unknown_option_is_refused(lab: netlab.Lab) -> None:
    with pytest.raises(netlab.UsageError, match="no option 'from_address': it has protocol, via, source"):
        lab.probe("client -> host:8080", from_address=FORGED)  # type: ignore[call-arg]
