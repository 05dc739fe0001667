"""Rootless Podman in a plan: what its containers have, what listens, and what is refused, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.lab.load import load_plan
from netlab.model.plan import Plan
from netlab.model.problem import ScenarioError

FILE = """
services:
  web: {{image: a, network_mode: {mode}, ports: [{ports}]}}
x-netlab:
  host: {{engine: {engine}, rootless: {rootless}, routes: [{routes}]{more}}}
"""
ROUTES = '"default via 198.51.100.2", "default via 2001:db8:1::2"'


def planned(
    folder: Path,
    mode: str = "pasta",
    ports: str = '"8080:80"',
    engine: str = "podman",
    routes: str = ROUTES,
    more: str = "",
    rootless: str = "true",
) -> Plan:
    file = folder / "netlab.yaml"
    file.write_text(
        FILE.format(mode=mode, ports=ports, engine=engine, routes=routes, more=more, rootless=rootless)
    )
    return load_plan([file])


def refused(folder: Path, **given: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        planned(folder, **given)
    return str(caught.value).removeprefix(f"{folder}/")


def test_pasta_gives_the_container_the_hosts_interface(tmp_path: Path) -> None:
    web = planned(tmp_path).node("web")
    (interface,) = web.interfaces
    assert (interface.name, interface.mtu) == ("ext0", 65520)
    assert interface.addresses == ("198.51.100.1/24", "2001:db8:1::1/64")
    assert [(route.destination, route.via) for route in web.routes] == [
        ("default", "198.51.100.2"),
        ("default", "2001:db8:1::2"),
    ]
    assert "169.254.1.2\thost.containers.internal host.docker.internal" in web.hosts_file
    assert "198.51.100.1\t" in web.hosts_file
    assert web.resolv_conf.startswith("nameserver 169.254.1.1\n")


def test_slirp4netns_has_a_network_of_its_own(tmp_path: Path) -> None:
    web = planned(tmp_path, mode="slirp4netns", engine="podman-4").node("web")
    (interface,) = web.interfaces
    assert interface.name == "tap0"
    assert interface.addresses[0] == "10.0.2.100/24"
    assert interface.addresses[1].startswith("fd00::")
    assert [route.via for route in web.routes] == ["10.0.2.2", "fe80::2"]
    assert "198.51.100.1\thost.containers.internal\n" in web.hosts_file
    assert "10.0.2.100\t" in web.hosts_file
    assert web.resolv_conf.startswith("nameserver 10.0.2.3\n")


@pytest.mark.parametrize(
    ("mode", "process", "backend", "backlog"),
    [("pasta", "pasta", "198.51.100.1", 128), ("slirp4netns", "rootlessport", "10.0.2.100", 4096)],
)
def test_one_socket_for_both_families(
    tmp_path: Path, mode: str, process: str, backend: str, backlog: int
) -> None:
    host = planned(tmp_path, mode=mode, ports='"8080:80", "127.0.0.1:8081:80"').node("host")
    shown = [(one.address, one.port, one.v6only, one.process, one.backlog) for one in host.listeners]
    assert shown == [("::", 8080, False, process, backlog), ("127.0.0.1", 8081, None, process, backlog)]
    assert {(one.inside, one.backend and one.backend.address) for one in host.listeners} == {("web", backend)}


def test_without_ipv6_pasta_listens_on_ipv4_alone(tmp_path: Path) -> None:
    plan = planned(tmp_path, routes='"default via 198.51.100.2"', more=", addresses: [198.51.100.1/24]")
    (listener,) = plan.node("host").listeners
    assert (listener.address, listener.v6only) == ("0.0.0.0", None)


def test_a_port_that_the_user_may_not_bind(tmp_path: Path) -> None:
    said = refused(tmp_path, ports='"80:80"')
    assert said.startswith("netlab.yaml:3:3: podman-5-nftables refuses: pasta: Failed to bind port 80 ")
    assert "(Permission denied) for option '-t 80-80:80-80'; publish a port from 1024 on" in said
    said = refused(tmp_path, ports='"53:53/udp"', mode="slirp4netns", engine="podman-4")
    assert "rootlessport cannot expose privileged port 53, you can add" in said
    assert "(currently 1024), or choose a larger port number (>= 1024): listen udp 0.0.0.0:53" in said


def test_the_host_says_which_ports_are_the_users(tmp_path: Path) -> None:
    more = ", sysctls: {net.ipv4.ip_unprivileged_port_start: 80}"
    assert planned(tmp_path, ports='"80:80"', more=more).publications[0].host_port == 80
    assert "publish a port from 80 on" in refused(tmp_path, ports='"79:80"', more=more)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mode": "host"}, "does not reproduce network_mode: host yet: write network_mode: pasta"),
        ({"mode": '"pasta:--map-gw"'}, "3:33: services.web: netlab does not reproduce options of pasta"),
        ({"engine": "docker-28"}, "netlab reproduces rootless Docker of docker-20.10 alone"),
        ({"engine": "podman-4"}, "unable to find network with name or ID pasta: network not found"),
        ({"rootless": "false"}, "pasta is a network of rootless Podman: write x-netlab.host.rootless: true"),
        ({"routes": '"default via 198.51.100.2"'}, "what it does with IPv6 without one"),
        ({"ports": '"[::]:8080:80"'}, "the host address [::]"),
        ({"ports": '"8080:80", "6000:81"', "more": ", listen: [6000]"}, "(Address already in use)"),
        ({"mode": "slirp4netns", "more": ", listen: [8080]"}, "rootlessport listen tcp :8080: bind: address"),
    ],
)
def test_what_is_refused(tmp_path: Path, given: dict[str, str], words: str) -> None:
    assert words in refused(tmp_path, **given)


NETWORKS = """
services:
  web: {{image: a, networks: [{networks}], ports: [{ports}]}}
{more}
networks: {{one: {{}}, two: {{}}}}
x-netlab:
  host: {{engine: {engine}, rootless: true, listen: [6000], routes: [{routes}]}}
