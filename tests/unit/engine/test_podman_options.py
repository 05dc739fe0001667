"""What Podman makes of ports and networks, beyond the recordings; and what is refused, in whose words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netlab.lab.load import load_plan
from netlab.model.plan import Plan
from netlab.model.problem import ScenarioError
from netlab.model.rules import NftTable

SERVICE = "services: {web: {image: busybox, networks: [front], %s}}\n"
NETWORK = "networks: {front: {%s}}\nx-netlab: {host: {engine: podman%s}}\n"


def plan_of(folder: Path, service: str = "", network: str = "", host: str = "") -> Plan:
    file = folder / "pods.yaml"
    file.write_text(SERVICE % service + NETWORK % (network, host))
    return load_plan([file])


def rules_of(plan: Plan, chain: str) -> list[str]:
    table = plan.node("host").rulesets[-1]
    assert isinstance(table, NftTable)
    return [rule.text for one in table.chains if one.name.endswith(chain) for rule in one.rules]


def test_neighbouring_ports_are_one_range(tmp_path: Path) -> None:
    """``-p 9021:8001 -p 9020:8000`` becomes the range 9020-9021; each port has its own socket and dnat."""
    plan = plan_of(tmp_path, 'ports: ["9021:8001", "9020:8000", "9030:80"]')
    jumps = [rule.partition(" jump ")[0] for rule in rules_of(plan, "HOSTPORT-DNAT")]
    assert jumps == ["tcp dport 9020-9021", "tcp dport 9030"]
    assert [rule for rule in rules_of(plan, "_dnat") if "dnat ip" in rule] == [
        "tcp dport 9020 dnat ip to 10.89.0.2:8000",
        "tcp dport 9021 dnat ip to 10.89.0.2:8001",
        "tcp dport 9030 dnat ip to 10.89.0.2:80",
    ]
    assert [one.port for one in plan.node("host").listeners] == [9020, 9021, 9030]


def test_groups_of_ports_are_by_chance(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 'ports: ["54:53/udp", "127.0.0.1:8080:80", "80:81"]')
    assert [note.by_chance for note in plan.notes] == [True]
    assert "order" in plan.notes[0].text


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("-4", "cannot listen on the UDP port: listen udp4 :53: bind: address already in use"),
        (
            "-5-iptables",
            "aardvark-dns failed to start: .* failed to bind udp listener on 10.89.0.1:53: IO error",
        ),
        ("", "aardvark-dns failed to start: .* failed to bind udp listener on 10.89.0.1:53: IO error"),
    ],
)
def test_port_53_is_aardvarks(engine: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=words):
        plan_of(tmp_path, 'ports: ["53:53/udp"]', host=engine)
    assert plan_of(tmp_path, 'ports: ["127.0.0.1:53:53/udp"]', host=engine).publications


RELOAD = """
services:
  web: {image: busybox, networks: [front], ports: ["80:80"]}
  app: {image: busybox, networks: [front, back], ports: ["81:80"]}
  bare: {image: busybox, network_mode: none}
