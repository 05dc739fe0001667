"""What one generation does and another does not: each was seen on real daemons (tests/conformance)."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.plans import rules

from netlab.model.plan import Plan
from netlab.model.problem import ScenarioError
from netlab.model.rules import NftTable
from netlab.plan import make
from netlab.scenario import Overrides, load

SERVICE = "services: {web: {image: x, networks: [nw], ports: ['80:80']%s}}\n"
NETWORK = "networks: {nw: {ipam: {config: [{subnet: 10.9.0.0/24}]}, driver_opts: {%s}}}\n"
BRIDGE = "com.docker.network.bridge.name: br_nw"
MODE = "com.docker.network.bridge.gateway_mode_ipv4"


def plan(folder: Path, text: str, engine: str) -> Plan:
    file = folder / "shop.yaml"
    file.write_text(text)
    return make(load([file], project_name="shop", overrides=Overrides(engine=engine)))


def host(daemon: str) -> str:
    return f"x-netlab: {{host: {{daemon: {daemon}}}}}\n"


def hosts(made: Plan) -> list[str]:
    text = made.node("web").hosts_file
    assert text is not None
    return [line.split("\t")[0] for line in text.splitlines() if line.endswith("\tme")]


@pytest.mark.parametrize(
    ("engine", "mark", "rule"),
    [
        ("docker-29", "0xf247", "-m mark --mark 0xf247 -j ACCEPT"),
        ("docker-29", "2/3", "-m mark --mark 0x2/0x3 -j ACCEPT"),
        ("docker-29", "010/0b1111", "-m mark --mark 0x8/0xf -j ACCEPT"),
    ],
)
def test_marked_packets_are_accepted_before_all_else(
    tmp_path: Path, engine: str, mark: str, rule: str
) -> None:
    text = SERVICE % "" + NETWORK % BRIDGE + host(f"{{bridge-accept-fwmark: '{mark}'}}")
    made = plan(tmp_path, text, engine)
    assert rules(made, "filter", "DOCKER-FORWARD")[0] == rule
    assert rule not in rules(made, "filter", "DOCKER-FORWARD", 6)  # no network has IPv6


def test_the_one_rule_for_marks_goes_with_the_first_network_that_goes(tmp_path: Path) -> None:
    text = SERVICE % "" + NETWORK % BRIDGE
    text += (
        "x-netlab: {host: {daemon: {bridge-accept-fwmark: '1'}}, events: [remove web, remove network nw]}\n"
    )
    found = rules(plan(tmp_path, text, "docker-29"), "filter", "DOCKER-FORWARD")
    assert found
    assert "-m mark --mark 0x1 -j ACCEPT" not in found


@pytest.mark.parametrize(
    ("mark", "match"),
    [("62023", "meta mark 0x0000f247"), ("0x2/0x3", "meta mark & 0x00000003 == 0x00000002")],
)
def test_marks_with_nftables(tmp_path: Path, mark: str, match: str) -> None:
    text = SERVICE % "" + NETWORK % BRIDGE + host(f"{{bridge-accept-fwmark: '{mark}'}}")
    made = plan(tmp_path, text, "docker-29-nftables")
    (table,) = (t for t in made.node("host").rulesets if isinstance(t, NftTable) and t.family == "ip")
    into = next(c for c in table.chains if c.name == "filter-forward-in__br_nw")
    assert [rule.text for rule in into.rules][1] == f'{match} counter accept comment "ALLOW FW MARK"'


@pytest.mark.parametrize(
    ("engine", "daemon", "said"),
    [
        ("docker-28", "{bridge-accept-fwmark: '1'}", "bridge-accept-fwmark"),
        ("docker-29", "{bridge-accept-fwmark: 'x/1'}", "invalid firewall mark"),
        ("docker-29", "{bridge-accept-fwmark: '1/4294967296'}", "invalid firewall mask"),
        ("docker-28", "{host-gateway-ips: [198.51.100.1, 198.51.100.2]}", "only one IPv4 host gateway IP"),
        ("docker-26", "{host-gateway-ips: [198.51.100.1]}", "host-gateway-ips"),
        ("docker-24", "{experimental: true, ip6tables: true, iptables: false}", "EnableIPTable is disabled"),
        ("docker-26", "{experimental: true, ip6tables: true, iptables: false}", "EnableIPTable is disabled"),
    ],
)
def test_what_a_daemon_does_not_start_with(tmp_path: Path, engine: str, daemon: str, said: str) -> None:
    with pytest.raises(ScenarioError, match="refuses to start") as error:
        plan(tmp_path, SERVICE % "" + NETWORK % BRIDGE + host(daemon), engine)
    assert said in str(error.value)


def test_an_old_daemon_looks_into_an_object_that_it_does_not_know(tmp_path: Path) -> None:
    text = SERVICE % "" + NETWORK % BRIDGE
    known = host("{default-network-opts: {bridge: {com.docker.network.driver.mtu: '1400'}}}")
    bridge = next(i for i in plan(tmp_path, text + known, "docker-20.10").node("web").interfaces)
    assert bridge.mtu == 1500  # "bridge" is an option, so there is no complaint, and it says nothing
    bridge = next(i for i in plan(tmp_path, text + known, "docker-26").node("web").interfaces)
    assert bridge.mtu == 1400
    with pytest.raises(ScenarioError, match="option: other"):
        plan(tmp_path, text + host("{default-network-opts: {other: {a: b}}}"), "docker-20.10")


@pytest.mark.parametrize(
    ("engine", "daemon", "addresses"),
    [
        ("docker-20.10", "{}", ["172.17.0.1"]),
        ("docker-20.10", "{bridge: none}", ["<nil>"]),
        ("docker-26", "{ipv6: true, fixed-cidr-v6: 'fd00:17::/64'}", ["172.17.0.1"]),
        ("docker-26", "{host-gateway-ip: 198.51.100.1}", ["198.51.100.1"]),
        ("docker-28", "{ipv6: true, fixed-cidr-v6: 'fd00:17::/64'}", ["172.17.0.1", "fd00:17::1"]),
        (
            "docker-28",
            "{host-gateway-ips: [198.51.100.1, '2001:db8:1::1']}",
            ["198.51.100.1", "2001:db8:1::1"],
        ),
        ("docker-28", "{host-gateway-ip: 198.51.100.1}", ["::ffff:198.51.100.1"]),
    ],
)
def test_host_gateway(tmp_path: Path, engine: str, daemon: str, addresses: list[str]) -> None:
    text = SERVICE % ", extra_hosts: ['me:host-gateway']" + NETWORK % BRIDGE + host(daemon)
    assert hosts(plan(tmp_path, text, engine)) == addresses


@pytest.mark.parametrize(("engine", "daemon"), [("docker-19.03", "{}"), ("docker-28", "{bridge: none}")])
def test_host_gateway_that_nobody_can_tell(tmp_path: Path, engine: str, daemon: str) -> None:
    text = SERVICE % ", extra_hosts: ['me:host-gateway']" + NETWORK % BRIDGE + host(daemon)
    with pytest.raises(ScenarioError, match="host-gateway"):
        plan(tmp_path, text, engine)


def test_settings_of_an_interface_are_refused_from_28_on(tmp_path: Path) -> None:
    text = SERVICE % ", sysctls: {net.ipv4.conf.eth0.rp_filter: 2}" + NETWORK % BRIDGE
    plan(tmp_path, text, "docker-27")
    with pytest.raises(ScenarioError, match=r"com\.docker\.network\.endpoint\.sysctls"):
        plan(tmp_path, text, "docker-28")


def test_isolated_is_for_internal_networks(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="can only be used for an internal network"):
        plan(tmp_path, SERVICE % "" + NETWORK % f"{MODE}: isolated", "docker-28")


TWO = """
services: {app: {image: x, networks: %s, ports: ['80:80']}}
networks:
  four: {ipam: {config: [{subnet: 10.9.4.0/24}]}, driver_opts: {%s}}
  six: {enable_ipv4: false, enable_ipv6: true, ipam: {config: [{subnet: 'fd00:6::/64'}]}}
