"""Rootless Podman: pasta, slirp4netns and rootlessport, as recorded of the real ones on 5.4.2 and 4.3.1.

client ──── ext0 host  *:8080 ═══ web     no link, no bridge, no rule: a program with sockets on the host
                       *:8090 ═══ other
"""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Iterator

import pytest

import netlab
from netlab.lab.lab import Lab

FILE = """
services:
  web:
    image: busybox
    network_mode: {mode}
    ports: ["8080:80", "127.0.0.1:8081:80", "5353:53/udp", "8000:8000", "8001:8001/udp"]
  other: {{image: busybox, network_mode: {mode}, ports: ["8090:80"]}}
x-netlab:
  host:
    engine: {engine}
    rootless: true
    listen: [6000]
    routes: ["default via 198.51.100.2", "default via 2001:db8:1::2"]
  outside:
    client: {{addresses: [198.51.100.2/24, "2001:db8:1::2/64"], listen: [7000, 7000/udp]}}
"""
HOST, HOST_6, CLIENT, CLIENT_6 = "198.51.100.1", "2001:db8:1::1", "198.51.100.2", "2001:db8:1::2"
INSIDE = "10.0.2.100"
#: flow, family → outcome, path, the address that the server saw
PASTA = {
    ("client -> host:8080", 4): ("ok", "proxy", CLIENT),
    ("client -> host:8080", 6): ("ok", "proxy", CLIENT_6),
    ("client -> host:5353/udp", 4): ("ok", "proxy", CLIENT),
    ("client -> host:5353/udp", 6): ("ok", "proxy", CLIENT_6),
    # the same port on both sides: both of its packets have the same addresses and ports
    ("client -> host:8000", 4): ("ok", "proxy", CLIENT),
    ("client -> host:8001/udp", 6): ("ok", "proxy", CLIENT_6),
    ("client -> host:8081", 4): ("refused", "local", None),
    ("host -> host:8080", 4): ("ok", "proxy", "169.254.1.2"),
    ("host -> host:5353/udp", 4): ("ok", "proxy", "169.254.1.2"),
    ("host -> localhost:8080", 4): ("ok", "proxy", HOST),
    ("host -> localhost:8080", 6): ("ok", "proxy", HOST_6),
    ("host -> localhost:5353/udp", 4): ("ok", "proxy", HOST),
    ("host -> localhost:5353/udp", 6): ("ok", "proxy", HOST_6),
    ("host -> localhost:8081", 4): ("ok", "proxy", HOST),
    ("host -> localhost:8081", 6): ("refused", "local", None),
    ("web -> host:8080", 4): ("refused", "inside", None),
    ("web -> host:5353/udp", 6): ("unreachable", "inside", None),
    ("web -> client:7000", 4): ("ok", "proxy", HOST),
    ("web -> client:7000", 6): ("ok", "proxy", HOST_6),
    ("web -> client:7000/udp", 4): ("ok", "proxy", HOST),
    ("web -> host:6000", 4): ("refused", "inside", None),
    ("web -> 127.0.0.1:6000", 4): ("refused", "inside", None),
    ("web -> 169.254.1.2:6000", 4): ("ok", "proxy", HOST),
    ("web -> 198.51.100.2:6000", 4): ("refused", "proxy", None),
    ("web -> 169.254.1.2:8090", 4): ("ok", "proxy", "169.254.1.2"),
    ("other -> host:8080", 4): ("refused", "inside", None),
}
SLIRP = {
    **{
        (flow, family): ("ok", "proxy", INSIDE)
        for flow in (
            "client -> host:8080", "client -> host:5353/udp", "client -> host:8000", "host -> host:8080",
            "host -> localhost:8080", "host -> localhost:5353/udp", "web -> host:8080",
            "web -> host:5353/udp", "other -> host:8080",
        )
        for family in (4, 6)
    },
    ("client -> host:8081", 4): ("refused", "local", None),
    ("host -> localhost:8081", 4): ("ok", "proxy", INSIDE),
    ("host -> localhost:8081", 6): ("refused", "local", None),
    ("web -> client:7000", 4): ("ok", "proxy", HOST),
    ("web -> client:7000", 6): ("ok", "proxy", HOST_6),
    ("web -> client:7000/udp", 4): ("ok", "proxy", HOST),
    ("web -> host:6000", 4): ("ok", "proxy", HOST),
    ("web -> 127.0.0.1:6000", 4): ("refused", "inside", None),
    ("web -> 10.0.2.2:6000", 4): ("unreachable", "none", None),
}  # fmt: skip
MEASURED = {"pasta": PASTA, "slirp4netns": SLIRP}
#: Takes everything until the end, answers with as much of its own, and prints what it took.
TAKE = """
import hashlib, socket
with socket.create_server(("", 7777)) as server:
    print("ready", flush=True)
    peer, _ = server.accept()
    taken = hashlib.sha256()
    while data := peer.recv(1 << 16):
        taken.update(data)
    peer.sendall(bytes(range(256)) * 16384)
    peer.close()
    print(taken.hexdigest())
"""
#: Sends, ends its side, and prints what came back.
GIVE = """
import hashlib, socket
with socket.create_connection(("198.51.100.2", 7777)) as sock:
    sock.sendall(bytes(range(255, -1, -1)) * 16384)
    sock.shutdown(socket.SHUT_WR)
    got = hashlib.sha256()
    while data := sock.recv(1 << 16):
        got.update(data)
    print(got.hexdigest())
"""


