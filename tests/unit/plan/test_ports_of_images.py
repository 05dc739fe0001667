"""What containers answer on, and what is said of ports that nobody publishes or answers on."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.lab.build.workloads import command_of, responders_of
from netlab.lab.load import load_plan
from netlab.model.plan import Plan
from netlab.model.problem import ScenarioError
from netlab.scenario.image_ports import image_ports
from netlab.view.lab import document, picture

SHOP = """
services:
  web: {image: nginx, ports: ["8080:80"], networks: [front, back]}
  db: {image: "postgres:16", ports: ["5432:5432"], networks: [back]}
  worker: {image: shop-worker, deploy: {replicas: 2}, networks: [back]}
  beat: {build: ., networks: [back]}
  exporter: {image: prom/node-exporter, network_mode: host, ports: ["9100:9100"]}
networks:
  front:
  back: {internal: true}
"""


def planned(folder: Path, text: str) -> Plan:
    (folder / "shop.yaml").write_text(text)
    return load_plan([folder / "shop.yaml"])


def answers(plan: Plan, node: str) -> list[str]:
    return [f"{responder.port}/{responder.protocol}" for responder in plan.node(node).responders]


@pytest.mark.parametrize(
    ("image", "ports"),
    [
        ("postgres", "5432/tcp"),
        ("docker.io/library/postgres:16-alpine@sha256:e1e1", "5432/tcp"),
        ("registry.example:5000/postgres", ""),
        ("php:8.3-fpm-alpine", "9000/tcp"),
        ("php:8.3-apache", "80/tcp"),
        ("php:8.3-cli", ""),
        ("wordpress", "80/tcp"),
        ("lscr.io/linuxserver/wireguard:latest", "51820/udp"),
        ("caddy:2", "80/tcp 443/tcp 443/udp 2019/tcp"),
        ("shop", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_the_ports_that_an_image_declares(image: str | None, ports: str) -> None:
    assert " ".join(f"{port.port}/{port.protocol}" for port in image_ports(image)) == ports


def test_a_container_answers_on_what_its_image_declares_unless_the_scenario_says_better(
    tmp_path: Path,
) -> None:
    assert answers(planned(tmp_path, SHOP), "db") == ["5432/tcp"]
    said = planned(tmp_path, SHOP + "x-netlab: {services: {web: {listen: [8000]}, db: {listen: []}}}\n")
    assert answers(said, "web") == ["80/tcp", "8000/tcp"]
    assert answers(said, "db") == ["5432/tcp"]  # the file itself publishes it
    none = SHOP.replace('ports: ["5432:5432"], ', "") + "x-netlab: {services: {db: {listen: []}}}\n"
    assert answers(planned(tmp_path, none), "db") == []


def test_a_declared_port_yields_to_another_in_a_shared_namespace(tmp_path: Path) -> None:
    text = """
services:
  vpn: {image: qmcgaw/gluetun, ports: ["8000:8000"]}
  one: {image: linuxserver/qbittorrent, network_mode: "service:vpn"}
  two: {image: linuxserver/sabnzbd, network_mode: "service:vpn"}
  agent: {image: nginx, network_mode: host}
  web: {image: httpd, ports: ["80:80"]}
"""
    plan = planned(tmp_path, text)
    assert answers(plan, "one") == ["6881/tcp", "6881/udp", "8080/tcp"]
    assert answers(plan, "two") == []
    assert answers(plan, "agent") == []  # docker-proxy has port 80 of the host
    assert answers(plan, "web") == ["80/tcp"]
    assert plan.silent == ("two", "agent")


SHARED = """
services:
  vpn: {image: gluetun, ports: ["8080:8080", "8388:8388/udp"], expose: ["9000"]}
  torrent: {image: "nginx:1", network_mode: "service:vpn"}
  spare: {image: "nginx:1", network_mode: "service:vpn"}