networks: {front: {}, back: {}}
x-netlab: {host: {engine: %s}, events: [%s]}
"""


def reloaded(folder: Path, events: str, engine: str = "podman", choice: int = 1) -> Plan:
    file = folder / "reload.yaml"
    file.write_text(RELOAD % (engine, events))
    return load_plan([file], choice=choice)


@pytest.mark.parametrize("engine", ["podman-4", "podman-5-iptables", "podman-5-nftables"])
def test_reload_brings_flushed_rules_back_with_the_same_addresses(engine: str, tmp_path: Path) -> None:
    before = reloaded(tmp_path, "", engine)
    after = reloaded(tmp_path, "flush firewall, reload networks", engine)
    for node in ("web", "app"):
        own = [(one.name, one.addresses, one.mac) for one in before.node(node).interfaces]
        assert own == [(one.name, one.addresses, one.mac) for one in after.node(node).interfaces]
        assert [one.index for one in before.node(node).interfaces] != [
            one.index for one in after.node(node).interfaces
        ]
    assert rules_set(before) == rules_set(after)
    assert before.publications == after.publications


def rules_set(plan: Plan) -> set[tuple[str, str]]:
    return {
        (chain.name, rule.text)
        for ruleset in plan.node("host").rulesets
        for chain in (
            ruleset.chains if isinstance(ruleset, NftTable) else [c for t in ruleset.tables for c in t.chains]
        )
        for rule in chain.rules
    }


def test_reload_of_one_leaves_the_rules_of_others_as_they_are(tmp_path: Path) -> None:
    def dnat(events: str) -> list[str]:
        plan = reloaded(tmp_path, events)
        return [rule.partition(" jump ")[0] for rule in rules_of(plan, "HOSTPORT-DNAT")]

    assert dnat("") == ["tcp dport 80", "tcp dport 81", "tcp dport 81"]
    assert dnat("reload networks web") == ["tcp dport 81", "tcp dport 81", "tcp dport 80"]
    assert dnat("reload networks app") == ["tcp dport 80", "tcp dport 81", "tcp dport 81"]


def test_reload_of_all_draws_its_order(tmp_path: Path) -> None:
    """Two orders of the containers, and each time two of app's networks, after two at its start."""
    assert reloaded(tmp_path, "reload networks").choices == 2 * 2 * 2


@pytest.mark.parametrize(
    ("events", "words"),
    [
        (
            "stop web, reload networks web",
            "cannot reload network unless container network has been configured",
        ),
        ("reload networks bare", "network is not configured, refusing to reload: container state improper"),
        ("reload networks nope", 'there is no container "nope"'),
    ],
)
def test_what_is_not_reloaded(events: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=words):
        reloaded(tmp_path, events)


def test_docker_does_not_reload_networks(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="only Podman reloads networks"):
        reloaded(tmp_path, "reload networks", "docker-28")


def test_all_addresses_of_ipv4_count_as_none(tmp_path: Path) -> None:
    """On a dual-stack network 0.0.0.0 is published by IPv6 as well, without a socket."""
    plan = plan_of(tmp_path, 'ports: ["0.0.0.0:80:80"]', "enable_ipv6: true")
    assert any("dnat ip6 to [fd" in rule for rule in rules_of(plan, "_dnat"))
    assert [one.address for one in plan.node("host").listeners] == ["0.0.0.0"]
    assert [one.host_address for one in plan.publications] == [""]


def test_an_internal_network_has_no_rules_and_no_way_out(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 'ports: ["80:80"]', "internal: true")
    host = plan.node("host")
    assert (host.rulesets, plan.node("web").routes, plan.publications) == ((), (), ())
    assert [one.process for one in host.listeners] == ["conmon"]
    assert [one.address for one in plan.resolvers] == ["10.89.0.1"]


