"""What Docker and Compose refuse, netlab refuses at the place in the file; what they take, it takes.

The table is that of ``tests/conformance``, where real daemons are held against it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netlab.model.errors import UsageError
from netlab.model.plan import Plan
from netlab.model.scenario import Pool, Scenario
from netlab.plan import make
from netlab.scenario import Overrides, load

TABLE = tomllib.loads((Path(__file__).parents[2] / "conformance" / "refusals.toml").read_text())
ENGINES = ("docker-20.10", "docker-26", "docker-28")

Load = Callable[..., Scenario]
Problems = Callable[..., list[str]]


def said(engine: str) -> str:
    try:
        make(load(["compose.yaml"], overrides=Overrides(engine=engine)))
    except UsageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", TABLE)
def test_the_table(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = TABLE[name]
    (tmp_path / "proj").mkdir()
    monkeypatch.chdir(tmp_path / "proj")
    Path("compose.yaml").write_text(entry["file"])
    for engine in ENGINES:
        refused = engine in entry.get("refused", ENGINES)
        assert said(engine) == (entry["netlab"].strip().replace("{engine}", engine) if refused else "")


def of(loaded: Load, text: str, engine: str) -> Plan:
    return make(loaded(text, overrides=Overrides(engine=engine)))


# -- what an old daemon makes of what newer ones refuse


@pytest.mark.parametrize(
    ("pool", "read"),
    [
        ("{subnet: 10.9.0.5/24}", Pool("10.9.0.0/24")),
        ("{subnet: 10.9.0.0/24, ip_range: 10.8.0.0/25}", Pool("10.9.0.0/24", "10.9.0.0/25")),
        ("{subnet: 10.9.0.0/24, ip_range: 10.8.7.128/26}", Pool("10.9.0.0/24", "10.9.0.128/26")),
        ("{subnet: 10.9.0.0/24, ip_range: 10.9.0.130/25}", Pool("10.9.0.0/24", "10.9.0.128/25")),
        ("{subnet: 10.9.0.0/24, ip_range: 10.9.0.0/16}", Pool("10.9.0.0/24", "10.9.0.0/24")),
    ],
)
def test_pools_as_docker_reads_them_up_to_24(pool: str, read: Pool, loaded: Load) -> None:
    text = f"services: {{a: {{networks: [n]}}}}\nnetworks: {{n: {{ipam: {{config: [{pool}]}}}}}}"
    assert loaded(text, overrides=Overrides(engine="docker-20.10")).networks[0].pools == (read,)


def test_the_gateway_of_a_range_is_its_first_address(problems: Problems, loaded: Load) -> None:
    text = """\
        services: {{a: {{image: x, networks: {{n: {{ipv4_address: 10.9.0.{}}}}}}}}}
        networks: {{n: {{ipam: {{config: [{{subnet: 10.9.0.0/24, ip_range: 10.9.0.128/25}}]}}}}}}
        """
    assert problems(text.format(128)) == [
        "f:1:55: services.a.networks.n: the address 10.9.0.128 is the gateway's"
    ]
    assert loaded(text.format(129)).warnings == ()


@pytest.mark.parametrize(("engine", "taken"), [("docker-20.10", False), ("docker-24", True)])
def test_a_subnet_of_two_addresses(engine: str, taken: bool, loaded: Load) -> None:
    text = (
        "services: {a: {image: x, networks: [n]}}\nnetworks: {n: {ipam: {config: [{subnet: 10.9.0.0/31}]}}}"
    )
    if taken:
        (members,) = [n.members for n in of(loaded, text, engine).networks if n.key == "n"]
        assert members == (("a", "eth0", ("10.9.0.1/31",)),)
    else:
        with pytest.raises(UsageError, match="No available addresses on this pool"):
            of(loaded, text, engine)


# -- what is taken, and not refused


@pytest.mark.parametrize(
    "text",
    [
        "services: {b: {image: x}, a: {image: x, network_mode: 'service:b', domainname: d, dns_search: s}}",
        "services: {b: {image: x}, a: {image: x, network_mode: 'service:b', dns_opt: [ndots:1]}}",
        "services: {a: {image: x, network_mode: host, hostname: h, extra_hosts: ['x:1.1.1.1']}}",
        "services: {c: {image: x}, a: {image: x, network_mode: none, links: [c], dns: 1.1.1.1}}",
        "services: {a: {image: x, sysctls: {kernel.msgmax: 1, fs.mqueue.msg_max: 1, kernel.domainname: d}}}",
        "services: {a: {image: x, network_mode: host, sysctls: {kernel.shm_rmid_forced: 1}}}",
        "services: {b: {image: x, scale: 2}, a: {image: x, network_mode: 'service:b'}}",
        "services: {a: {image: x, ports: ['80:80', '0.0.0.0:80:80', {target: 80, published: '80'}]}}",
        "services: {a: {image: x, mac_address: 0242.ac11.0078}}",
        "services: {a: {image: x, volumes: ['./a:/a', '/a:/b', '~/a:/c', '/d', 'v:/e']}}\nvolumes: {v: {}}",
        "services: {a: {image: x, env_file: [{path: gone, required: false}]}}",
        "services: {a: {image: x, depends_on: {b: {condition: service_started, required: false}}},"
        " b: {image: x, profiles: [p]}}",
        "services: {a: {image: x}}\nsecrets: {s: {external: true}}\nconfigs: {c: {content: x}}",
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_taken(text: str, engine: str, loaded: Load) -> None:
    scenario = loaded(text, overrides=Overrides(engine=engine))
    make(scenario)
    assert scenario.warnings == ()


def test_the_later_of_two_mappings_of_a_port_counts(loaded: Load) -> None:
    scenario = loaded("services: {a: {ports: ['80:80', '81:81', '0.0.0.0:80:80']}}")
    ports = [(port.container_port, port.host_ip) for port in scenario.services[0].ports]
    assert ports == [(80, "0.0.0.0"), (81, "")]


def test_a_service_shares_the_first_of_several_containers(loaded: Load) -> None:
    plan = make(loaded("services: {b: {scale: 2}, a: {network_mode: 'service:b'}}"))
    assert plan.node("a").namespace == "b-1"


# -- what is a warning


WARNED: dict[str, Any] = {
    "services: {a: {ports: ['80']}}": "f:1:12: services.a: Compose refuses this: "
    'service "a" has neither an image nor a build context specified',
    "services: {a: {image: x, env_file: gone.env}}": "f:1:36: services.a.env_file: "
    "Compose refuses this: env file gone.env not found",
    "services: {a: {image: x, expose: ['80:80']}}": "f:1:35: services.a.expose: "
    '"80:80" names a host port; this is a list of the container\'s own ports',
    "services: {a: {image: x, networks: [n]}}\nnetworks: {n: {external: true, internal: true}}": "f:2:32: "
    'networks.n is external, so "internal" has no effect here; '
    "describe it under x-netlab.networks.n",
}


@pytest.mark.parametrize("text", WARNED)
def test_warned_of(text: str, loaded: Load) -> None:
    assert [str(warning) for warning in loaded(text).warnings] == [WARNED[text]]


def test_a_file_for_netlab_needs_no_images(loaded: Load) -> None:
    assert loaded("services: {a: {}}\nx-netlab: {}").warnings == ()


# -- versions


@pytest.mark.parametrize(
    ("engine", "key", "by"),
    [
        ("docker-24", "mac_address: '02:42:ac:11:00:77'", "Compose"),
        ("docker-26", "mac_address: '02:42:ac:11:00:77'", ""),
        ("docker-20.10", "interface_name: foo", "Compose"),
        ("docker-27", "interface_name: foo", "Compose"),
        ("docker-28", "interface_name: foo", ""),
        ("docker", "interface_name: foo", ""),
        ("docker", "interface_name: lo", "Docker"),
    ],
)
def test_keys_of_newer_engines(engine: str, key: str, by: str, loaded: Load) -> None:
    text = f"services: {{a: {{image: x, networks: {{n: {{{key}}}}}}}}}\nnetworks: {{n: {{}}}}"
    if by:
        with pytest.raises(UsageError, match=f"services.a.networks.n: {by} refuses this"):
            of(loaded, text, engine)
    else:
        of(loaded, text, engine)


def test_one_interface_name_on_two_networks(problems: Problems) -> None:
    text = """\
        services: {a: {image: x, networks: {n: {interface_name: foo}, m: {interface_name: foo}}}}
        networks: {n: {}, m: {}}
        """
    reason = 'error renaming interface to "foo": file exists (networks.n has it)'
    assert problems(text) == [f"f:1:67: services.a.networks.m: Docker refuses this: {reason}"]


# -- host names and the sysctls of sharers


SHARED = """\
services:
  owner: {image: x, hostname: bee, networks: [n], sysctls: {net.ipv4.ip_default_ttl: 70}}
  guest: {image: x, network_mode: "service:owner", sysctls: {net.ipv4.ip_default_ttl: 77}}
  again: {image: x, network_mode: "service:guest", uts: host}
  alone: {image: x, uts: host, sysctls: [net/ipv4/ip_default_ttl=99]}
  below: {image: x, network_mode: host}