@pytest.fixture(scope="module", params=["podman-5-nftables pasta", "podman-4 slirp4netns"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    engine, mode = request.param.split()
    file = tmp_path_factory.mktemp("rootless") / f"{mode}.yaml"
    file.write_text(FILE.format(engine=engine, mode=mode))
    with netlab.Lab(file) as built:
        yield built


def mode_of(lab: Lab) -> str:
    return lab.plan.node("host").user_networks[0].program


def test_flows_are_those_that_were_recorded(lab: Lab) -> None:
    expected = MEASURED[mode_of(lab)]
    found = {}
    for flow, family in expected:
        journey = lab.probe(flow, family=family)
        found[flow, family] = (journey.outcome, journey.path, journey.sees.address if journey.sees else None)
    assert found == expected


def test_pasta_keeps_a_clients_port_and_rootlessport_does_not(lab: Lab) -> None:
    journey = lab.probe("client -> host:8080", family=4)
    own = next(leg for leg in journey.legs if leg.by)
    assert own.node == "web"
    kept = own.hooks[0].packet.src == journey.flow.src
    assert (own.by, kept) == {"pasta": ("pasta", True), "slirp4netns": ("rootlessport", False)}[mode_of(lab)]


def test_who_listens(lab: Lab) -> None:
    process = {"pasta": "pasta", "slirp4netns": "rootlessport"}[mode_of(lab)]
    shown = lab.exec("host", ["ss", "-ltnpH", "sport = 8080 or sport = 8081"]).stdout
    assert shown.count(f'"{process}"') == 2
    assert "*:8080" in shown
    assert "127.0.0.1:8081" in shown


def test_nothing_is_written_on_the_host(lab: Lab) -> None:
    assert not lab.plan.node("host").rulesets
    assert not lab.plan.node("host").sysctls
    assert {one.name for one in lab.plan.node("host").interfaces} == {"ext0"}


def test_megabytes_pass_whole_in_both_directions(lab: Lab) -> None:
    took: list[str] = []
    listening = threading.Thread(
        target=lambda: took.append(lab.exec("client", [sys.executable, "-c", TAKE]).stdout)
    )
    listening.start()
    wait = "while ! ss -ltnH 'sport = 7777' | grep -q .; do :; done"
    lab.exec("client", ["timeout", "60", "bash", "-c", wait])
    gave = lab.exec("web", ["timeout", "60", sys.executable, "-c", GIVE]).stdout
    listening.join()
    assert gave.strip() == hashlib.sha256(bytes(range(256)) * 16384).hexdigest()
    assert took[0].split()[1] == hashlib.sha256(bytes(range(255, -1, -1)) * 16384).hexdigest()


def test_slirp4netns_answers_pings_of_its_own_addresses(lab: Lab) -> None:
    answered = mode_of(lab) == "slirp4netns"
    for address in ("10.0.2.2", "fd00::2"):
        shown = lab.exec("web", ["ping", "-c1", "-W1", address], check=False).stdout
        assert ("1 received" in shown) == answered


def test_many_clients_at_once(lab: Lab) -> None:
    journeys = lab.probe_all(["client -> host:8080", "web -> client:7000"] * 60)
    assert {journey.outcome for journey in journeys} == {"ok"}


def test_what_a_plan_does_not_know_is_not_predicted(lab: Lab) -> None:
    prediction = netlab.Prediction(plan=lab.plan)
    assert prediction.probe("client -> host:8080", family=4).outcome == "unpredicted"
    assert prediction.probe("web -> client:7000", family=4).outcome == "unpredicted"
    assert prediction.probe("client -> host:8081", family=4).outcome == "refused"
    assert prediction.probe("client -> host:6000", family=4).outcome == "ok"