def test_names_are_those_of_podman_compose(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert plan.node("web").container == f"{plan.project}_web_1"
    assert {network.bridge for network in plan.networks} == {"podman0", "podman1"}


def test_options_of_default_routes(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, network='driver_opts: {metric: "200"}')
    assert [route.words for route in plan.node("web").routes] == [
        "default via 10.89.0.1 dev eth0 proto static metric 200"
    ]
    assert plan_of(tmp_path, network='driver_opts: {no_default_route: "1"}').node("web").routes == ()


@pytest.mark.parametrize("engine", ["podman-5-iptables", "podman-5-nftables"])
def test_strict_isolation_goes_by_way_of_all_networks(tmp_path: Path, engine: str) -> None:
    """Source: netavark, src/firewall/nft.rs."""
    file = tmp_path / "pods.yaml"
    file.write_text(
        f"""
services: {{a: {{image: busybox, networks: [strict]}}, b: {{image: busybox, networks: [open]}}}}
networks: {{strict: {{driver_opts: {{isolate: strict}}}}, open: {{}}}}
x-netlab: {{host: {{engine: {engine}}}}}
"""
    )
    rulesets = load_plan([file]).node("host").rulesets
    chains = [c for r in rulesets for t in getattr(r, "tables", (r,)) for c in t.chains]
    first, second, third = (
        [
            rule.text
            for c in chains
            for rule in c.rules
            if c.name.replace("-", "_") == f"NETAVARK_ISOLATION_{n}"
        ]
        for n in (1, 2, 3)
    )
    assert len(first) == len(second) == 1
    assert "podman1" in first[0]
    assert re.search("ISOLATION.3$", first[0])
    assert "podman1" in second[0]
    assert "podman2" in third[0]
    assert re.search("ISOLATION.2$", third[1])


@pytest.mark.parametrize(
    ("service", "network", "host", "words"),
    [
        (
            "",
            "driver_opts: {com.docker.network.bridge.host_binding_ipv4: 127.0.0.1}",
            "",
            "unsupported bridge",
        ),
        ("", "driver_opts: {mode: unmanaged}", "", "does not reproduce Podman's network option mode"),
        ("", "driver_opts: {isolate: maybe}", "", 'strconv.ParseBool: parsing "maybe"'),
        ("", "ipam: {config: [{subnet: 198.51.100.0/25}]}", "", "already used on the host"),
        ("", "", ", daemon: {ip: 127.0.0.1}", "Podman has no daemon"),
        ("", "", ", firewall: firewalld", "does not reproduce firewalld beside Podman"),
        ("", "", ", proxy: per-port", "Podman does not know Docker's userland proxy"),
        ("dns_search: [example.org]", "", "", "does not reproduce dns_search"),
        ('ports: ["8000-8010:80"]', "", "", "different lengths: 11 vs 1"),
        ('ports: ["80:80"]', "", ", listen: [80/tcp]", "address already in use"),
    ],
)
def test_what_is_refused_says_so(tmp_path: Path, service: str, network: str, host: str, words: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        plan_of(tmp_path, service, network, host)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ("driver_opts: {isolate: strict}", 'strconv.ParseBool: parsing "strict"'),
        ('driver_opts: {metric: "200"}', "unsupported bridge network option metric"),
        (
            'driver_opts: {com.docker.network.driver.mtu: "1400"}',
            "unsupported bridge network option com.docker",
        ),
        ("internal: true", "does not reproduce internal networks of Podman 4"),
    ],
)
def test_what_podman_4_refuses(tmp_path: Path, network: str, words: str) -> None:
    file = tmp_path / "pods.yaml"
    file.write_text(
        SERVICE % "" + f"networks: {{front: {{{network}}}}}\nx-netlab: {{host: {{engine: podman-4}}}}\n"
    )
    with pytest.raises(ScenarioError) as caught:
        load_plan([file])
    assert words in str(caught.value)


def test_podman_4_publishes_the_unspecified_address_to_nobody(tmp_path: Path) -> None:
    """``-p [::]:80:80`` becomes ``-d ::/128``, which no packet matches."""
    file = tmp_path / "pods.yaml"
    network = "networks: {front: {enable_ipv6: true}}\nx-netlab: {host: {engine: podman-4}}\n"
    file.write_text(SERVICE % 'ports: ["[::]:80:80"]' + network)
    ruleset = load_plan([file]).node("host").rulesets[-1]
    texts = [rule.text for table in ruleset.tables for chain in table.chains for rule in chain.rules]
    assert [text.partition(" -p ")[0] for text in texts if "--to-destination [" in text] == ["-d ::/128"]


@pytest.mark.parametrize(
    ("event", "words"),
    [("restart daemon", "Podman has no daemon"), ("reboot host", "does not reproduce a reboot with Podman")],
)
def test_events_of_a_daemon_are_refused(tmp_path: Path, event: str, words: str) -> None:
    file = tmp_path / "pods.yaml"
    block = "x-netlab: {host: {engine: podman}, events: [%s]}\n"
    file.write_text(SERVICE % "" + "networks: {front: {}}\n" + block % event)
    with pytest.raises(ScenarioError, match=words):
        load_plan([file])
