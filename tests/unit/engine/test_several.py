"""Docker and Podman on one host: what each finds of the other's doing, and what is refused.

client ──── ext0 host ── docker_web ── web     Docker
                      └─ podman1 ───── store   Podman
"""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab import engine
from netlab.engine.contract import HostFacts
from netlab.lab.load import load_scenario
from netlab.model.errors import UsageError
from netlab.model.event import HostReboot
from netlab.model.family import Family
from netlab.model.plan import Plan
from netlab.model.rules import ADDED_SINCE, IptablesRuleset, NftTable
from netlab.plan.build import fold, make

ROOT = Path(__file__).parents[3]
TWO = """
services:
  web: {{image: nginx, networks: [nw], ports: ["80:80"]}}
  store: {{image: nginx, networks: [nw2], ports: ["{port}:80"]}}
  late: {{image: nginx, networks: [nw], ports: ["81:80"]}}
networks:
  nw: {{ipam: {{config: [{{subnet: 192.168.10.0/24}}]}}}}
  nw2: {{ipam: {{config: [{{subnet: {subnet}}}]}}}}
x-netlab:
  host: {{engines: [{engines}]}}
  services: {{store: {{engine: podman}}}}
  {events}
"""


def two(
    folder: Path,
    engines: str = "docker-28, podman-5-iptables",
    port: int = 8080,
    subnet: str = "192.168.20.0/24",
    events: str = "",
) -> Path:
    file = folder / "two.yaml"
    file.write_text(TWO.format(engines=engines, port=port, subnet=subnet, events=events))
    return file


def facts_of(file: Path) -> HostFacts:
    scenario = load_scenario([file])
    return fold(scenario, scenario.hosts[0]).facts


def chain(facts: HostFacts, table: str, name: str) -> list[str]:
    (rules,) = (
        chain.rules
        for ruleset in facts.rulesets
        if isinstance(ruleset, IptablesRuleset) and ruleset.family is Family.IPV4
        for known in ruleset.tables
        if known.name == table
        for chain in known.chains
        if chain.name == name
    )
    return [rule.text for rule in rules]


@pytest.mark.parametrize("order", ["docker-28, podman-5-iptables", "podman-5-iptables, docker-28"])
def test_each_writes_below_what_the_other_has_left(tmp_path: Path, order: str) -> None:
    facts = facts_of(two(tmp_path, order))
    comment = '-m comment --comment "netavark firewall rules"'
    assert chain(facts, "filter", "FORWARD") == [
        f"{comment} -j NETAVARK_FORWARD",
        "-j DOCKER-USER",
        "-j DOCKER-FORWARD",
    ]
    assert len([text for text in chain(facts, "nat", "DOCKER") if "-j DNAT" in text]) == 2
    assert facts.engine == "docker-28+podman-5-iptables"
    assert [(one.spec.node, one.engine) for one in facts.containers] == [
        ("web", "docker-28"),
        ("late", "docker-28"),
        ("store", "podman-5-iptables"),
    ]


def test_no_reason_is_lost_and_no_ifindex_given_twice(tmp_path: Path) -> None:
    facts = facts_of(two(tmp_path))
    reasons = {sysctl.reason for sysctl in facts.sysctls}
    for ruleset in facts.rulesets:
        assert isinstance(ruleset, IptablesRuleset)
        reasons |= {r.reason for table in ruleset.tables for c in table.chains for r in c.rules}
    assert ADDED_SINCE not in reasons
    indexes = [interface.index for interface in facts.interfaces]
    assert len(indexes) == len(set(indexes))
    assert facts.next_index > max(index for index in indexes if index is not None)


def test_native_tables_come_last_and_stay_their_owner_s(tmp_path: Path) -> None:
    facts = facts_of(two(tmp_path, "docker-29-nftables, podman-5-nftables"))
    tables = [one.name for one in facts.rulesets if isinstance(one, NftTable)]
    assert tables == ["docker-bridges", "docker-bridges", "netavark"]


def test_a_port_that_the_other_has_is_in_use(tmp_path: Path) -> None:
    file = two(tmp_path, port=82)
    file.write_text(file.read_text().replace('"81:80"', '"82-83:80"'))
    listening = [(one.process, one.port) for one in facts_of(file).listeners if one.address == "0.0.0.0"]
    assert listening == [("docker-proxy", 80), ("docker-proxy", 83), ("conmon", 82)]
    free = two(tmp_path, port=82, events='events: ["stop store", "restart late"]')
    free.write_text(free.read_text().replace('"81:80"', '"82-83:80"'))
    assert "conmon" not in {one.process for one in facts_of(free).listeners}


def test_podman_takes_no_subnet_of_docker_s(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"172\.17\.5\.0/24"):
        facts_of(two(tmp_path, subnet="172.17.5.0/24"))


def test_a_daemon_that_starts_again_finds_forwarding_on(tmp_path: Path) -> None:
    """Docker sets FORWARD's policy only where it turned forwarding on itself."""

    def policy(plan: Plan) -> str | None:
        rulesets = [r for r in plan.node("host").rulesets if isinstance(r, IptablesRuleset)]
        chains = [c for r in rulesets if r.family is Family.IPV4 for t in r.tables for c in t.chains]
        return next(c.policy for c in chains if c.name == "FORWARD" and c.policy)

    assert policy(make(load_scenario([two(tmp_path)]))) == "DROP"
    on = two(tmp_path)
    on.write_text(on.read_text().replace("host: {", "host: {sysctls: {net.ipv4.ip_forward: 1}, "))
    assert policy(make(load_scenario([on]))) == "ACCEPT"


def test_a_reboot_is_refused() -> None:
    both = engine.together(engine.get("docker-28"), engine.get("podman"))
    assert both.name == "docker-28+podman-5-nftables"
    scenario = load_scenario([ROOT / "scenarios" / "podman-beside-docker.yaml"])
    with pytest.raises(UsageError, match="reboot"):
        fold(scenario, scenario.hosts[0]).after([HostReboot()])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[docker-28, podman-5-iptables]", "[docker-28, docker-29]"), "one of Docker and one of Podman"),
        (("[docker-28, podman-5-iptables]", "[docker-28]"), "one of Docker and one of Podman"),
        (("engines:", "engine: docker, engines:"), "both engine and engines"),
        (("networks: [nw2]", "networks: [nw]"), "a network belongs to one engine"),
        (("engine: podman}", "engine: podmna}"), 'did you mean "podman"'),
        (("networks: [nw2], ports", "network_mode: service:web, x-ports"), "another engine's"),
        (("engines: [docker-28, podman-5-iptables]", "engine: podman"), "has one engine"),
    ],
)
def test_what_cannot_be(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    file = two(tmp_path)
    text = file.read_text()
    assert change[0] in text
    file.write_text(text.replace(*change))
    with pytest.raises(UsageError, match=message):
        load_scenario([file])


def test_an_engine_of_the_command_line_replaces_the_one_of_its_kind(tmp_path: Path) -> None:
    file = two(tmp_path)
    host = load_scenario([file], engine="docker-29").hosts[0]
    assert (host.engine, host.beside) == ("docker-29", "podman-5-iptables")
    host = load_scenario([file], engine="podman").hosts[0]
    assert (host.engine, host.beside) == ("docker-28", "podman")
    assert (
        make(load_scenario([file], engine="podman")).engines
        == (
            "docker-28",
            "docker-28+podman-5-nftables",
            "podman-5-nftables",
        )[::2]
    )