"""


def published(made: Plan) -> list[tuple[str, str]]:
    listeners = made.node("host").listeners
    return sorted((x.address, x.backend.address) for x in listeners if x.backend is not None)


def test_each_family_is_published_where_its_route_leads(tmp_path: Path) -> None:
    made = plan(tmp_path, TWO % ("[four, six]", BRIDGE), "docker-28")
    assert published(made) == [("0.0.0.0", "10.9.4.2"), ("::", "fd00:6::2")]
    alone = plan(tmp_path, TWO % ("[four]", BRIDGE), "docker-28")
    assert published(alone) == [("0.0.0.0", "10.9.4.2"), ("::", "10.9.4.2")]


def test_a_routed_network_stays_open_when_another_becomes_the_gateway(tmp_path: Path) -> None:
    text = """
services: {app: {image: x, networks: [open], ports: ['80:80']}}
networks:
  open: {ipam: {config: [{subnet: 10.9.1.0/24}]}, driver_opts: {%s, %s: routed}}
  front: {ipam: {config: [{subnet: 10.9.2.0/24}]}, driver_opts: {com.docker.network.bridge.name: br_front}}
x-netlab: {events: [connect app front]}
"""
    accepts = rules(plan(tmp_path, text % (BRIDGE, MODE), "docker-28"), "filter", "DOCKER")
    targets = [rule.split()[1] for rule in accepts if "--dport" in rule]
    assert targets == ["10.9.2.2/32", "10.9.1.2/32"]


def test_an_internal_network_inherits_the_proxies_but_not_the_rules_up_to_24(tmp_path: Path) -> None:
    text = """
