"""What failed is the instrument or the machine: then a flow is unmeasured, never refused or a timeout."""

from __future__ import annotations

import itertools
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.processes import stopped

import netlab
from netlab.kernel import neighbours, netns
from netlab.kernel.netlink import sockdiag
from netlab.lab.probe_options import flows
from netlab.measure.session import Session
from netlab.model.errors import Unmeasured
from netlab.model.family import Family
from netlab.model.journey import Journey

SCENARIO = """
services:
  web: {image: nginx, ports: ["8080:80", "8053:53/udp"]}
x-netlab:
  host: {engine: docker-20.10, daemon: {userland-proxy: true}}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[netlab.Lab]:
    file = tmp_path / "dead.yaml"
    file.write_text(SCENARIO)
    with netlab.Lab(str(file), name=f"dead-{os.getpid()}") as built:
        yield built


def process_behind(lab: netlab.Lab, node: str, protocol: str, port: int) -> int:
    """The process that holds the socket on which a node listens."""
    with netns.entered(lab.namespaces[node]):
        inode = next(inode for (_, found), inode in sockdiag.waiting(protocol) if found == port)
    return sockdiag.holders(inode)[0]


def asked(lab: netlab.Lab, flow: str) -> Journey:
    """A journey, also where a lab's own method would raise because it is unmeasured."""
    with Session(lab.namespaces, lab.plan) as session:
        (found,) = session.measure(flows(lab.plan, flow, 4, {}))
        return found


def test_a_stopped_server_answers_nobody_and_refuses_nobody(lab: netlab.Lab) -> None:
    with stopped(process_behind(lab, "web", "tcp", 80)):
        for flow in ("client -> host:8080/tcp", "client -> host:8053/udp"):
            with pytest.raises(Unmeasured, match="built-in server of web is stopped"):
                lab.probe(flow, family=4)
    assert lab.probe("client -> host:8080/tcp", family=4).outcome == "ok"


def test_a_server_that_is_gone_refused_nobody(lab: netlab.Lab) -> None:
    os.kill(process_behind(lab, "web", "tcp", 80), signal.SIGKILL)
    journey = asked(lab, "client -> host:8080/tcp")
    if journey.outcome == "unmeasured":
        assert "built-in server of web is gone" in (journey.problem or "")
    else:
        assert journey.outcome == "ok", "the lab has a new server already"


def test_a_full_table_of_neighbours_is_no_firewall(lab: netlab.Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = itertools.count()
    monkeypatch.setattr(neighbours, "table_fulls", lambda: {Family.IPV4: next(counter)})
    journey = asked(lab, "client -> 198.51.100.77:80/tcp")
    assert journey.outcome == "unmeasured"
    assert "net.ipv4.neigh.default.gc_thresh3" in (journey.problem or "")


def test_the_counter_is_that_of_the_kernel() -> None:
    assert set(neighbours.table_fulls()) <= set(Family)
    assert Family.IPV4 in neighbours.table_fulls()


def test_a_port_that_an_earlier_connection_still_has_is_no_missing_route(lab: netlab.Lab) -> None:
    with netns.entered(lab.namespaces["client"]):
        earlier = socket.socket()
    with earlier:
        earlier.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        earlier.bind(("198.51.100.2", 40123))
        earlier.connect(("198.51.100.1", 8080))
        with pytest.raises(Unmeasured, match="port 40123 of client still has an earlier connection"):
            lab.probe("client -> host:8080/tcp", family=4, source_port=40123)
    assert lab.probe("client -> host:8080/tcp", family=4).outcome == "ok"
