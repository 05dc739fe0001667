"""What Compose and Docker accept is accepted, and means the same; what is assumed is a warning."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netlab.model.event import ContainerSpec, ContainerStart
from netlab.model.scenario import Attachment, Pool, Scenario
from netlab.plan import events_of, make

Load = Callable[..., Scenario]
Problems = Callable[..., list[str]]


def warnings(scenario: Scenario) -> list[str]:
    """All but the one that these services have no image."""
    return [str(warning) for warning in scenario.warnings if "neither an image" not in warning.message]


def containers(scenario: Scenario) -> dict[str, ContainerSpec]:
    return {
        e.container.node: e.container for e in events_of(scenario, "host") if isinstance(e, ContainerStart)
    }


@pytest.mark.parametrize(
    ("text", "mapping"),
    [
        (":80", "::80"),
        ("${UNSET}:80", "::80"),
        ("::80", "::80"),
        ("127.0.0.1::80", "127.0.0.1::80"),
        ("127.0.0.1:${UNSET}:80/udp", "127.0.0.1::80"),
        ("[::1]:${UNSET}:80", "::1::80"),
        (":80-81", "::80 ::81"),
    ],
)
def test_a_missing_host_port_is_any(text: str, mapping: str, loaded: Load) -> None:
    scenario = loaded(f'services: {{a: {{ports: ["{text}"]}}}}')
    ports = scenario.services[0].ports
    assert " ".join(f"{port.host_ip}::{port.container_port}" for port in ports) == mapping
    assert {port.host_ports for port in ports} == {None}


def test_documents_of_a_file_are_merged_like_files(loaded: Load) -> None:
    scenario = loaded(
        """\
        name: one
        services: {web: &web {image: nginx, ports: ["80"]}}
        ---
        name: two
        services: {web: {hostname: w, ports: ["81"]}, again: *web}
        ...
        """
    )
    web, again = scenario.services
    assert scenario.project == "two"
    assert (web.hostname, [port.container_port for port in web.ports]) == ("w", [80, 81])
    assert [port.container_port for port in again.ports] == [80]


def test_documents_of_included_and_extended_files_are_merged_too(loaded: Load) -> None:
    several = "services: {db: {image: pg}}\n---\nservices: {db: {expose: [5432]}}"
    scenario = loaded(
        "include: [inc]\nservices: {own: {extends: {file: ext, service: db}}}",
        {"inc": several, "ext": several},
    )
    assert {s.name: [port.port for port in s.expose] for s in scenario.services} == {
        "own": [5432],
        "db": [5432],
    }


def test_extends_does_not_see_the_other_documents(problems: Problems) -> None:
    text = "services: {a: {image: x}}\n---\nservices: {b: {extends: a}}"
    assert problems(text) == ['f:3:25: services.b extends "a", which is not a service']


def test_lifecycle_hooks_do_not_touch_the_network(loaded: Load) -> None:
    hooks = "pre_start: [{command: x}], post_start: [{command: x}], pre_stop: [{command: x}]"
    assert loaded(f"services: {{a: {{{hooks}}}}}").services[0].network_mode is None


# -- network_mode: NAME


NAMED = """\
services:
  a: {network_mode: lab_own, links: [b], hostname: h, ports: ["80:80"]}
  b: {networks: [own]}