"""
TWICE = "it would answer on {}, which is taken in the network that it shares: {} answers on it"


def test_who_names_a_port_in_listen_answers_on_it_in_a_shared_namespace(tmp_path: Path) -> None:
    plan = planned(tmp_path, SHARED)
    assert answers(plan, "vpn") == ["8080/tcp", "8388/udp", "9000/tcp"]
    assert (answers(plan, "torrent"), answers(plan, "spare")) == (["80/tcp"], [])
    said = "x-netlab: {services: {torrent: {listen: [8080, 9000]}, spare: {listen: [80]}}}\n"
    plan = planned(tmp_path, SHARED + said)
    assert answers(plan, "vpn") == ["8388/udp"]
    assert answers(plan, "torrent") == ["8080/tcp", "9000/tcp"]
    assert answers(plan, "spare") == ["80/tcp"]
    assert plan.silent == ()


def test_the_picture_has_everybody_in_a_shared_namespace(tmp_path: Path) -> None:
    text = (
        SHARED + "  lone: {image: x, network_mode: none}\n  guest: {image: x, network_mode: 'service:lone'}\n"
    )
    lines = [line.strip("│ ") for line in picture(planned(tmp_path, text))]
    for owner, guests in (("vpn", ["torrent", "spare"]), ("lone", ["guest"])):
        place = next(n for n, line in enumerate(lines) if line.startswith(("└─ " + owner, "├─ " + owner)))
        signs = [*["├─"] * (len(guests) - 1), "└─"]
        told = [
            f"{sign} {guest}  in the network of {owner}" for sign, guest in zip(signs, guests, strict=True)
        ]
        assert lines[place + 1 : place + 1 + len(guests)] == told


def test_a_program_holds_the_ports_of_its_listen(tmp_path: Path) -> None:
    program = "torrent: {command: [busybox, httpd, -f], listen: [8080]}"
    plan = planned(tmp_path, SHARED + f"x-netlab: {{services: {{{program}}}}}\n")
    assert answers(plan, "torrent") == ["8080/tcp"]
    assert answers(plan, "vpn") == ["8388/udp", "9000/tcp"]
    assert answers(plan, "spare") == ["80/tcp"]
    assert command_of(plan, plan.node("torrent"))["ports"] == [8080]
    assert all(node != "torrent" for _, entries in responders_of(plan) for _, _, node, _ in entries)
    with pytest.raises(ScenarioError) as caught:
        planned(tmp_path, SHARED + f"x-netlab: {{services: {{{program}, spare: {{listen: [8080]}}}}}}\n")
    (problem,) = caught.value.problems
    assert TWICE.format("8080/tcp", "torrent") in problem.message
    assert problem.position.line == 5


def test_the_picture_names_what_is_not_published_and_what_answers_on_nothing(tmp_path: Path) -> None:
    plan = planned(tmp_path, SHOP)
    assert list(picture(plan))[-4:] == [
        "  not published: db 5432/tcp, its only network is internal",
        "  not published: exporter 9100/tcp, with network_mode host, it listens on the host itself",
        "  no known port: worker, beat",
        "    (give it a port: x-netlab: {services: {worker: {listen: [PORT]}}})",
    ]
    assert document(plan)["silent"] == ["worker", "beat"]
    assert [entry["node"] for entry in document(plan)["unpublished"]] == ["db", "exporter"]


def test_a_routed_port_is_not_published_on_the_host(tmp_path: Path) -> None:
    text = """
services: {web: {image: nginx, ports: ["80:80"], networks: [net]}}
networks: {net: {driver_opts: {com.docker.network.bridge.gateway_mode_ipv4: routed}}}
x-netlab: {host: {engine: docker-28, daemon: {userland-proxy: false}}}
"""
    plan = planned(tmp_path, text)
    assert [(entry.port, entry.reason) for entry in plan.unpublished] == [
        (80, "its network is routed, so it is open at the container's own address")
    ]


def test_all_is_said_of_a_stopped_container_that_can_be(tmp_path: Path) -> None:
    plan = planned(tmp_path, SHOP + "x-netlab: {events: [stop db, stop beat]}\n")
    assert [entry.node for entry in plan.unpublished] == ["exporter"]
    assert plan.silent == ("worker",)
