"""firewalld 1.3.3 as data equals what a real one wrote, alone and beside real Docker daemons.

The recordings: the daemon of Debian 12 in a network namespace; dockerd 20.10.24 and 28.5.2 beside it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netlab import engine
from netlab.engine.docker.firewalld import configured
from netlab.firewall import completed, prepared
from netlab.firewall.firewalld_config import service
from netlab.firewall.firewalld_services import SERVICES
from netlab.model.errors import UsageError
from netlab.model.event import (
    ContainerRemove,
    ContainerSpec,
    ContainerStart,
    DaemonStart,
    DaemonStop,
    EndpointSpec,
    Event,
    FirewallFlush,
    FirewallReload,
    NetworkCreate,
    NetworkRemove,
    NetworkSpec,
)
from netlab.model.family import FAMILIES, Family
from netlab.model.iptables_save import saved_lines
from netlab.model.plan import FirewalldZone
from netlab.model.problem import Position
from netlab.model.rules import IptablesRuleset, NftTable, Ruleset
from netlab.model.scenario import Firewall, Host, JsonValue, OutsideInterface, Pool, PortMapping
from netlab.plan.render import nft_text, restore_text

RECORDED = Path(__file__).parents[2] / "data" / "firewalls" / "firewalld-1.3.3"
HERE = Position("scenario.yaml", 1, 1)

CASES: dict[str, dict[str, JsonValue]] = {
    "plain": {},
    "zones": {
        "zones": {
            "trusted": {"interfaces": ["ext0"], "sources": ["198.51.100.9", "2001:db8:1::/64"]},
            "mine": {
                "target": "REJECT",
                "interfaces": ["ext1", "ext2"],
                "sources": ["10.1.0.0/16"],
                "forward": True,
            },
            "dmz": {"sources": ["192.0.2.0/24"]},
        }
    },
    "services": {
        "zones": {
            "public": {
                "interfaces": ["ext0"],
                "services": ["http", "https", "mdns", "gre", "llmnr-client", "docker-swarm"],
                "ports": ["8000-8010/udp", "9/sctp"],
                "protocols": ["esp"],
                "source_ports": ["53/udp"],
                "masquerade": True,
            }
        }
    },
    "rich": {
        "zones": {
            "public": {
                "rich_rules": [
                    'rule family="ipv4" source address="198.51.100.3" port port="80" protocol="tcp" reject',
                    'rule family="ipv6" source NOT address="2001:db8:1::/64" drop',
                    'rule family="ipv6" service name="https" accept limit value="3/m"',
                    'rule protocol value="esp" log prefix="esp: " level="warning" limit value="1/s" accept',
                    'rule family="ipv4" priority="-10" source address="198.51.100.4/30" '
                    'destination address="198.51.100.1" accept',
                    'rule priority="-20" port port="90-99" protocol="udp" drop',
                    'rule port port="91" protocol="tcp" reject',
                    'rule family="ipv4" priority="5" source-port port="53" protocol="udp" '
                    'reject type="icmp-host-prohibited"',
                    'rule family="ipv4" priority="6" port port="54" protocol="tcp" reject type="tcp-reset"',
                    'rule service name="mdns" reject',
                    'rule service name="llmnr-client" drop',
                    'rule family="ipv4" priority="-10" port port="22" protocol="tcp" log level="info" accept',
                    'rule family="ipv6" port port="23" protocol="tcp" log prefix="x"',
                ]
            }
        }
    },
}


def host(name: str = "docker-20.10", **options: JsonValue) -> Host:
    return Host(
        "host",
        HERE,
        engine=name,
        firewall=Firewall("firewalld", options),
        interfaces=(OutsideInterface("ext0", ("198.51.100.1/24", "2001:db8:1::1/64")),),
    )


def alone(**options: JsonValue) -> tuple[Ruleset, ...]:
    """The rules on a host without an engine."""
    ready = prepared(host(**options))
    return completed(ready, FirewalldZone(), ready.firewall.rulesets)


def iptables(text: str) -> dict[str, list[str]]:
    """Table and chain → rules in order. firewalld dispatches by a policy in the order of a Python set."""
    found: dict[str, list[str]] = {}
    for one in saved_lines(text):
        if one.kind == "chain":
            found[f"*{one.table}{one.chain}"] = [one.text]
        elif one.kind == "rule":
            found[f"*{one.table}{one.chain}"].append(one.line)
    return {name: sorted(r) if name.endswith("_POLICIES_pre") else r for name, r in found.items()}


def native(text: str) -> dict[str, list[str]]:
    """Chain → rules in order; a set's members have no order."""
    found: dict[str, list[str]] = {}
    chain = ""
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("chain "):
            chain = line.split()[1]
            found[chain] = []
        elif line == "}":
            chain = ""
        elif chain and line:
            found[chain].append(re.sub(r"\{ (.*) \}", lambda m: " ".join(sorted(m[1].split(", "))), line))
    return found


def of(family: Family, rulesets: tuple[Ruleset, ...]) -> str:
    return "".join(restore_text(r) for r in rulesets if isinstance(r, IptablesRuleset) and r.family is family)


@pytest.mark.parametrize("case", CASES)
def test_the_nftables_backend_writes_what_the_real_one_wrote(case: str) -> None:
    (table,) = (r for r in alone(**CASES[case]) if isinstance(r, NftTable))
    assert native(nft_text(table)) == native((RECORDED / f"{case}.nft").read_text())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("case", CASES)
def test_the_iptables_backend_writes_what_the_real_one_wrote(case: str, family: Family) -> None:
    ours = of(family, alone(backend="iptables", **CASES[case]))
    assert iptables(ours) == iptables((RECORDED / f"{case}.{family.iptables}").read_text())


