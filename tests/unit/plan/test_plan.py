"""The plan of scenarios that no capture shows: names, order, what is refused and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.journey.expand import expand
from netlab.model.event import ContainerStart, NetworkCreate
from netlab.model.plan import Plan
from netlab.model.problem import Position, ScenarioError
from netlab.model.rules import NftFile
from netlab.plan import events_of, make
from netlab.scenario import Overrides, load
from netlab.scenario.flow import parse_flow

ENGINE = "docker-20.10"


def written(folder: Path, text: str) -> Path:
    file = folder / "shop.yaml"
    file.write_text(text)
    return file


def plan(folder: Path, text: str, engine: str = ENGINE) -> Plan:
    return make(load([written(folder, text)], project_name="shop", overrides=Overrides(engine=engine)))


def order(folder: Path, text: str) -> list[str]:
    scenario = load([written(folder, text)], project_name="shop", overrides=Overrides(engine=ENGINE))
    names = []
    for event in events_of(scenario, "host"):
        if isinstance(event, NetworkCreate):
            names.append(event.network.name)
        elif isinstance(event, ContainerStart):
            names.append(event.container.name)
    return names


def test_networks_come_in_file_order_and_services_after_what_they_depend_on(tmp_path: Path) -> None:
    assert order(
        tmp_path,
        """
services:
  web: {image: x, networks: [front], depends_on: [app]}
  app: {image: x, networks: [front, back], depends_on: [db, cache]}
  cache: {image: x, networks: [back]}
  db: {image: x, networks: [back]}
  lone: {image: x, container_name: single}
networks: {front: {}, unused: {}, back: {name: behind}, outer: {external: true, name: far}}
""",
    ) == [
        "shop_front",
        "behind",
        "shop_default",
        "shop-db-1",
        "shop-cache-1",
        "shop-app-1",
        "shop-web-1",
        "single",
    ]


def test_external_networks_are_made_first_and_replicas_are_numbered(tmp_path: Path) -> None:
    names = order(
        tmp_path,
        """
services:
  web: {image: x, networks: [near, far], deploy: {replicas: 3}}
networks: {near: {}, far: {external: true}}
""",
    )
    assert names == ["far", "shop_near", "shop-web-1", "shop-web-2", "shop-web-3"]


def test_nodes_of_replicas_and_an_unnamed_bridge(tmp_path: Path) -> None:
    made = plan(tmp_path, "services: {web: {image: x, deploy: {replicas: 2}}}\n")
    assert [node.name for node in made.nodes if node.kind == "container"] == ["web-1", "web-2"]
    (network,) = (network for network in made.networks if network.key == "default")
    assert network.name == "shop_default"
    assert len(network.bridge) == 15
    assert network.bridge.startswith("br-")


def test_the_same_scenario_gives_the_same_plan(tmp_path: Path) -> None:
    text = "services: {a: {image: x, ports: ['80']}, b: {image: x, ports: ['53:53/udp']}}\n"
    assert plan(tmp_path, text) == plan(tmp_path, text)


RANGE = """
services:
  web: {image: x, ports: ["8080-8081:80"]}
  api: {image: x, ports: ["8080-8081:80"]}
  more: {image: x, ports: ["8080-8081:80"]}
"""
TAKEN = """
services:
  web: {image: x, ports: ["8080:80"]}
x-netlab: {host: {listen: [8080/tcp]}}
"""
OVERLAP = """
services: {web: {image: x, networks: [a, b]}}
networks:
  a: {}
  b: {ipam: {config: [{subnet: 172.18.8.0/24}]}}
"""
GIVEN_AWAY = """
services:
  web: {image: x, networks: [a]}
  api: {image: x, networks: {a: {ipv4_address: 10.0.0.2}}}
networks:
  a: {ipam: {config: [{subnet: 10.0.0.0/16}]}}
"""
NO_EXPERIMENT = """
services: {web: {image: x}}
x-netlab:
  host:
    daemon:
      ip6tables: true
