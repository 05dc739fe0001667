"""Versions of Docker: which behaviours and options each has, and what becomes of options that it has not."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
from support.plans import rules

from netlab import engine
from netlab.engine.docker import endpoint_options, options
from netlab.engine.docker.behaviour import OLDEST, Behaviour, changes, during
from netlab.engine.docker.option import DriverOption
from netlab.engine.docker.traits import Traits
from netlab.model.plan import Plan
from netlab.model.problem import ScenarioError
from netlab.model.rules import NftTable
from netlab.model.version import ENGINE_PATTERN, GENERATIONS, STILL, Span, Version, engine_version
from netlab.plan import make
from netlab.scenario import Overrides, load
from netlab.scenario.daemon import KEYS

ENGINE = Path(inspect.getfile(engine)).parent
OPTION = "com.docker.network."


def plan(folder: Path, text: str, engine_name: str) -> Plan:
    file = folder / "shop.yaml"
    file.write_text(text)
    return make(load([file], project_name="shop", overrides=Overrides(engine=engine_name)))


def network(
    opts: str = "", more: str = "", subnets: str = "{subnet: 10.9.0.0/24}", service: str = "{}"
) -> str:
    options = f"{{{OPTION}bridge.name: br_nw, {opts}}}"
    return (
        f"services: {{web: {{image: x, networks: {{nw: {service}}}, ports: ['80:80']}}}}\n"
        f"networks: {{nw: {{ipam: {{config: [{subnets}]}}, driver_opts: {options}, "
        f"{more}}}}}\n"
    )


def notes(made: Plan) -> list[str]:
    return [note.text for note in made.notes]


# -- what can be written down


def test_an_option_cannot_be_written_down_without_its_versions() -> None:
    parameters = inspect.signature(DriverOption).parameters
    assert [p.default for p in parameters.values()] == [inspect.Parameter.empty] * 3
    parameters = inspect.signature(Span).parameters
    assert [p.default for p in parameters.values()] == [inspect.Parameter.empty] * 2
    with pytest.raises(ValueError, match="comes after"):
        Span("28.2", "28.1")


def test_no_option_is_read_but_by_its_declaration() -> None:
    """Every name of an option in the engines is the key of a declaration, which holds its versions."""
    declared = {*options.KNOWN, *endpoint_options.KNOWN}
    found = set()
    for path in ENGINE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= {node.value} if node.value.startswith(OPTION) and " " not in node.value else set()
    assert found <= {OPTION, f"{OPTION}endpoint."}
    assert all(key.startswith(OPTION) for key in declared)
    assert len(declared) >= 18


@pytest.mark.parametrize("name", sorted(options.KNOWN | endpoint_options.KNOWN))
def test_every_option_says_how_its_versions_are_known(name: str) -> None:
    option = (options.KNOWN | endpoint_options.KNOWN)[name]
    assert option.source
    assert Version.parse(option.span.first) >= Version.parse(OLDEST)


def test_every_key_of_daemon_json_has_its_versions() -> None:
    assert all(isinstance(key.span, Span) for key in KEYS.values())
    assert len(KEYS) > 90


def test_every_behaviour_has_its_versions_and_a_source() -> None:
    found = {name: value for name, value in vars(Traits).items() if isinstance(value, Behaviour)}
    assert len(found) > 50
    for name, behaviour in found.items():
        assert behaviour.source, name
        assert behaviour.steps[0][0] == Version.parse(OLDEST), name
        assert len(behaviour.steps) > 1, f"{name} is no difference"


def test_steps_must_rise() -> None:
    with pytest.raises(ValueError, match=r"rise from 19\.03"):
        changes("", {"20.10": 1, "28": 2})
    with pytest.raises(ValueError, match="rise"):
        changes("", {OLDEST: 1, "28": 2, "27": 3})
    kept = during("28", "28.1", "")
    values = {text: kept.at(Version.parse(text)) for text in ("27.5.1", "28.0.0", "28.1.9", "28.2.0")}
    assert values == {"27.5.1": False, "28.0.0": True, "28.1.9": True, "28.2.0": False}
    assert during("28", STILL, "").at(Version.parse("29.7.2"))


# -- names


@pytest.mark.parametrize(
    ("name", "version", "generation"),
    [
        ("docker", "29.7.2", "docker-29"),
        ("docker-23", "23.0.18", "docker-23"),
        ("docker-25", "25.0.6", "docker-25"),
        ("docker-28.0", "28.0.4", "docker-28.0"),
        ("docker-28.1.1", "28.1.1", "docker-28.0"),
        ("docker-28.2.0", "28.2.0", "docker-28"),
        ("docker-19.03.5", "19.03.5", "docker-19.03"),
        ("docker-29.3.0-nftables", "29.3.0", "docker-29"),
    ],
)
def test_names_of_engines(name: str, version: str, generation: str) -> None:
    found = engine_version(name)
    assert (str(found.version), found.generation.name) == (version, generation)
    assert engine.get(name).name == found.name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("docker-28.9.0", "netlab knows Docker 19.03"),
        ("docker-30.0.0", "netlab knows"),
        ("docker-21.0.1", "netlab knows"),
        ("docker-28-nftables", "one of Docker 29 and later"),
        ("docker-28.1", "did you mean"),
        ("dokcer-29", "did you mean"),
        ("podman", "it is docker, docker-19.03"),
    ],
)
def test_names_that_are_no_engine_s(name: str, said: str) -> None:
    import re

    assert re.search(ENGINE_PATTERN, name) is None
    with pytest.raises(ValueError, match=re.escape(said)):
        engine_version(name)


def test_a_generation_is_its_newest_version() -> None:
    for generation in GENERATIONS:
        one = Traits(engine_version(generation.name))
        other = Traits(engine_version(f"docker-{generation.newest}"))
        for name, value in vars(Traits).items():
            if isinstance(value, Behaviour):
                assert getattr(one, name) == getattr(other, name), name


def test_a_version_that_was_not_measured_says_so(tmp_path: Path) -> None:
    (said,) = notes(plan(tmp_path, network(), "docker-28.0.3"))
    assert said.startswith("Docker 28.0.3 itself was not measured")
    assert said.endswith("is otherwise as 28.0.1 and 28.1.1")
    for measured in ("docker-28.1.1", "docker-28.0.0", "docker-28", "docker-26.1.5"):
        assert notes(plan(tmp_path, network(), measured)) == []


# -- options of a network


@pytest.mark.parametrize(
    ("engine_name", "option", "effect"),
    [
        ("docker-19.03", "host_ipv4: 198.51.100.1", False),
        ("docker-20.10", "host_ipv4: 198.51.100.1", True),
        ("docker-19.03", "bridge.inhibit_ipv4: 'true'", False),
        ("docker-20.10", "bridge.inhibit_ipv4: 'true'", True),
        ("docker-26", "bridge.gateway_mode_ipv4: routed", False),
        ("docker-27", "bridge.gateway_mode_ipv4: routed", True),
        ("docker-28.1.1", "bridge.trusted_host_interfaces: ext0", False),
        ("docker-28.2.0", "bridge.trusted_host_interfaces: ext0", True),
    ],
)
def test_an_option_works_from_its_first_version_on(
    tmp_path: Path, engine_name: str, option: str, effect: bool
) -> None:
    """Measured of 20.10.24, 26.1.5 and 28.5.2; of 27.5.1 and 28.1.1 in their captures."""
    host = "x-netlab: {host: {daemon: {userland-proxy: false}}}\n" if "mode" in option else ""
    port = network(f"{OPTION}{option}") + host
    text = port.replace("'80:80'", "'80'") if "mode" in option else port
    with_it, without = plan(tmp_path, text, engine_name), plan(tmp_path, network() + host, engine_name)
    if "mode" in option:
        without = plan(tmp_path, network().replace("'80:80'", "'80'") + host, engine_name)
    assert (with_it.nodes != without.nodes) is effect
    key = OPTION + option.partition(":")[0]
    ignored = [note for note in notes(with_it) if key in note and "ignores it" in note]
    assert bool(ignored) is not effect
    assert all(str(note.position).endswith("shop.yaml:2:12") for note in with_it.notes if key in note.text)


SIX = "{subnet: 10.9.0.0/24}, {subnet: 'fd00:9::/64'}"
IP6TABLES = "x-netlab: {host: {daemon: {experimental: true, ip6tables: true}}}\n"


@pytest.mark.parametrize(
    ("engine_name", "snat"), [("docker-24", False), ("docker-25", True), ("docker-28", True)]
)
def test_host_ipv6_came_with_25(tmp_path: Path, engine_name: str, snat: bool) -> None:
    text = network(f"{OPTION}host_ipv6: '2001:db8:1::1'", "enable_ipv6: true", SIX) + IP6TABLES
    made = plan(tmp_path, text, engine_name)
    target = "SNAT --to-source 2001:db8:1::1" if snat else "MASQUERADE"
    assert f"-s fd00:9::/64 ! -o br_nw -j {target}" in rules(made, "nat", "POSTROUTING", 6)


@pytest.mark.parametrize("engine_name", ["docker-20.10", "docker-24"])
def test_host_ipv4_is_written_into_ipv6_rules_up_to_24(tmp_path: Path, engine_name: str) -> None:
    text = network(f"{OPTION}host_ipv4: 198.51.100.1", "enable_ipv6: true", SIX)
    with pytest.raises(ScenarioError, match=r'Bad IP address "198\.51\.100\.1"'):
        plan(tmp_path, text + IP6TABLES, engine_name)
    plan(tmp_path, text, engine_name)
    plan(tmp_path, text + IP6TABLES, "docker-25")


@pytest.mark.parametrize(
    ("engine_name", "option", "said"),
    [
        (
            "docker-28",
            "bridge.enable_icc: ''",
            'enable_icc value:  (strconv.ParseBool: parsing "": invalid syntax)',
        ),
        (
            "docker-28",
            "driver.mtu: big",
            'driver.mtu value: big (strconv.Atoi: parsing "big": invalid syntax)',
        ),
        ("docker-20.10", "host_ipv4: x", "failed to parse com.docker.network.host_ipv4 value: x (nil ip)"),
        ("docker-26", "host_ipv6: x", "failed to parse com.docker.network.host_ipv6 value: x (nil ip)"),
        ("docker-28", "bridge.gateway_mode_ipv4: x", "gateway_mode_ipv4 value: x (unknown gateway mode x)"),
        ("docker-28", "bridge.gateway_mode_ipv4: ''", "gateway_mode_ipv4 value:  (unknown gateway mode )"),
        ("docker-28", "advertise_addr_nmsgs: '5'", "advertise_addr_nmsgs must be in the range 0 to 3"),
        ("docker-28", "advertise_addr_nmsgs: x", 'advertise_addr_nmsgs "x" must be an integer'),
        ("docker-28", "advertise_addr_ms: '50'", "advertise_addr_ms must be in the range 100 to 2000"),
        (
            "docker-20.10",
            "enable_ipv6: maybe",
            'enable_ipv6 value: maybe (strconv.ParseBool: parsing "maybe"',
        ),
        (
            "docker-28",
            "enable_ipv6: maybe",
            'driver-opt "com.docker.network.enable_ipv6" is not a valid bool',
        ),
        (
            "docker-28",
            "enable_ipv4: maybe",
            'driver-opt "com.docker.network.enable_ipv4" is not a valid bool',
        ),
    ],
)
def test_what_a_daemon_refuses_of_an_option_s_value(
    tmp_path: Path, engine_name: str, option: str, said: str
) -> None:
    """The words are those of the real daemons of 20.10.24, 26.1.5 and 28.5.2."""
    with pytest.raises(ScenarioError) as error:
        plan(tmp_path, network(OPTION + option), engine_name)
    assert said in str(error.value)
    assert str(error.value).startswith(f"{tmp_path}/shop.yaml:2:12: ")


@pytest.mark.parametrize(
    ("engine_name", "option"),
    [
        ("docker-20.10", "host_ipv6: x"),
        ("docker-26", "bridge.gateway_mode_ipv4: x"),
        ("docker-26", "advertise_addr_nmsgs: '5'"),
        ("docker-26", "enable_ipv4: maybe"),
        ("docker-28", "bridge.nosuch: x"),
    ],
)
def test_what_a_daemon_does_not_read_it_does_not_refuse(
    tmp_path: Path, engine_name: str, option: str
) -> None:
    (said,) = notes(plan(tmp_path, network(OPTION + option), engine_name))
    assert said.startswith("networks.nw: ")
    assert "ignores it" in said


def test_a_misspelt_option_gets_a_suggestion(tmp_path: Path) -> None:
    (said,) = notes(plan(tmp_path, network(f"{OPTION}bridge.enable_ic: 'false'"), "docker-28"))
    assert said.endswith(f'(did you mean "{OPTION}bridge.enable_icc"?)')


@pytest.mark.parametrize(
    ("engine_name", "has"), [("docker-26", False), ("docker-27", True), ("docker-28", True)]
)
def test_ipv6_by_an_option_of_the_driver(tmp_path: Path, engine_name: str, has: bool) -> None:
    made = plan(tmp_path, network(f"{OPTION}enable_ipv6: 'true'", "", SIX), engine_name)
    subnets = next(found.subnets for found in made.networks if found.key == "nw")
    assert ("fd00:9::/64" in subnets) is has
    defaults = f"{{bridge: {{{OPTION}enable_ipv6: 'true'}}}}"
    daemon = f"x-netlab: {{host: {{daemon: {{default-network-opts: {defaults}}}}}}}\n"
    by_default = plan(tmp_path, network("", "", SIX) + daemon, engine_name)
    assert ("fd00:9::/64" in next(found.subnets for found in by_default.networks if found.key == "nw")) is has


def test_what_the_network_says_itself_goes_before_the_option(tmp_path: Path) -> None:
    made = plan(tmp_path, network(f"{OPTION}enable_ipv6: 'true'", "enable_ipv6: false"), "docker-28")
    assert next(found.subnets for found in made.networks if found.key == "nw") == ("10.9.0.0/24",)
    (said,) = notes(made)
    assert "has no effect: the network itself says no" in said


# -- options of an endpoint


def test_names_of_interfaces_came_with_28(tmp_path: Path) -> None:
    text = network(service=f"{{driver_opts: {{{OPTION}endpoint.ifname: lan0}}}}")
    old = plan(tmp_path, text, "docker-26")
    assert [i.name for i in old.node("web").interfaces] == ["eth0"]
    (said,) = notes(old)
    assert said.startswith("services.web: ")
    assert "28 and later; Docker 26.1.5 ignores it" in said
    assert [i.name for i in plan(tmp_path, text, "docker-28.0.0").node("web").interfaces] == ["lan0"]
    compose = network(service="{interface_name: lan0}")
    assert [i.name for i in plan(tmp_path, compose, "docker-28.1.0").node("web").interfaces] == ["lan0"]
    with pytest.raises(ScenarioError, match=r"requires Docker Engine v28\.1 or later"):
        plan(tmp_path, compose, "docker-28.0.4")


TWO = """
services: {web: {image: x, networks: {a: {}, b: {gw_priority: 1}}}}
networks: {a: {ipam: {config: [{subnet: 10.9.1.0/24}]}}, b: {ipam: {config: [{subnet: 10.9.2.0/24}]}}}
"""


def test_gateway_priorities_came_with_28(tmp_path: Path) -> None:
    def gateway(name: str) -> str | None:
        made = plan(tmp_path, TWO, name)
        (route,) = made.node("web").routes
        return route.via

    assert gateway("docker-26") == "10.9.1.1"
    assert gateway("docker-28") == "10.9.2.1"
    assert any("gw_priority" in text for text in notes(plan(tmp_path, TWO, "docker-26")))


@pytest.mark.parametrize(
    ("engine_name", "gateways"),
    [("docker-28", ["10.9.2.1", "fd00:9:2::1"]), ("docker-29.4.1", ["10.9.1.1", "fd00:9:2::1"])],
)
def test_a_priority_counts_for_each_family_from_29_4_1_on(
    tmp_path: Path, engine_name: str, gateways: list[str]
) -> None:
    """28.5.2: a network with both families has both routes, whatever the priority of another (moby#51999)."""
    text = """
services: {web: {image: x, networks: {four: {gw_priority: 5}, both: {}}}}
networks:
  four: {ipam: {config: [{subnet: 10.9.1.0/24}]}}
  both: {enable_ipv6: true, ipam: {config: [{subnet: 10.9.2.0/24}, {subnet: 'fd00:9:2::/64'}]}}
"""
    assert [route.via for route in plan(tmp_path, text, engine_name).node("web").routes] == gateways


@pytest.mark.parametrize(
    ("engine_name", "effect"), [("docker-26", False), ("docker-27", True), ("docker-28", True)]
)
def test_settings_of_an_interface_are_an_option_of_its_endpoint(
    tmp_path: Path, engine_name: str, effect: bool
) -> None:
    wish = f"{{driver_opts: {{{OPTION}endpoint.sysctls: 'net.ipv4.conf.IFNAME.log_martians=1'}}}}"
    made = plan(tmp_path, network(service=wish), engine_name)
    written = [s for s in made.node("web").sysctls if s.key == "net.ipv4.conf.eth0.log_martians"]
    assert [s.value for s in written] == ["1"] * effect
    assert bool(notes(made)) is not effect


@pytest.mark.parametrize("value", ["net.ipv4.conf.eth0.log_martians=1", "net.ipv4.ip_forward=0", "foo"])
def test_settings_of_no_interface_are_refused(tmp_path: Path, value: str) -> None:
    wish = f"{{driver_opts: {{{OPTION}endpoint.sysctls: '{value}'}}}}"
    with pytest.raises(ScenarioError, match=f"unrecognised network interface sysctl '{value}'"):
        plan(tmp_path, network(service=wish), "docker-28")


def test_names_that_the_kernel_refuses(tmp_path: Path) -> None:
    wish = f"{{driver_opts: {{{OPTION}endpoint.ifname: foo012345678901234}}}}"
    with pytest.raises(ScenarioError, match=r'to "foo012345678901234": numerical result out of range'):
        plan(tmp_path, network(service=wish), "docker-28")


# -- daemon.json


@pytest.mark.parametrize(
    ("engine_name", "key", "starts"),
    [
        ("docker-28.1.1", "allow-direct-routing: true", False),
        ("docker-28.2.0", "allow-direct-routing: true", True),
        ("docker-20.10", "graph: /var", True),
        ("docker-23", "graph: /var", False),
        ("docker-24", "oom-score-adjust: 1", True),
        ("docker-26", "oom-score-adjust: 1", False),
        ("docker-20.10", "http-proxy: x", False),
        ("docker-23", "http-proxy: x", True),
        ("docker-24", "log-format: text", False),
        ("docker-26", "log-format: text", True),
        ("docker-26", "api-cors-header: x", True),
        ("docker-28", "cgroup-parent: x", True),
        ("docker-29.6.0", "default-stop-timeout: 5", False),
        ("docker-29.7.0", "default-stop-timeout: 5", True),
        ("docker-20.10", "network-diagnostic-port: 4321", True),
        ("docker-20.10", "proxies: {http-proxy: x}", False),
        ("docker-26", "proxies: {http-proxy: x}", True),
    ],
)
def test_keys_have_their_versions(tmp_path: Path, engine_name: str, key: str, starts: bool) -> None:
    """20.10.24, 26.1.5 and 28.5.2 were started with each."""
    text = network() + f"x-netlab: {{host: {{daemon: {{{key}}}}}}}\n"
    if starts:
        plan(tmp_path, text, engine_name)
        return
    with pytest.raises(ScenarioError, match="don't match any configuration option"):
        plan(tmp_path, text, engine_name)


def test_a_key_that_28_removed(tmp_path: Path) -> None:
    text = network() + "x-netlab: {host: {daemon: {api-cors-header: '*'}}}\n"
    with pytest.raises(ScenarioError, match="have been removed; use a reverse proxy"):
        plan(tmp_path, text, "docker-28")


@pytest.mark.parametrize(("key", "meant"), [("host: x", "hosts"), ("dns-opt: [x]", "dns-opts")])
def test_a_flag_s_name_is_taken_and_ignored(tmp_path: Path, key: str, meant: str) -> None:
    made = plan(tmp_path, network() + f"x-netlab: {{host: {{daemon: {{{key}}}}}}}\n", "docker-28")
    assert notes(made) == [f"{key.partition(':')[0]} is ignored by dockerd, whose key is {meant}"]


def test_an_object_that_is_not_known_is_ignored_with_a_word(tmp_path: Path) -> None:
    opts = f"{{bridge: {{{OPTION}driver.mtu: '1400'}}}}"
    made = plan(
        tmp_path,
        network() + f"x-netlab: {{host: {{daemon: {{default-network-opts: {opts}}}}}}}\n",
        "docker-23",
    )
    (said,) = notes(made)
    assert said.startswith("dockerd 23.0.18 does not know default-network-opts, a key of Docker 24 and later")


@pytest.mark.parametrize("engine_name", engine.NAMES)
def test_a_default_bridge_that_is_not_there(tmp_path: Path, engine_name: str) -> None:
    text = network() + "x-netlab: {host: {daemon: {bridge: nosuch}}}\n"
    with pytest.raises(ScenarioError, match="name nosuch must be created manually"):
        plan(tmp_path, text, engine_name)


# -- subnets, addresses, ports


def test_a_subnet_of_a_size(tmp_path: Path) -> None:
    text = network(subnets="{subnet: 0.0.0.0/26}")
    made = plan(tmp_path, text, "docker-29.0.0")
    assert next(found.subnets for found in made.networks if found.key == "nw") == ("172.18.0.0/26",)
    with pytest.raises(ScenarioError, match=r"no gateway can have an address of 0\.0\.0\.0/8"):
        plan(tmp_path, text, "docker-28")  # takes it as it is


def test_a_static_address_on_a_subnet_of_the_pools(tmp_path: Path) -> None:
    text = network(subnets="", service="{ipv4_address: 172.18.0.77}")
    assert plan(tmp_path, text, "docker-29.0.4").node("web").interfaces[0].addresses == ("172.18.0.77/16",)
    with pytest.raises(ScenarioError, match="a static address needs a subnet"):
        plan(tmp_path, text, "docker-29.0.3")
    with pytest.raises(ScenarioError, match="does not belong to any of this network's subnets"):
        plan(tmp_path, text.replace("172.18.0.77", "10.0.0.7"), "docker-29.0.4")


@pytest.mark.parametrize(
    ("engine_name", "address"), [("docker-26", "10.9.0.2/24"), ("docker-28", "10.9.0.1/24")]
)
def test_an_internal_network_without_a_bridge_s_address_keeps_none(
    tmp_path: Path, engine_name: str, address: str
) -> None:
    made = plan(tmp_path, network(f"{OPTION}bridge.inhibit_ipv4: 'true'", "internal: true"), engine_name)
    assert made.node("web").interfaces[0].addresses == (address,)
    gateway = network(
        f"{OPTION}bridge.inhibit_ipv4: 'true'", "internal: true", "{subnet: 10.9.0.0/24, gateway: 10.9.0.1}"
    )
    assert plan(tmp_path, gateway, engine_name).node("web").interfaces[0].addresses == ("10.9.0.2/24",)


@pytest.mark.parametrize(("engine_name", "port"), [("docker-29.5.1", 40000), ("docker-29.6.0", 40002)])
def test_reserved_ports_are_spared_from_29_6_on(tmp_path: Path, engine_name: str, port: int) -> None:
    sysctls = "{net.ipv4.ip_local_port_range: 40000 40010, net.ipv4.ip_local_reserved_ports: '40000-40001'}"
    text = network().replace("'80:80'", "'80'") + f"x-netlab: {{host: {{sysctls: {sysctls}}}}}\n"
    assert {listener.port for listener in plan(tmp_path, text, engine_name).node("host").listeners} == {port}


def test_one_port_on_the_addresses_of_two_networks(tmp_path: Path) -> None:
    text = f"""
services:
  a: {{image: x, networks: [one], ports: ['80:80']}}
  b: {{image: x, networks: [two], ports: ['80:80']}}
networks:
  one: {{driver_opts: {{{OPTION}bridge.host_binding_ipv4: 127.0.0.1}}}}
  two: {{driver_opts: {{{OPTION}bridge.host_binding_ipv4: 198.51.100.1}}}}
"""
    made = plan(tmp_path, text, "docker-28")
    assert sorted(listener.address for listener in made.node("host").listeners) == [
        "127.0.0.1",
        "198.51.100.1",
    ]
    with pytest.raises(ScenarioError, match="is published by"):
        plan(tmp_path, text.replace("198.51.100.1", "127.0.0.1"), "docker-28")


# -- rules


ROUTED = f"""
services: {{web: {{image: x, networks: [nat, rou], ports: ['80:80']}}}}
networks:
  nat: {{ipam: {{config: [{{subnet: 10.9.1.0/24}}]}}, driver_opts: {{{OPTION}bridge.name: br_n}}}}
  rou:
    ipam: {{config: [{{subnet: 10.9.2.0/24}}]}}
    driver_opts: {{{OPTION}bridge.name: br_r, {OPTION}bridge.gateway_mode_ipv4: routed}}
"""


@pytest.mark.parametrize(("engine_name", "is_open"), [("docker-28", False), ("docker-29.0.0", True)])
def test_a_routed_network_is_open_whatever_the_gateway_from_29_on(
    tmp_path: Path, engine_name: str, is_open: bool
) -> None:
    rule = "-d 10.9.2.2/32 ! -i br_r -o br_r -p tcp -m tcp --dport 80 -j ACCEPT"
    assert (rule in rules(plan(tmp_path, ROUTED, engine_name), "filter", "DOCKER")) is is_open


def test_so_it_is_with_nftables(tmp_path: Path) -> None:
    made = plan(tmp_path, ROUTED, "docker-29-nftables")
    (table,) = (t for t in made.node("host").rulesets if isinstance(t, NftTable) and t.family == "ip")
    (into,) = (chain for chain in table.chains if chain.name == "filter-forward-in__br_r")
    assert "ip daddr 10.9.2.2 tcp dport 80 counter accept" in [rule.text for rule in into.rules]


@pytest.mark.parametrize("engine_name", engine.NAMES)
def test_no_generation_accepts_neighbour_discovery(tmp_path: Path, engine_name: str) -> None:
    """Measured with 25.0.6, 26.1.5, 28.0.1, 28.5.2, 29.0.0 and 29.7.2."""
    text = network(f"{OPTION}bridge.enable_icc: 'false'", "enable_ipv6: true", SIX)
    if engine_name in ("docker-20.10", "docker-23", "docker-24", "docker-25", "docker-26"):
        text += IP6TABLES
    made = plan(tmp_path, text, engine_name)
    for table in ("filter", "nat"):
        for chain in ("FORWARD", "DOCKER", "DOCKER-FORWARD"):
            assert not [rule for rule in rules(made, table, chain, 6) if "icmpv6" in rule]


@pytest.mark.parametrize(
    ("engine_name", "daemon", "skips"),
    [
        ("docker-28.0.1", "{userland-proxy: false}", True),
        ("docker-28.0.2", "{userland-proxy: false}", False),
        ("docker-28.0.2", "{}", True),
    ],
)
def test_a_routed_network_s_packets_to_published_ports(
    tmp_path: Path, engine_name: str, daemon: str, skips: bool
) -> None:
    text = ROUTED + f"x-netlab: {{host: {{daemon: {daemon}}}}}\n"
    assert ("-i br_r -j RETURN" in rules(plan(tmp_path, text, engine_name), "nat", "DOCKER")) is skips


@pytest.mark.parametrize(("engine_name", "returns"), [("docker-28.2.1", True), ("docker-28.2.2", False)])
def test_the_administrator_s_chain_returns_up_to_28_2_1(
    tmp_path: Path, engine_name: str, returns: bool
) -> None:
    for family in (4, 6):
        found = rules(plan(tmp_path, network(), engine_name), "filter", "DOCKER-USER", family)
        assert found == ["-j RETURN"] * returns


RAW = "environment: {DOCKER_INSECURE_NO_IPTABLES_RAW: '1'}"


@pytest.mark.parametrize(
    ("engine_name", "written"), [("docker-28.0.1", True), ("docker-28.0.2", False), ("docker-29", False)]
)
def test_without_a_raw_table(tmp_path: Path, engine_name: str, written: bool) -> None:
    text = network().replace("'80:80'", "'127.0.0.1:80:80'") + f"x-netlab: {{host: {{{RAW}}}}}\n"
    assert bool(rules(plan(tmp_path, text, engine_name), "raw", "PREROUTING")) is written


MIRRORED = "x-netlab: {host: {wsl2: mirrored%s}}\n"
TO_LOOPBACK = "-d 127.0.0.0/8 -i loopback0 -j RETURN"


@pytest.mark.parametrize(
    ("engine_name", "written"), [("docker-27.2.1", False), ("docker-27.3.0", True), ("docker-29", True)]
)
def test_wsl2_s_mirrored_mode(tmp_path: Path, engine_name: str, written: bool) -> None:
    """iptabler/testdata/TestIptabler_…,bindlh=true,wsl2mirrored=true__iptables.golden of 28.2."""
    text = network().replace("'80:80'", "'127.0.0.1:8080:80'") + MIRRORED
    made = plan(tmp_path, text % "", engine_name)
    assert (TO_LOOPBACK in rules(made, "nat", "DOCKER")) is written
    assert "loopback0" in [interface.name for interface in made.node("host").interfaces]
    without_proxy = plan(tmp_path, text % ", daemon: {userland-proxy: false}", engine_name)
    assert TO_LOOPBACK not in rules(without_proxy, "nat", "DOCKER")
    if engine_name == "docker-29":
        raw = rules(made, "raw", "PREROUTING")
        assert raw == [
            "-d 10.9.0.2/32 ! -i br_nw -j DROP",
            "-d 127.0.0.1/32 -i loopback0 -p tcp -m tcp --dport 8080 -j ACCEPT",
            "-d 127.0.0.1/32 ! -i lo -p tcp -m tcp --dport 8080 -j DROP",
        ]


def test_wsl2_s_mirrored_mode_with_nftables(tmp_path: Path) -> None:
    text = network().replace("'80:80'", "'127.0.0.1:8080:80'") + MIRRORED % ""
    made = plan(tmp_path, text, "docker-29-nftables")
    (table,) = (t for t in made.node("host").rulesets if isinstance(t, NftTable) and t.family == "ip")
    texts = {chain.name: [rule.text for rule in chain.rules] for chain in table.chains}
    assert texts["nat-prerouting-and-output"][0] == 'iifname "loopback0" ip daddr 127.0.0.0/8 counter return'
    accept = (
        'iifname "loopback0" ip daddr 127.0.0.1 tcp dport 8080 counter accept comment "ACCEPT WSL2 LOOPBACK"'
    )
    assert texts["raw-PREROUTING"][1] == accept


# -- what is left to chance


def chances(made: Plan) -> list[str]:
    return [note.text for note in made.notes if note.by_chance]


@pytest.mark.parametrize(
    ("engine_name", "networks", "some"),
    [("docker-24", 2, ""), ("docker-24", 3, "all but the first of"), ("docker-25", 2, "all of")],
)
def test_the_order_of_networks_is_left_to_chance(
    tmp_path: Path, engine_name: str, networks: int, some: str
) -> None:
    keys = "abc"[:networks]
    made = ", ".join(f"{key}: {{}}" for key in keys)
    text = f"services: {{web: {{image: x, networks: {{{made}}}}}}}\nnetworks: {{{made}}}\n"
    assert [some in said for said in chances(plan(tmp_path, text, engine_name))] == [True] * bool(some)


def test_networks_are_restored_by_random_ids(tmp_path: Path) -> None:
    text = TWO + "x-netlab: {events: [restart daemon]}\n"
    assert any("restores its networks" in said for said in chances(plan(tmp_path, text, "docker-28")))
    assert not any("restores its networks" in said for said in chances(plan(tmp_path, TWO, "docker-28")))


@pytest.mark.parametrize(("ports", "said"), [("'81:80', '80:81'", 1), ("'80:80', '81:81'", 0)])
def test_ports_without_an_order(tmp_path: Path, ports: str, said: int) -> None:
    text = network().replace("'80:80'", ports)
    assert len(chances(plan(tmp_path, text, "docker-26"))) == said
    assert not chances(plan(tmp_path, text, "docker-27"))
