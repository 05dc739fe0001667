"""A proxy and a server that say nothing of themselves: the legs are joined by the process that holds both."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import netlab
from netlab.kernel.netns import entered
from netlab.measure.session import Session
from netlab.model.family import Family
from netlab.model.flow import Flow, Target

SEED = str(Path(__file__).parents[3] / "scenarios" / "httpd.yaml")
ANSWER = b"HTTP/1.1 200 OK\r\n\r\nnot a responder of ours"


def listener(lab: netlab.Lab, node: str, address: str, port: int) -> socket.socket:
    with entered(lab.namespaces[node]):
        return socket.create_server(
            (address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET
        )


def serve(sock: socket.socket) -> None:
    """Answer each connection, and hold it until the other side closes."""
    while True:
        try:
            taken, _ = sock.accept()
        except OSError:
            return
        taken.recv(4096)
        taken.sendall(ANSWER)
        taken.shutdown(socket.SHUT_WR)


def relay(sock: socket.socket, lab: netlab.Lab, backend: tuple[str, int]) -> None:
    """A proxy without a word: one connection of its own for each that it takes."""
    kept = []
    while True:
        try:
            taken, _ = sock.accept()
        except OSError:
            return
        with entered(lab.namespaces["host"]):
            own = socket.create_connection(backend)
        own.sendall(taken.recv(4096))
        taken.sendall(own.recv(4096))
        taken.shutdown(socket.SHUT_WR)
        kept.append((taken, own))  # both stay open, as docker-proxy's do until the client closes


@pytest.fixture
def lab() -> Iterator[netlab.Lab]:
    with netlab.Lab(SEED, name=f"foreign-{os.getpid()}") as built:
        yield built


def flow(origin: str) -> Flow:
    return Flow(origin, Target(name="host"), Family.IPV6, "tcp", 8443, "2001:db8:1::1")


def test_one_process_holds_both_connections(lab: netlab.Lab) -> None:
    with listener(lab, "httpd", "192.168.10.10", 8443) as server, listener(lab, "host", "::", 8443) as proxy:
        threading.Thread(target=serve, args=[server], daemon=True).start()
        backend = ("192.168.10.10", 8443)
        threading.Thread(target=relay, args=[proxy, lab, backend], daemon=True).start()
        with Session(lab.namespaces, lab.plan) as session:
            (journey,) = session.measure([flow("client")])
        server.shutdown(socket.SHUT_RDWR)
        proxy.shutdown(socket.SHUT_RDWR)
    assert journey.outcome == "ok"
    assert [(leg.letters, leg.by) for leg in journey.legs] == [("PI", None), ("OS", "docker-proxy")]
    assert journey.sees is not None
    assert journey.sees.address == "192.168.10.1"
    assert journey.answered_by == "httpd"