services: {app: {image: x, networks: [inner, outer], ports: ['80:80']}}
networks:
  inner: {internal: true, ipam: {config: [{subnet: 10.9.1.0/24}]}}
  outer: {ipam: {config: [{subnet: 10.9.2.0/24}]}}
x-netlab: {events: [disconnect app outer%s]}
"""
    left = plan(tmp_path, text % "", "docker-24")
    assert published(left) == [("0.0.0.0", "10.9.1.2"), ("::", "10.9.1.2")]
    assert not [rule for rule in rules(left, "nat", "DOCKER") if "--dport" in rule]
    assert published(plan(tmp_path, text % "", "docker-26")) == []
    again = plan(tmp_path, text % ", connect app outer", "docker-24")
    assert published(again) == [("0.0.0.0", "10.9.2.2"), ("::", "10.9.2.2")]
    assert published(plan(tmp_path, text % ", restart app", "docker-24")) == []


@pytest.mark.parametrize(
    ("engine", "names_v6", "rules_v6"),
    [("docker-24", True, False), ("docker-27", False, True), ("docker-28", False, False)],
)
def test_ipv6_switched_off_in_a_container(
    tmp_path: Path, engine: str, names_v6: bool, rules_v6: bool
) -> None:
    text = """
services:
  web: {image: x, networks: [nw], ports: ['80:80'], sysctls: {net.ipv6.conf.all.disable_ipv6: 1}}
networks: {nw: {enable_ipv6: true, ipam: {config: [{subnet: 10.9.0.0/24}, {subnet: 'fd00:9::/64'}]}}}
"""
    made = plan(tmp_path, text, engine)
    web = made.node("web")
    assert [i.addresses for i in web.interfaces] == [("10.9.0.2/24",)]
    assert not any(route.via and ":" in route.via for route in web.routes)
    assert ("fd00:9::2" in (web.hosts_file or "")) is names_v6
    assert any("fd00:9::2" in rule for rule in rules(made, "nat", "DOCKER", 6)) is rules_v6


@pytest.mark.parametrize(("engine", "switch"), [("docker-26", []), ("docker-28", ["1"])])
def test_whether_a_service_s_own_settings_come_last(tmp_path: Path, engine: str, switch: list[str]) -> None:
    text = SERVICE % ", sysctls: {net.ipv6.conf.all.disable_ipv6: 0}" + NETWORK % BRIDGE
    web = plan(tmp_path, text, engine).node("web")
    assert [s.value for s in web.sysctls if s.key == "net.ipv6.conf.eth0.disable_ipv6"] == switch


def test_no_ipv6_below_its_smallest_mtu(tmp_path: Path) -> None:
    text = SERVICE % "" + NETWORK % f"{BRIDGE}, com.docker.network.driver.mtu: '1279'"
    made = plan(tmp_path, text, "docker-28")
    keys = [s.key for node in (made.node("host"), made.node("web")) for s in node.sysctls]
    assert not [key for key in keys if key.startswith(("net.ipv6.conf.br_nw", "net.ipv6.conf.eth0"))]
    assert any(key.startswith("net.ipv6.conf.docker0.") for key in keys)


def test_another_port_is_tried_where_the_daemon_may_choose(tmp_path: Path) -> None:
    text = """
services:
  web:
    image: x
    networks: [nw]
    ports: ['7000-7005:70', '127.0.0.1:7000-7005:71', '60', '80:80', '50:50/sctp', '50:50/udp']
networks: {nw: {}}
"""
    made = plan(tmp_path, text, "docker-28")
    found = [
        (x.protocol, x.port) for x in made.node("host").listeners if x.address.startswith(("0.", "127."))
    ]
    assert found == [("udp", 50), ("sctp", 50), ("tcp", 80), ("tcp", 32768), ("tcp", 7000), ("tcp", 7001)]