networks: {own: {}}
"""


def test_network_mode_names_a_network_of_the_file(loaded: Load) -> None:
    scenario = loaded(NAMED)
    assert scenario.services[0].networks == (Attachment("own"),)
    a = containers(scenario)["a"]
    # Compose leaves the endpoint to the daemon: no alias of the service's name, and no links
    assert (a.network_mode, a.endpoints[0].aliases, a.links) == ("lab_own", (), ())
    own = next(network for network in make(scenario).networks if network.key == "own")
    names = {name.name for name in own.names}
    assert names >= {"lab-a-1", "h"}
    assert "a" not in names
    assert [(p.node, p.network) for p in make(scenario).publications] == [("a", "lab_own")]
    assert warnings(scenario) == []


UNMADE = "so Compose does not make it"


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("own", 'network own not found; networks.own is "lab_own" to Docker, or write networks: [own]'),
        ("lab_idle", f"network lab_idle not found; no service is on networks.idle, {UNMADE}"),
        ("lab_default", f"network lab_default not found; no service is on networks.default, {UNMADE}"),
        ("Host", 'network Host not found (did you mean "host"?)'),
        ("a:b", "network a:b not found"),
    ],
)
def test_network_mode_names_what_docker_does_not_find(mode: str, reason: str, problems: Problems) -> None:
    text = f"""\
        services:
          b: {{networks: [own]}}
          a: {{network_mode: "{mode}"}}
        networks: {{own: {{}}, idle: {{}}}}
        """
    assert problems(text) == [f"f:3:21: services.a: Docker refuses this: {reason}"]


def test_network_mode_names_a_network_that_is_there_already(loaded: Load) -> None:
    scenario = loaded("services: {a: {network_mode: proxy}, b: {network_mode: proxy}}")
    assert [(n.key, n.name, n.external) for n in scenario.networks] == [("proxy", "proxy", True)]
    assert warnings(scenario) == [
        f'f:1:{column}: services.{name}: no network of the file is called "proxy",'
        " so one is made as docker network create would"
        for name, column in (("a", 30), ("b", 56))
    ]
    declared = "services: {a: {network_mode: proxy}}\nnetworks: {p: {name: proxy, external: true}}"
    whole = "services: {a: {network_mode: proxy}}\nx-netlab: {networks: {proxy: {internal: true}}}"
    assert warnings(loaded(declared)) == warnings(loaded(whole)) == []
    assert loaded(whole).networks[0].internal


# -- external links and external networks


def test_external_links_may_lead_nowhere(loaded: Load) -> None:
    scenario = loaded("services: {a: {external_links: [gone, 'other:alias']}}")
    assert warnings(scenario) == [
        f'f:1:{column}: services.a links to the container "{name}", which is not in the lab:'
        " nothing answers to that name"
        for name, column in (("gone", 33), ("other", 39))
    ]
    assert containers(scenario)["a"].links == ()


def test_external_links_on_the_default_bridge_may_not(problems: Problems) -> None:
    text = "services: {a: {network_mode: bridge, external_links: [gone]}}"
    reason = "could not get container for gone: No such container: gone"
    assert problems(text) == [f"f:1:55: services.a: Docker refuses this: {reason}"]


@pytest.mark.parametrize(
    ("addresses", "pools"),
    [
        (["172.18.0.5"], [Pool("172.18.0.0/24")]),
        (["172.18.0.1"], [Pool("172.18.0.0/24", gateway="172.18.0.2")]),
        (["172.18.0.1", "172.18.0.2"], [Pool("172.18.0.0/24", gateway="172.18.0.3")]),
        (["172.18.0.5", "172.18.9.7"], [Pool("172.18.0.0/20")]),
        (["fd00:1::7"], [Pool("fd00:1::/64")]),
        (["172.18.0.5", "fd00:1::7"], [Pool("172.18.0.0/24"), Pool("fd00:1::/64")]),
    ],
)
def test_a_static_address_on_an_external_network_gives_its_subnet(
    addresses: list[str], pools: list[Pool], loaded: Load
) -> None:
    keys = [("ipv6_address" if ":" in address else "ipv4_address", address) for address in addresses]
    services = "".join(f'  s{n}: {{networks: {{n: {{{k}: "{a}"}}}}}}\n' for n, (k, a) in enumerate(keys))
    scenario = loaded(f"services:\n{services}networks: {{n: {{external: true}}}}")
    assert list(scenario.networks[0].pools) == pools
    assert [warning.rpartition(": ")[2] for warning in warnings(scenario)] == [
        f"{p.subnet} is assumed" for p in pools
    ]
    placed = {a for n in make(scenario).networks for _, _, found in n.members for a in found}
    assert {address.split("/")[0] for address in placed} >= set(addresses)


def test_what_x_netlab_says_of_an_external_network_is_not_assumed(loaded: Load) -> None:
    scenario = loaded(
        """\
        services: {a: {networks: {n: {ipv4_address: 10.1.0.9}}}}
        networks: {n: {external: true}}
        x-netlab: {networks: {n: {ipam: {config: [{subnet: 10.1.0.0/16}]}}}}
        """
    )
    assert (scenario.networks[0].pools, warnings(scenario)) == ((Pool("10.1.0.0/16"),), [])


# -- lenient


LENIENT = """\
services:
  both: {networks: [mesh, lan], ports: ["80:80"]}
  alone: {networks: [mesh], ports: ["81:81"]}
  vpn: {network_mode: "container:elsewhere"}
  leased: {networks: [dhcp]}
networks:
  mesh: {driver: overlay}
  lan: {}
  dhcp: {ipam: {driver: dhcp}}
"""
LEFT_OUT = [
    'f:4:23: services.vpn shares the network of the container "elsewhere", which is not in the lab',
    'f:7:18: networks.mesh: the driver "overlay" is not supported, only bridge is',
    'f:9:25: networks.dhcp.ipam: the driver "dhcp" is not supported, only default is',
]


def test_what_cannot_be_reproduced_is_an_error(problems: Problems) -> None:
    assert problems(LENIENT) == [f"{line}; with --lenient the rest is built without it" for line in LEFT_OUT]


def test_lenient_builds_the_rest(loaded: Load) -> None:
    scenario = loaded(LENIENT, lenient=True)
    assert warnings(scenario) == LEFT_OUT
    assert [network.key for network in scenario.networks] == ["lan"]
    modes = {name: spec.network_mode for name, spec in containers(scenario).items()}
    assert modes == {"both": "lab_lan", "alone": "none", "vpn": "none", "leased": "none"}
    assert [(p.node, p.host_port) for p in make(scenario).publications] == [("both", 80)]


@pytest.mark.parametrize("driver", ["macvlan", "ipvlan", "weave"])
def test_lenient_is_about_every_driver_that_netlab_has_not(driver: str, loaded: Load) -> None:
    scenario = loaded(
        f"services: {{a: {{networks: [n]}}}}\nnetworks: {{n: {{driver: {driver}}}}}", lenient=True
    )
    assert (scenario.networks, len(warnings(scenario))) == ((), 1)


def test_lenient_forgives_no_mistake(problems: Problems) -> None:
    text = "services: {a: {networks: [n], prots: []}}\nnetworks: {n: {driver: 'null'}}"
    assert problems(text, lenient=True) == [
        'f:1:31: unknown key "prots" in services.a (did you mean "ports"?)',
        'f:2:24: networks.n: Docker refuses this: only one instance of "null" network is allowed',
    ]