"""


def on_networks(
    folder: Path,
    networks: str = "one",
    ports: str = '"8080:80"',
    more: str = "",
    engine: str = "podman",
    routes: str = ROUTES,
) -> Plan:
    file = folder / "netlab.yaml"
    file.write_text(NETWORKS.format(networks=networks, ports=ports, more=more, engine=engine, routes=routes))
    return load_plan([file])


@pytest.mark.parametrize(
    ("engine", "interface", "address", "host"),
    [
        ("podman-5-iptables", "ext0", "198.51.100.1/24", "169.254.1.2"),
        ("podman-4", "tap0", "10.0.2.100/24", "198.51.100.1"),
    ],
)
def test_networks_are_in_a_namespace_of_the_users(
    tmp_path: Path, engine: str, interface: str, address: str, host: str
) -> None:
    plan = on_networks(tmp_path, engine=engine)
    outer, inside, web = plan.node("host"), plan.node("host-rootless"), plan.node("web")
    own = inside.interfaces[0]
    assert (own.name, own.addresses[0]) == (interface, address)
    assert not outer.rulesets
    assert inside.rulesets
    assert outer.user_networks[0].node == inside.name == web.host
    assert [(one.process, one.address, one.port, one.inside) for one in outer.listeners] == [
        ("rootlessport", "::", 8080, "web")
    ]
    assert inside.listeners == ()
    assert [(one.host, one.host_address) for one in plan.publications] == [("host", "")]
    assert f"{host}\thost.containers.internal" in web.hosts_file


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ports": '"80:80"'}, "rootlessport cannot expose privileged port 80, you can add"),
        ({"ports": '"6000:80"'}, "rootlessport listen tcp :6000: bind: address already in use"),
        ({"networks": "one, two"}, "several networks of a rootless container yet"),
        ({"more": "  own: {image: a, network_mode: pasta}"}, "with containers on networks beside others yet"),
        ({"routes": '"default via 198.51.100.2"'}, "what it does with IPv6 without one"),
    ],
)
def test_what_is_refused_of_networks(tmp_path: Path, given: dict[str, str], words: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        on_networks(tmp_path, **given)
    assert words in str(caught.value)


def test_a_network_of_docker_may_be_called_pasta(tmp_path: Path) -> None:
    file = tmp_path / "netlab.yaml"
    file.write_text(
        "services: {web: {image: a, network_mode: pasta}}\nnetworks: {pasta: {external: true}}\n"
        "x-netlab: {host: {engine: docker-28}}\n"
    )
    assert load_plan([file]).node("web").interfaces[0].name == "eth0"
