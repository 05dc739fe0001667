"""A lab of Podman: what comes and goes with its containers, names, isolation, and who answers.

client ──── ext0 host podman1 ── web, db
                      podman2 ── app        (isolate: strict)
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

import netlab
from netlab.lab.lab import Lab
from netlab.model.family import Family
from netlab.predict.compare import first_difference

SHOP = """
services:
  web: {{image: busybox, networks: [front], ports: ["80:80"]}}
  db: {{image: busybox, networks: [front], expose: ["5432"]}}
  app: {{image: busybox, networks: [apart], expose: ["80"]}}
networks:
  front: {{ipam: {{config: [{{subnet: 192.168.10.0/24}}]}}}}
  apart: {{ipam: {{config: [{{subnet: 192.168.20.0/24}}]}}, driver_opts: {{isolate: strict}}}}
x-netlab: {{host: {{engine: {engine}}}}}
"""
#: Ask the gateway of front for the address of db, over UDP.
ASK = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.settimeout(60)
    sock.connect(("192.168.10.1", 53))
    sock.send(bytes.fromhex(sys.argv[1]))
    print(sock.recv(512).hex())
"""


@pytest.fixture(params=["podman-5-iptables", "podman-5-nftables"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP.format(engine=request.param))
    with netlab.Lab(file) as built:
        yield built


def outcome(lab: Lab, flow: str, family: int = 4) -> tuple[str, str | None]:
    journey = lab.probe(flow, family=family)
    return journey.outcome, journey.sees.address if journey.sees else None


def bridges(lab: Lab) -> set[str]:
    shown = lab.exec("host", ["ip", "-br", "link", "show", "type", "bridge"]).stdout
    return {line.split()[0] for line in shown.splitlines()}


TWO = """
services:
  web:
    image: busybox
    networks: {front: {ipv4_address: 192.168.10.10}, back: {ipv4_address: 192.168.20.10}}
    ports: ["80:80"]
  app: {image: busybox, networks: [front]}
  shut: {image: busybox, networks: {inner: {ipv4_address: 192.168.30.10}}, expose: ["80"]}
networks:
  front: {ipam: {config: [{subnet: 192.168.10.0/24}]}}
  back: {ipam: {config: [{subnet: 192.168.20.0/24}]}}
  inner: {internal: true, ipam: {config: [{subnet: 192.168.30.0/24}]}}
x-netlab: {host: {engine: podman}}
"""


@pytest.mark.parametrize(("choice", "gateway"), [(1, "192.168.10.1"), (2, "192.168.20.1")])
def test_what_podman_leaves_to_chance_is_chosen(choice: int, gateway: str, tmp_path: Path) -> None:
    """Which network of two gets a published port, and with it the address that the server sees."""
    file = tmp_path / "two.yaml"
    file.write_text(TWO)
    with netlab.Lab(file, choice=choice) as lab:
        assert outcome(lab, "app -> host:80/tcp") == ("ok", gateway)
        assert outcome(lab, "client -> host:80/tcp") == ("ok", "198.51.100.2")
        predicted = netlab.Prediction(plan=lab.plan)
        for flow in (
            "app:41001 -> host:80/tcp",
            "web:41002 -> gateway@front:80/tcp",
            "web:41003 -> gateway@back:80/tcp",
        ):
            measured = lab.probe(flow, family=4)
            assert first_difference(predicted.probe(flow, family=4), measured) is None


def test_probe_matrix_and_prediction_agree_on_an_internal_network(tmp_path: Path) -> None:
    """The packet arrives; the container has no way back, and its kernel does not take it (rp_filter)."""
    file = tmp_path / "two.yaml"
    file.write_text(TWO)
    with netlab.Lab(file) as lab:
        cells = lab.matrix().answers
        measured = cells["client", "shut@inner:80/tcp", Family.IPV4][1]
        assert (measured.outcome, measured.path) == ("timeout", "forward")
        for flow in ("client -> shut@inner:80/tcp", "client -> shut@inner:80/tcp via host"):
            journey = lab.probe(flow, family=4)
            assert (journey.outcome, journey.path, journey.decided_by.node) == ("timeout", "forward", "shut")
            assert "The packet arrived at shut, whose kernel does not take it" in str(journey)
            assert journey.flow.src is not None
            source = f"client:{journey.flow.src.rpartition(':')[2]}"  # chosen at random
            predicted = netlab.Prediction(plan=lab.plan).probe(flow.replace("client", source, 1), family=4)
            assert first_difference(predicted, journey) is None


def test_a_bridge_goes_with_its_last_container_and_comes_back(lab: Lab) -> None:
    assert bridges(lab) == {"podman1", "podman2"}
    assert outcome(lab, "client -> host:80/tcp") == ("ok", "198.51.100.2")
    assert outcome(lab, "host -> localhost:80/tcp") == ("ok", "192.168.10.1")
    assert outcome(lab, "client -> host:80/tcp", 6) == ("refused", None)
    lab.do("stop web")
    assert bridges(lab) == {"podman1", "podman2"}
    assert outcome(lab, "client -> host:80/tcp") == ("refused", None)
    lab.do("stop db")
    assert bridges(lab) == {"podman2"}
    lab.do("start web")
    assert bridges(lab) == {"podman1", "podman2"}
    assert outcome(lab, "client -> host:80/tcp") == ("ok", "198.51.100.2")


def test_a_strictly_isolated_network_reaches_no_other_and_gets_no_answer_out(lab: Lab) -> None:
    assert outcome(lab, "app -> web:80/tcp") == ("timeout", None)
    assert outcome(lab, "web -> app:80/tcp") == ("timeout", None)
    assert outcome(lab, "client -> app:80/tcp") == ("ok", "198.51.100.2")


@pytest.mark.parametrize("asker", ["web", "client"])
def test_the_gateway_answers_names_also_to_the_lan(lab: Lab, asker: str) -> None:
    question = struct.pack(">6H", 7, 0x0100, 1, 0, 0, 0) + b"\x02db\0" + struct.pack(">2H", 1, 1)
    told = bytes.fromhex(lab.exec(asker, ["python3", "-c", ASK, question.hex()]).stdout.strip())
    assert socket.inet_ntoa(told[-4:]) == "192.168.10.3"


def test_conmon_has_the_port(lab: Lab) -> None:
    (port,) = [one for one in lab.sockets("host") if one.port == 80]
    assert (port.address, [holder.name for holder in port.processes]) == ("0.0.0.0", ["conmon"])