networks: {n: {enable_ipv6: true, ipam: {config: [{subnet: "fd00:9::/64"}]}}}
"""


def test_host_names(loaded: Load) -> None:
    plan = make(loaded(SHARED))
    alone = plan.node("alone")
    names = {name: plan.node(name).hostname for name in ("owner", "guest", "again", "alone", "below")}
    assert names == {"owner": "bee", "guest": "bee", "again": "host", "alone": "host", "below": "host"}
    assert plan.node("again").hostname_file == "bee"
    assert len(alone.hostname_file) == 12  # its short id
    assert alone.hosts_file.splitlines()[-1].split("\t")[1] == alone.hostname_file


def test_sysctls_of_who_shares_a_namespace(loaded: Load) -> None:
    plan = make(loaded(SHARED))
    values = {
        name: [sysctl.value for sysctl in plan.node(name).sysctls if sysctl.key == "net.ipv4.ip_default_ttl"]
        for name in ("owner", "guest", "alone")
    }
    assert values == {"owner": ["70"], "guest": ["77"], "alone": ["99"]}
    assert "guest" in next(s.reason for s in plan.node("guest").sysctls if s.value == "77")


def test_sysctls_of_a_sharer_stay_in_the_namespace_that_its_owner_left(loaded: Load) -> None:
    plan = make(loaded(SHARED + "x-netlab: {events: [restart owner]}"))
    assert plan.node("guest").namespace == "guest"
    assert ("net.ipv4.ip_default_ttl", "77") in [(s.key, s.value) for s in plan.node("guest").sysctls]
    assert ("net.ipv4.ip_default_ttl", "70") in [(s.key, s.value) for s in plan.node("owner").sysctls]


def test_a_sharer_may_switch_ipv6_off(loaded: Load) -> None:
    off = SHARED.replace("net.ipv4.ip_default_ttl: 77", "net.ipv6.conf.all.disable_ipv6: 1")
    with_ipv6, without = (make(loaded(text)).node("owner") for text in (SHARED, off))
    assert any(":" in address for address in with_ipv6.interfaces[0].addresses)
    assert not any(":" in address for address in without.interfaces[0].addresses)
    assert not any(":" in route.via for route in without.routes if route.via)