"""


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (RANGE, 5, "all ports are allocated"),
        (TAKEN, 3, "address already in use"),
        (OVERLAP, 5, "Pool overlaps with other one on this address space"),
        (GIVEN_AWAY, 4, "Address already in use"),
        (NO_EXPERIMENT, 6, "experimental"),
    ],
)
def test_what_a_real_daemon_refuses_is_an_error_at_its_place(
    tmp_path: Path, text: str, line: int, reason: str
) -> None:
    with pytest.raises(ScenarioError, match=r".") as refused:
        plan(tmp_path, text)
    (problem,) = refused.value.problems
    assert reason in problem.message
    assert problem.position.line == line
    assert refused.value.exit_code == 2


def test_services_that_depend_on_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"a|b"):
        plan(tmp_path, "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n")


def test_a_bridge_takes_1023_ports(tmp_path: Path) -> None:
    text = """services: {web: {image: x, networks: [nw], deploy: {replicas: %d}}}
networks:
  nw: {ipam: {config: [{subnet: 10.0.0.0/16}]}}
"""
    assert len(plan(tmp_path, text % 1023).nodes) == 1023 + 5
    with pytest.raises(
        ScenarioError, match=r"shop\.yaml:3:.*1024 containers on nw: a bridge takes 1023 ports"
    ):
        plan(tmp_path, text % 1024)


def test_a_name_stands_for_all_who_have_it(tmp_path: Path) -> None:
    made = plan(tmp_path, "services: {web: {image: x, deploy: {replicas: 100}}}\n")
    names = {name.name: name.addresses for name in made.networks[-1].names}
    assert len(names["web"]) == 100
    assert names["shop-web-7"] == names["web"][6:7]
    assert len({node.rulesets for node in made.nodes if node.kind == "container"}) == 1
    assert len({node.hosts_file for node in made.nodes if node.kind == "container"}) == 100


MODES = """
services:
  web: {image: x, ports: ["80:80"], hostname: www}
  side: {image: x, network_mode: "service:web"}
  own: {image: x, network_mode: host, expose: ["82"]}
  none: {image: x, network_mode: none}
  plain: {image: x, network_mode: bridge}
x-netlab: {services: {side: {listen: [81]}}}
"""


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("hostname: www", "www"),
        ("hostname: www.example.org", "www.example.org www"),
        ("hostname: www, domainname: example.org", "www.example.org www"),
    ],
)
def test_a_container_s_own_names(tmp_path: Path, said: str, names: str) -> None:
    made = plan(tmp_path, f"services: {{web: {{image: x, {said}}}}}")
    address = made.node("web").interfaces[0].addresses[0].partition("/")[0]
    assert made.node("web").hosts_file.splitlines()[-1] == f"{address}\t{names}"


def test_network_modes(tmp_path: Path) -> None:
    made = plan(tmp_path, MODES)
    web, side, own, none, plain = (made.node(n) for n in ("web", "side", "own", "none", "plain"))
    assert (side.namespace, own.namespace, none.namespace) == ("web", "host", "none")
    assert side.interfaces == own.interfaces == none.interfaces == ()
    assert side.hosts_file == web.hosts_file
    assert own.hosts_file == ""
    assert web.hostname == "www"
    assert [interface.addresses for interface in plain.interfaces] == [("172.17.0.2/16",)]
    assert [(r.protocol, r.port) for r in side.responders] == [("tcp", 81)]


EPHEMERAL = """
services:
  one: {image: x, ports: ["80"]}
  two: {image: x, ports: ["9000-9001:80", "81"]}
  three: {image: x, ports: ["9000-9001:80"]}
