"""What is there now counts, not what the plan says: new interfaces, other programs, routes."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import netlab
from netlab.journey.sentence import sentence
from netlab.kernel import netns
from netlab.lab.probe_options import flows
from netlab.measure import session
from netlab.measure.session import Session

SCENARIO = """
services:
  web: {image: nginx, ports: ["8080:80"]}
x-netlab:
  host: {engine: docker-28}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[netlab.Lab]:
    file: Path = tmp_path_factory.mktemp("now") / "now.yaml"
    file.write_text(SCENARIO)
    with netlab.Lab(str(file), name=f"now-{os.getpid()}") as built:
        yield built


def run(lab: netlab.Lab, node: str, *commands: str) -> None:
    with netns.entered(lab.namespaces[node]):
        for command in commands:
            subprocess.run(command.split(), check=True)


def test_a_program_behind_tproxy(lab: netlab.Lab) -> None:
    """Docker-proxy listens on 8080 for IPv6, and TPROXY hands the packets to another socket."""
    address = "2001:db8:1::1"
    rule = f"-p tcp -d {address} --dport 8080 -j TPROXY --on-port 9999 --on-ip ::"
    with netns.entered(lab.namespaces["host"]):
        server = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    server.setsockopt(socket.IPPROTO_IPV6, 75, 1)  # IPV6_TRANSPARENT
    server.bind(("::", 9999))
    server.listen()

    def serve() -> None:
        client, _ = server.accept()
        client.recv(1024)
        client.sendall(b"HTTP/1.0 200 OK\r\n\r\nanother program\r\n")
        client.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    run(lab, "host", f"ip6tables -t mangle -I PREROUTING {rule}")
    try:
        journey = lab.probe("client -> host:8080", family=6)
    finally:
        run(lab, "host", f"ip6tables -t mangle -D PREROUTING {rule}")
        server.close()
    assert (journey.outcome, journey.path, journey.answered_by) == ("ok", "local", "host")
    assert "docker-proxy" not in sentence(journey)
    assert lab.probe("client -> host:8080", family=6).path == "proxy"


@pytest.mark.parametrize("patience", [0.9, 1.8], ids=["between-searches", "until-the-kernel-gives-up"])
def test_a_dropped_search_for_a_neighbour_is_called_that(
    lab: netlab.Lab, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    """Whenever the closer look begins and ends: the ordinary one has begun the search, once a second."""
    monkeypatch.setattr(session, "patience", lambda: patience)
    (flow,) = flows(lab.plan, "host -> neighbour:7000", 6)  # nobody else needs this neighbour's address
    rule = "OUTPUT -p icmpv6 --icmpv6-type neighbour-solicitation -j DROP"
    run(lab, "neighbour", "ip -6 neigh flush all")
    run(lab, "host", f"ip6tables -I {rule}", "ip -6 neigh flush all")
    try:
        with Session(lab.namespaces, lab.plan) as instrument:
            (journey,) = instrument.measure([flow])
    finally:
        run(lab, "host", f"ip6tables -D {rule}")
    assert (journey.outcome, journey.decided_by.chain) == ("timeout", "OUTPUT")
    assert "--icmpv6-type 135" in (journey.decided_by.rule or "")


def test_an_unreachable_route_is_called_that(lab: netlab.Lab) -> None:
    run(lab, "host", "ip route add unreachable 203.0.113.0/24")
    try:
        journey = lab.probe("client -> 203.0.113.1:80", family=4)
    finally:
        run(lab, "host", "ip route del unreachable 203.0.113.0/24")
    assert (journey.outcome, journey.decided_by.kind, journey.decided_by.node) == (
        "unreachable",
        "route",
        "host",
    )
    assert "ip route get 203.0.113.1" in (journey.decided_by.rule or "")
    assert "found no neighbour" not in sentence(journey)


def test_a_renamed_interface_and_a_new_mac(lab: netlab.Lab) -> None:
    """The last test of this lab: an interface that is set down loses its IPv6 addresses."""
    (flow,) = flows(lab.plan, "client -> host:8080", 4)
    with Session(lab.namespaces, lab.plan) as instrument:
        (before,) = instrument.measure([flow])
        run(lab, "host", "ip link set ext0 down", "ip link set ext0 name up0 address 02:00:00:00:77:01",
            "ip link set up0 up")  # fmt: skip
        try:
            run(lab, "client", "ip neigh flush all")
            (after,) = instrument.measure([flow])
        finally:
            run(lab, "host", "ip link set up0 down", "ip link set up0 name ext0", "ip link set ext0 up")
    assert [leg.hooks[0].iif for leg in (*before.legs, *after.legs)] == ["ext0", "up0"]
    assert (before.path, after.path) == ("forward", "forward")
