"""Routers, the internet, routes before the engine, MTUs, and rules of containers, as a plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from netlab.lab.load import load_plan
from netlab.model.plan import Plan, Route
from netlab.model.problem import ScenarioError

ROUTER = """
services: {web: {image: nginx, ports: ["8080:80"]}}
x-netlab:
  host:
    engine: ENGINE
    routes:
      - 172.16.0.0/12 via 198.51.100.254
      - 10.9.0.0/16 dev ext0
      - default via 198.51.100.253 table 100
    rules: ["iptables -I DOCKER-USER -o {bridge:default} -j DROP", "ip rule add from 10.9.0.0/16 lookup 100"]
  outside:
    client: {addresses: [198.51.100.2/24], mtu: 9000}
    router:
      interfaces:
        lan: {addresses: [198.51.100.254/24]}
        wan: {addresses: [203.0.113.1/24, "2001:db8:2::1/64"], segment: wan, mtu: 1400}
      forward: true
      rules: ["iptables -t nat -A POSTROUTING -o wan -j MASQUERADE"]
    far: {addresses: [203.0.113.9/24, "2001:db8:2::9/64"], segment: wan}
  services:
    web: {rules: [iptables -P OUTPUT DROP]}
"""


@pytest.fixture
def planned(tmp_path: Path) -> Callable[[str], Plan]:
    def run(text: str) -> Plan:
        (tmp_path / "lab.yaml").write_text(text)
        return load_plan([tmp_path / "lab.yaml"])

    return run


def typed(plan: Plan, node: str) -> list[str]:
    return [command.text for command in plan.node(node).commands]


def test_a_router_forwards_and_leads_its_segment_out(planned: Callable[[str], Plan]) -> None:
    plan = planned(ROUTER.replace("ENGINE", "docker-28"))
    router = plan.node("router")
    assert [sysctl.key for sysctl in router.sysctls] == [
        "net.ipv4.ip_forward",
        "net.ipv6.conf.all.forwarding",
    ]
    assert typed(plan, "router") == ["iptables -t nat -A POSTROUTING -o wan -j MASQUERADE"]
    assert router.routes == (Route("default", via="198.51.100.1", interface="lan"),)
    assert plan.node("far").routes == (
        Route("default", via="203.0.113.1", interface="eth0"),
        Route("default", via="2001:db8:2::1", interface="eth0"),
    )


def test_an_mtu_holds_for_both_ends_of_a_link(planned: Callable[[str], Plan]) -> None:
    plan = planned(ROUTER.replace("ENGINE", "docker-28"))
    found = {(node.name, i.name): i.mtu for node in plan.nodes for i in node.interfaces if i.mtu != 1500}
    assert found == {
        ("client", "eth0"): 9000,
        ("segment-ext", "client-eth0"): 9000,
        ("router", "wan"): 1400,
        ("segment-wan", "router-wan"): 1400,
    }


def test_routes_of_the_host_and_rules_with_the_name_of_a_bridge(planned: Callable[[str], Plan]) -> None:
    plan = planned(ROUTER.replace("ENGINE", "docker-28"))
    bridge = next(network.bridge for network in plan.networks if network.key == "default")
    assert plan.node("host").routes[-2:] == (
        Route("172.16.0.0/12", via="198.51.100.254"),
        Route("10.9.0.0/16", interface="ext0"),
    )
    assert typed(plan, "host") == [
        "ip route add default via 198.51.100.253 table 100",
        f"iptables -I DOCKER-USER -o {bridge} -j DROP",
        "ip rule add from 10.9.0.0/16 lookup 100",
    ]
    assert typed(plan, "web") == ["iptables -P OUTPUT DROP"]
    with pytest.raises(ScenarioError, match=r"lab\.yaml:10:13: \{bridge:defalt\}: .* \(did you mean default"):
        planned(ROUTER.replace("ENGINE", "docker-28").replace("bridge:default", "bridge:defalt"))


@pytest.mark.parametrize(
    ("engine", "subnet"),
    [
        ("docker-20.10.14", "192.168.16.0/20"),
        ("docker-20.10.15", "172.18.0.0/16"),
        ("docker-29", "172.18.0.0/16"),
    ],
)
def test_which_routes_a_predefined_subnet_avoids(
    planned: Callable[[str], Plan], engine: str, subnet: str
) -> None:
    plan = planned(ROUTER.replace("ENGINE", engine))
    assert [network.subnets for network in plan.networks if network.key == "default"] == [(subnet,)]
    near = ROUTER.replace("ENGINE", engine).replace("10.9.0.0/16 dev ext0", "172.18.0.0/15 dev ext0")
    assert [network.subnets for network in planned(near).networks if network.key == "default"] == [
        (subnet if subnet.startswith("192.") else "172.20.0.0/16",)
    ]


def test_the_internet_is_one_line(planned: Callable[[str], Plan]) -> None:
    plan = planned("services: {web: {image: nginx}}\nx-netlab: {internet: true}\n")
    node = plan.node("internet")
    assert node.interfaces[0].addresses == ("198.51.100.254/24", "2001:db8:1::fe/64")
    assert plan.node("host").routes == (
        Route("default", via="2001:db8:1::fe"),
        Route("default", via="198.51.100.254"),
    )
    assert node.routes == ()
    assert typed(plan, "internet") == [
        "ip route add local default dev lo table main",
        "ip -6 route add local default dev lo table main",
    ]
    assert {(r.port, r.protocol) for r in node.responders} >= {(53, "udp"), (443, "tcp")}
    own = "x-netlab: {internet: true, host: {routes: [default via 198.51.100.9]}}\n"
    host = planned(f"services: {{web: {{image: nginx}}}}\n{own}").node("host")
    assert plan.node("host").routes[1] not in host.routes


SEGMENTS = """services: {web: {image: nginx}}
x-netlab:
  host:
    routes: [default via 198.51.100.9 table 100]
    routing_policy:
      - from 172.18.0.0/16 table 100
      - fwmark 7 lookup 100 priority 50
      - from 2001:db8::/32 table 100
  outside:
    client: {addresses: [198.51.100.2/24]}
    router:
      forward: true
      interfaces:
        lan: {addresses: [198.51.100.9/24]}
        wan: {addresses: [203.0.113.1/24], segment: wan, mtu: 1300}
    far: {addresses: [203.0.113.9/24], segment: wan}
  segments: {ext: {mtu: 9000}, wan: {mtu: 1400}}
