"""containers.conf and compose: what they change of a plan, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.lab.load import load_plan
from netlab.model.plan import Plan
from netlab.model.problem import ScenarioError

FILE = """
services:
  web: {image: busybox, networks: [front], ports: ["80:80"]}
  bare: {image: busybox, network_mode: bridge}
networks: {front: {%s}}
x-netlab: {host: {%s}}
"""


def plan_of(folder: Path, host: str, network: str = "", engine: str | None = None) -> Plan:
    file = folder / "conf.yaml"
    file.write_text(FILE % (network, host))
    return load_plan([file], engine=engine)


def network(plan: Plan, key: str) -> tuple[str, ...]:
    return next(one.subnets for one in plan.networks if one.key == key)


def texts(plan: Plan) -> str:
    return str(plan.node("host").rulesets)


@pytest.mark.parametrize("driver", ["iptables", "nftables"])
def test_the_driver_makes_the_engine(driver: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, f"engine: podman, containers_conf: {{firewall_driver: {driver}}}")
    assert plan.engines == (f"podman-5-{driver}",)


def test_subnets_are_those_of_the_file(tmp_path: Path) -> None:
    pools = "[{base: 10.60.0.0/16, size: 26}]"
    conf = f"default_subnet: 10.77.0.0/20, default_subnet_pools: {pools}"
    plan = plan_of(tmp_path, f"engine: podman, containers_conf: {{{conf}}}")
    assert network(plan, "front") == ("10.60.0.0/26",)
    assert network(plan, "bridge") == ("10.77.0.0/20",)


@pytest.mark.parametrize(
    ("engine", "dnat"),
    [
        ("podman-4", "-p udp -m udp --dport 53 -j DNAT --to-destination 10.89.0.1:5300"),
        ("podman-5-iptables", "-p tcp -m tcp --dport 53 -j DNAT --to-destination 10.89.0.1:5300"),
        (
            "podman-5-nftables",
            "ip daddr 10.89.0.1 meta l4proto { tcp, udp } th dport 53 dnat ip to 10.89.0.1:5300",
        ),
    ],
)
def test_another_port_of_aardvark_dns_is_reached_by_dnat(engine: str, dnat: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, f"engine: {engine}, containers_conf: {{dns_bind_port: 5300}}")
    assert dnat in texts(plan)
    assert {(one.address, one.udp) for one in plan.resolvers} == {("10.89.0.1", 5300)}
    assert ("--dport 5300 -j ACCEPT" in texts(plan)) == (engine == "podman-5-iptables")
    plain = plan_of(tmp_path, f"engine: {engine}, containers_conf: {{dns_bind_port: 53}}")
    assert dnat not in texts(plain)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("engine: podman, containers_conf: {firewall_drivr: iptables}", 'did you mean "firewall_driver"'),
        ("engine: podman, containers_conf: {default_host_ips: [127.0.0.1]}", "default_host_ips"),
        ("engine: podman, containers_conf: {firewall_driver: none}", "netlab does not reproduce none"),
        ("engine: podman, containers_conf: {network_backend: cni}", "netlab does not reproduce cni"),
        ("engine: podman, containers_conf: {default_network: web}", 'another name than "podman"'),
        ("engine: podman, containers_conf: {default_subnet: 'fd00::/64'}", "is not an IPv4 subnet"),
        (
            "engine: podman, containers_conf: {default_subnet_pools: [{base: 10.0.0.0/24, size: 16}]}",
            "a /16 does not fit into 10.0.0.0/24",
        ),
        ("engine: podman-4, containers_conf: {firewall_driver: nftables}", "is not the driver of podman-4"),
        ("engine: podman-5-nftables, containers_conf: {firewall_driver: iptables}", "write engine: podman"),
        ("engine: docker-28, containers_conf: {dns_bind_port: 5300}", "only Podman reads it"),
        ("engine: docker-28, compose: podman-compose", "podman-compose is Podman's"),
        ("engine: podman, compose: docker", "docker-compose"),
    ],
)
def test_what_is_refused(host: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=words) as raised:
        plan_of(tmp_path, host)
    assert ":6:" in str(raised.value)


def test_an_engine_of_the_command_line_comes_first(tmp_path: Path) -> None:
    host = "engine: podman, containers_conf: {firewall_driver: iptables}, compose: podman-compose"
    assert plan_of(tmp_path, host, engine="podman-5-nftables").engines == ("podman-5-nftables",)
    assert plan_of(tmp_path, host, engine="docker-28").engines == ("docker-28",)


def test_docker_compose_isolates_networks_and_writes_hyphens(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "engine: podman-5-iptables, compose: docker-compose")
    assert plan.node("web").container == f"{plan.project}-web-1"
    assert "-i podman1 ! -o podman1 -j NETAVARK_ISOLATION_2" in texts(plan)
    plain = plan_of(tmp_path, "engine: podman-5-iptables, compose: podman-compose")
    assert plain.node("web").container == f"{plan.project}_web_1"
    assert "-i podman1" not in texts(plain)


def test_docker_compose_with_options_of_the_network(tmp_path: Path) -> None:
    host = "engine: podman-4, compose: docker-compose"
    opts = "driver_opts: {com.docker.network.driver.mtu: '1400', com.docker.network.bridge.name: br9}"
    plan = plan_of(tmp_path, host, opts)
    assert [(one.name, one.mtu) for one in plan.node("host").interfaces if one.name == "br9"] == [
        ("br9", 1400)
    ]
    with pytest.raises(ScenarioError, match='ignores the network option "isolate"'):
        plan_of(tmp_path, host, "driver_opts: {isolate: strict}")


def test_a_stopped_container_keeps_its_address_in_its_hosts_file(tmp_path: Path) -> None:
    file = tmp_path / "stop.yaml"
    text = (FILE % ("", "engine: podman")).replace("x-netlab: {", "x-netlab: {events: [stop web], ")
    file.write_text(text)
    assert "10.89.0.2\t" in load_plan([file]).node("web").hosts_file