def network(name: str, bridge: str, subnet: str) -> Event:
    opts = {"com.docker.network.bridge.name": bridge}
    number = {"nw": "a", "two": "b"}[name]
    return NetworkCreate(NetworkSpec(name, number * 64, driver_opts=opts, pools=(Pool(subnet=subnet),)))


def container(name: str, net: str, address: str, *ports: PortMapping) -> Event:
    wish = EndpointSpec(net, ipv4_address=address)
    return ContainerStart(ContainerSpec(name, name, "c" * 64, net, (wish,), ports=ports))


BUILD = (
    network("nw", "docker_httpd", "192.168.10.0/24"),
    container(
        "httpd", "nw", "192.168.10.10", PortMapping(80, "tcp", (80, 80)), PortMapping(443, "tcp", (443, 443))
    ),
    network("two", "docker_two", "192.168.20.0/24"),
    container("other", "two", "192.168.20.10", PortMapping(80, "tcp", (8080, 8080))),
)
RELOAD = (*BUILD, FirewallReload())
RESTART = (*RELOAD, ContainerRemove("other"), NetworkRemove("two"), DaemonStop(), DaemonStart())


def beside(name: str, backend: str, events: tuple[Event, ...]) -> tuple[Ruleset, ...]:
    """The rules on a host of that engine after events."""
    chosen = engine.get(name)
    state = chosen.start(prepared(host(name, backend=backend)))
    for event in events:
        state = chosen.step(state, event)
    value = state.value
    written = [tables.freeze() for tables in value.tables.values()]
    return completed(value.host, configured(value), written)


@pytest.mark.parametrize("backend", ["nftables", "iptables"])
@pytest.mark.parametrize(
    ("name", "events", "stage"),
    [
        ("docker-20.10", BUILD, "two"),
        ("docker-20.10", RELOAD, "reload"),
        ("docker-20.10", RESTART, "restarted"),
        ("docker-26", RELOAD, "reload"),
        ("docker-28", BUILD, "two"),
    ],
)
def test_docker_and_firewalld_stand_as_the_real_two_do(
    name: str, events: tuple[Event, ...], stage: str, backend: str
) -> None:
    rulesets = beside(name, backend, events)
    recorded = "docker-20.10" if name == "docker-26" else name  # 26.1.5 wrote the same, byte for byte
    text = (RECORDED / f"{recorded}-{stage}-{backend}.iptables").read_text()
    assert iptables(of(Family.IPV4, rulesets)) == iptables(text)
    if backend == "nftables":
        (table,) = (r for r in rulesets if isinstance(r, NftTable))
        assert native(nft_text(table)) == native((RECORDED / f"{recorded}-{stage}.nft").read_text())


def isolation(rulesets: tuple[Ruleset, ...]) -> list[str]:
    return [line for line in of(Family.IPV4, rulesets).splitlines() if line.endswith("ISOLATION-STAGE-2")]


def test_a_reload_loses_the_isolation_of_networks_up_to_27() -> None:
    for name, lost in (("docker-19.03", True), ("docker-27", True), ("docker-28", False)):
        assert isolation(beside(name, "iptables", BUILD))
        assert (not isolation(beside(name, "iptables", RELOAD))) is lost, name


def test_docker_19_03_knows_of_no_zone() -> None:
    (table,) = (r for r in beside("docker-19.03", "nftables", BUILD) if isinstance(r, NftTable))
    assert "docker" not in nft_text(table)


def test_what_an_administrator_flushed_stays_so() -> None:
    rulesets = beside("docker-20.10", "iptables", (*BUILD, FirewallFlush()))
    text = of(Family.IPV4, rulesets)
    assert "-A PREROUTING_ZONES" in text  # raw and mangle
    assert "-A INPUT" not in text.replace("-A INPUT -j INPUT_direct", "")


def test_every_rule_has_a_reason() -> None:
    for backend in ("nftables", "iptables"):
        for ruleset in beside("docker-28", backend, BUILD):
            if isinstance(ruleset, NftTable):
                assert all(rule.reason for chain in ruleset.chains for rule in chain.rules)
            elif isinstance(ruleset, IptablesRuleset):
                rules = [rule for table in ruleset.tables for chain in table.chains for rule in chain.rules]
                assert all(rule.reason for rule in rules)


def test_masquerade_turns_forwarding_on_before_docker_does() -> None:
    zones: JsonValue = {"public": {"masquerade": True}}
    assert prepared(host(zones=zones)).sysctls == {"net.ipv4.ip_forward": "1"}
    assert prepared(host()).sysctls == {}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"lockdown": True}, "lockdown is not reproduced"),
        ({"zones": {"public": {"services": ["ftp"]}}}, "it tracks connections with ftp"),
        (
            {"zones": {"public": {"rich_rules": ["rule source address=198.51.100.3 drop"]}}},
            "MISSING_FAMILY",
        ),
        (
            {"zones": {"public": {"rich_rules": ["rule port port=1 protocol=tcp reject type=tcp-reset"]}}},
            "needs the rule's family",
        ),
    ],
)
def test_what_is_not_reproduced_is_refused(options: dict[str, JsonValue], complaint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(complaint)):
        alone(**options)


def test_every_service_that_firewalld_ships_can_be_read() -> None:
    assert len(SERVICES) == 221
    helped = {name for name in SERVICES if service(name).helpers}
    assert "ssh" not in helped
    assert "tftp" in helped
    assert service("ipsec").protocols == ("ah", "esp")