"""


@pytest.mark.parametrize("engine", ["docker-19.03", "docker-20.10", "docker-27", "docker-29"])
def test_host_ports_out_of_ranges(tmp_path: Path, engine: str) -> None:
    made = plan(tmp_path, EPHEMERAL, engine)
    got = {(p.node, p.container_port): (p.host_address, p.host_port) for p in made.publications}
    assert got == {
        ("one", 80): ("", 32768),
        ("two", 81): ("", 32769),
        ("two", 80): ("", 9000),
        ("three", 80): ("", 9001),
    }


def test_the_outside_is_plugged_into_its_segments(tmp_path: Path) -> None:
    made = plan(tmp_path, "services: {web: {image: x}}\n")
    segment = made.node("segment-ext")
    bridge, *ports = segment.interfaces
    assert bridge.kind == "bridge"
    ends = {(node.name, i.name): i for node in made.nodes for i in node.interfaces}
    for (name, interface), end in ends.items():
        assert len(interface) <= 15
        if end.kind == "veth":
            assert end.peer is not None
            assert ends[end.peer].peer == (name, interface)
    assert {p.peer[0] for p in ports if p.peer} == {"host", "client", "neighbour", "internet"}
    client = made.node("client")
    assert [route.via for route in client.routes] == ["198.51.100.1", "2001:db8:1::1"]


GUESTS = """
services: {web: {image: any, ports: ["80:80"]}}
x-netlab:
  host: {engine: docker-20.10, bridges: {lxdbr0: {addresses: [10.0.8.1/24, "fd42:8::1/64"]}}}
  outside:
    client: {addresses: [198.51.100.2/24]}
    guest: {addresses: [10.0.8.2/24, "fd42:8::2/64"], segment: lxdbr0}
"""


def test_a_guest_is_plugged_into_another_tenant_s_bridge(tmp_path: Path) -> None:
    made = plan(tmp_path, GUESTS)
    host, guest = made.node("host"), made.node("guest")
    (nic,) = guest.interfaces
    (tap,) = (i for i in host.interfaces if i.master == "lxdbr0")
    assert (nic.peer, tap.peer) == (("host", tap.name), ("guest", nic.name))
    assert [(route.destination, route.via) for route in guest.routes] == [
        ("default", "10.0.8.1"),
        ("default", "fd42:8::1"),
    ]
    assert {node.name for node in made.nodes if node.kind == "segment"} == {"segment-ext"}


def test_names_mean_addresses_on_the_bridge_that_a_guest_shares(tmp_path: Path) -> None:
    made = plan(tmp_path, GUESTS)
    asked = {
        "guest -> host:80": ["10.0.8.1", "fd42:8::1"],
        "client -> host:80": ["198.51.100.1", "2001:db8:1::1"],
        "client -> host@lxdbr0:80": ["10.0.8.1", "fd42:8::1"],
        "client -> host@ext:80": ["198.51.100.1", "2001:db8:1::1"],
        "client -> guest:7000": ["10.0.8.2", "fd42:8::2"],
        "host -> guest:7000": ["10.0.8.2", "fd42:8::2"],
        "web -> host:80": ["198.51.100.1", "2001:db8:1::1"],
    }
    for text, addresses in asked.items():
        found = expand(parse_flow(text, Position("-", 1, 1)), made)
        assert [flow.address for flow in found] == addresses, text


def test_an_nftables_file_comes_before_the_engines_tables(tmp_path: Path) -> None:
    (tmp_path / "own.nft").write_text("table inet own {\n}\n")
    text = "services: {web: {image: x}}\nx-netlab: {host: {firewall: {nftables: own.nft}}}\n"
    first, *_ = plan(tmp_path, text).node("host").rulesets
    assert isinstance(first, NftFile)
    assert "table inet own" in first.text


def test_events_of_the_scenario_are_folded(tmp_path: Path) -> None:
    text = """
services:
  web: {image: x, networks: [front], ports: ["80:80"]}
  db: {image: x, networks: [back]}
networks: {front: {}, back: {}}
x-netlab:
  events: [connect web back, disconnect web front, stop db]
"""
    made = plan(tmp_path, text)
    assert made.node("db").interfaces == ()
    assert made.node("db").responders == ()
    (publication,) = made.publications
    assert publication.network == "shop_back"
    (interface,) = made.node("web").interfaces
    assert interface.name == "eth1"