"""


def test_an_interface_has_its_segment_s_mtu_unless_it_has_its_own(planned: Callable[[str], Plan]) -> None:
    plan = planned(SEGMENTS)
    mtus = {(node.name, one.name): one.mtu for node in plan.nodes for one in node.interfaces}
    assert mtus["host", "ext0"] == mtus["client", "eth0"] == mtus["router", "lan"] == 9000
    assert (mtus["router", "wan"], mtus["far", "eth0"]) == (1300, 1400)
    assert (mtus["segment-ext", "host-ext0"], mtus["segment-wan", "far-eth0"]) == (9000, 1400)
    assert mtus["web", "eth0"] == 1500


def test_the_host_s_policy_leads_to_its_other_tables(planned: Callable[[str], Plan]) -> None:
    assert typed(planned(SEGMENTS), "host") == [
        "ip route add default via 198.51.100.9 table 100",
        "ip rule add from 172.18.0.0/16 table 100",
        "ip rule add fwmark 7 lookup 100 priority 50",
        "ip -6 rule add fwmark 7 lookup 100 priority 50",
        "ip -6 rule add from 2001:db8::/32 table 100",
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("segments: {ex: {mtu: 1400}}", "has no interface on it (did you mean 'ext'?)"),
        ("host: {bridges: {lxdbr0: {}}}, segments: {lxdbr0: {mtu: 1400}}", "is a bridge of the host"),
        ("host: {routing_policy: [from 10.0.0.0/8 to 2001:db8::/32]}", "addresses of both families"),
        ("host: {routing_policy: ['from 10.0.0.0/8; reboot']}", "run without a shell"),
        ("host: {routes: [10.0.0.0/8]}", "'10.0.0.0/8' is not DESTINATION"),
        ("host: {routes: [10.0.0.0/8 via 2001:db8::1]}", "are not of one family"),
        ("host: {routes: [10.0.0.0/8 dev ext0 table 255]}", "table 255 is the kernel's own"),
        ("host: {routes: [10.0.0.0/8 via 10.1.1.1]}", "the gateway is on none of its subnets"),
        ("outside: {a: {addresses: [198.51.100.9/24], interfaces: {b: {}}}}", "exclude each other"),
        ("outside: {a: {addresses: [203.0.113.9/24], segment: wan}}", "nobody else is on the segment"),
        ("outside: {a: {addresses: [198.51.100.9/24], rules: [rm -rf /]}}", "cannot be called"),
        ("{internet: true, outside: {internet: {addresses: [198.51.100.9/24]}}}", "already"),
    ],
)
def test_what_is_wrong_has_its_place(planned: Callable[[str], Plan], wrong: str, said: str) -> None:
    text = wrong if wrong.startswith("{") else f"{{{wrong}}}"
    with pytest.raises(ScenarioError) as caught:
        planned(f"services: {{web: {{image: nginx}}}}\nx-netlab: {text}\n")
    assert said.replace("'", '"') in str(caught.value).replace("'", '"')
    assert "lab.yaml:2:" in str(caught.value)


@pytest.mark.parametrize(
    ("bridge", "line"),
    [
        ("include", "nft {bridge:a} '\"/etc/passwd\"'"),
        ("monitor", "ip {bridge:a}"),
        ("AUDIT", "iptables -A FORWARD -j {bridge:a} --type accept"),
        ("netns", "ip link set dev lo {bridge:a} 1"),
    ],
)
def test_a_line_is_checked_with_the_name_that_a_scenario_gives_its_bridge(
    tmp_path: Path, bridge: str, line: str
) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(
        "services: {c: {image: x, networks: [a]}}\n"
        f"networks: {{a: {{driver_opts: {{com.docker.network.bridge.name: {bridge!r}}}}}}}\n"
        f"x-netlab: {{rules: [{json.dumps(line)}]}}\n"
    )
    with pytest.raises(ScenarioError) as caught:
        load_plan([file])
    assert caught.value.problems[0].position.line == 3


@pytest.mark.parametrize("bridge", ["-f", "--modprobe=sh"])
def test_no_bridge_has_the_name_of_an_option(tmp_path: Path, bridge: str) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(
        "services: {c: {image: x, networks: [a]}}\n"
        f"networks: {{a: {{driver_opts: {{com.docker.network.bridge.name: {bridge!r}}}}}}}\n"
    )
    with pytest.raises(ScenarioError, match="is not a name that a rule can contain") as caught:
        load_plan([file])
    assert caught.value.problems[0].position.line == 2


def test_rules_of_containers_are_counted_before_they_are_multiplied(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    lines = json.dumps(["ip link set lo up"] * 101)
    file.write_text(
        f"services: {{c: {{image: x, scale: 100}}}}\nx-netlab: {{services: {{c: {{rules: {lines}}}}}}}\n"
    )
    with pytest.raises(ScenarioError, match=r"10,?000"):
        load_plan([file])
