"""CentOS 7's firewalld: the chains of a real host, in both families, and what options change."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netlab.firewall import prepared
from netlab.model.errors import UsageError
from netlab.model.family import FAMILIES, Family
from netlab.model.problem import Position
from netlab.model.rules import IptablesRuleset
from netlab.model.scenario import Firewall, Host, JsonValue, OutsideInterface
from netlab.plan.render import restore_text

HERE = Position("scenario.yaml", 1, 1)
#: iptables-save of a CentOS 7 host with two interfaces and firewalld 0.6.3, as it came with the system
RECORDED = Path(__file__).parents[2] / "data" / "firewalls" / "centos7-iptables.txt"


def rulesets(interfaces: tuple[str, ...] = ("ext0",), **options: JsonValue) -> dict[Family, IptablesRuleset]:
    host = Host(
        "host",
        HERE,
        firewall=Firewall("firewalld", {"layout": "centos7", **options}),
        interfaces=tuple(OutsideInterface(name, ()) for name in interfaces),
    )
    return {ruleset.family: ruleset for ruleset in prepared(host).firewall.rulesets}


def lines(family: Family, chain: str, table: str = "filter", **options: JsonValue) -> list[str]:
    """The rules of one chain."""
    found = rulesets(**options)[family].table(table)  # type: ignore[arg-type]
    assert found is not None
    chosen = found.chain(chain)
    assert chosen is not None, chain
    return [rule.text for rule in chosen.rules]


def canonical(text: str) -> list[str]:
    """Tables in any order, chains and each chain's rules in theirs: what -save versions agree in."""
    tables = re.findall(r"\*(\w+)\n(.*?)COMMIT\n", text, re.DOTALL)
    return sorted(
        line
        for table, body in tables
        for line in (
            f"{table} {chain}: "
            + " | ".join(re.findall(rf"^-A {re.escape(chain)} (.*)$", body, re.MULTILINE))
            for chain in re.findall(r"^:(\S+)", body, re.MULTILINE)
        )
    )


def test_ipv4_is_what_a_real_host_has() -> None:
    ours = restore_text(rulesets(("eth0", "eth1"))[Family.IPV4])
    assert canonical(ours) == canonical(RECORDED.read_text())


def test_ipv6_has_the_same_chains_and_its_own_words() -> None:
    ours = {family: restore_text(ruleset) for family, ruleset in rulesets().items()}
    chains = {family: re.findall(r"^[:*].*$", text, re.MULTILINE) for family, text in ours.items()}
    assert chains[Family.IPV4] == chains[Family.IPV6]
    own = set(ours[Family.IPV6].splitlines()) - set(ours[Family.IPV4].splitlines())
    assert own == {
        "-A PREROUTING -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT",
        "-A PREROUTING -p ipv6-icmp -m icmp6 --icmpv6-type 134 -j ACCEPT",
        "-A PREROUTING -m rpfilter --invert -j DROP",
        "-A INPUT -j REJECT --reject-with icmp6-adm-prohibited",
        "-A FORWARD -j REJECT --reject-with icmp6-adm-prohibited",
        "-A FWDI_public -p ipv6-icmp -j ACCEPT",
        "-A IN_public -p ipv6-icmp -j ACCEPT",
        "-A IN_public_allow -d fe80::/64 -p udp -m udp --dport 546 "
        "-m conntrack --ctstate NEW,UNTRACKED -j ACCEPT",
    }


def test_every_rule_has_a_reason() -> None:
    for ruleset in rulesets().values():
        assert all(rule.reason for table in ruleset.tables for chain in table.chains for rule in chain.rules)


def test_forwarding_is_on_before_docker_starts_unless_the_scenario_says_no() -> None:
    firewall = Firewall("firewalld", {"layout": "centos7"})
    assert prepared(Host("host", HERE, firewall=firewall)).sysctls == {"net.ipv4.ip_forward": "1"}
    off = Host("host", HERE, firewall=firewall, sysctls={"net.ipv4.ip_forward": "0"})
    assert prepared(off).sysctls == {"net.ipv4.ip_forward": "0"}


def test_direct_rules_stand_by_priority_in_the_words_of_iptables_save() -> None:
    options: dict[str, JsonValue] = {
        "direct": [
            "ipv6 filter INPUT 1 --protocol tcp --dport 443 --jump ACCEPT",
            "ipv6 filter INPUT 0 -p tcp --dport 80 -s 2001:db8:1::9 -j REJECT",
            "ipv4 nat PREROUTING 0 -i ext0 -p tcp -m multiport --dports 80,443 -j RETURN",
            "ipv6 filter INPUT 0 -m state --state ESTABLISHED,NEW ! -i lo -j ACCEPT",
        ]
    }
    assert lines(Family.IPV6, "INPUT_direct", **options) == [
        "-s 2001:db8:1::9/128 -p tcp -m tcp --dport 80 -j REJECT --reject-with icmp6-port-unreachable",
        "! -i lo -m state --state NEW,ESTABLISHED -j ACCEPT",
        "-p tcp -m tcp --dport 443 -j ACCEPT",
    ]
    assert lines(Family.IPV4, "INPUT_direct", **options) == []
    assert lines(Family.IPV4, "PREROUTING_direct", "nat", **options) == [
        "-i ext0 -p tcp -m multiport --dports 80,443 -j RETURN"
    ]


def test_a_zone_lets_in_what_it_lists_beside_what_it_ships_with() -> None:
    zones: JsonValue = {
        "public": {
            "services": ["http"],
            "ports": ["8000-8010/udp"],
            "protocols": ["gre"],
            "source_ports": ["53/udp"],
        }
    }
    new = "-m conntrack --ctstate NEW,UNTRACKED -j ACCEPT"
    assert lines(Family.IPV4, "IN_public_allow", zones=zones) == [
        f"-p tcp -m tcp --dport 22 {new}",
        f"-p tcp -m tcp --dport 80 {new}",
        f"-p udp -m udp --dport 8000:8010 {new}",
        f"-p gre {new}",
        f"-p udp -m udp --sport 53 {new}",
    ]


def test_interfaces_and_sources_choose_the_zone() -> None:
    zones: JsonValue = {
        "trusted": {"interfaces": ["ext1"], "sources": ["198.51.100.9", "2001:db8:1::/64"]},
        "mine": {"target": "REJECT", "interfaces": ["ext2"]},
    }
    assert lines(Family.IPV4, "INPUT_ZONES", zones=zones) == [
        "-i ext2 -j IN_mine",
        "-i ext1 -j IN_trusted",
        "-i ext0 -g IN_public",
        "-g IN_public",
    ]
    assert lines(Family.IPV6, "INPUT_ZONES_SOURCE", zones=zones) == ["-s 2001:db8:1::/64 -j IN_trusted"]
    assert lines(Family.IPV4, "FORWARD_OUT_ZONES_SOURCE", zones=zones) == [
        "-d 198.51.100.9/32 -j FWDO_trusted"
    ]
    assert lines(Family.IPV4, "IN_trusted", zones=zones)[-1] == "-j ACCEPT"
    assert lines(Family.IPV6, "FWDO_mine", zones=zones)[-1] == "-j REJECT --reject-with icmp6-adm-prohibited"


def test_masquerade_is_of_ipv4() -> None:
    zones: JsonValue = {"public": {"masquerade": True}}
    assert lines(Family.IPV4, "POST_public_allow", "nat", zones=zones) == ["! -o lo -j MASQUERADE"]
    assert lines(Family.IPV6, "POST_public_allow", "nat", zones=zones) == []


@pytest.mark.parametrize(
    ("rule", "family", "chain", "text"),
    [
        (
            'rule family="ipv4" source address="198.51.100.3" port port="80" protocol="tcp" reject',
            Family.IPV4,
            "IN_public_deny",
            "-s 198.51.100.3/32 -p tcp -m tcp --dport 80 -m conntrack --ctstate NEW,UNTRACKED "
            "-j REJECT --reject-with icmp-port-unreachable",
        ),
        (
            "rule family=ipv6 source NOT address=2001:db8:1::/64 drop",
            Family.IPV6,
            "IN_public_deny",
            "! -s 2001:db8:1::/64 -j DROP",
        ),
        (
            "rule service name=https accept limit value=3/m",
            Family.IPV6,
            "IN_public_allow",
            "-p tcp -m tcp --dport 443 -m conntrack --ctstate NEW,UNTRACKED -m limit --limit 3/min -j ACCEPT",
        ),
        (
            'rule protocol value=esp log prefix="esp: " level=warning limit value=1/s accept',
            Family.IPV4,
            "IN_public_log",
            "-p esp -m conntrack --ctstate NEW,UNTRACKED -m limit --limit 1/sec "
            '-j LOG --log-prefix "esp: " --log-level warning',
        ),
    ],
)
def test_rich_rules(rule: str, family: Family, chain: str, text: str) -> None:
    zones: JsonValue = {"public": {"rich_rules": [rule]}}
    assert lines(family, chain, zones=zones)[-1] == text
    assert (
        all(text not in lines(f, chain, zones=zones) for f in FAMILIES if f is not family)
        or "source" not in rule
    )


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"backend": "nftables"}, "layout: centos7 is firewalld 0.6, which writes iptables rules"),
        ({"zones": {"public": {"services": ["htpp"]}}}, "there is no service 'htpp'"),
        ({"zones": {"public": {"services": ["ftp"]}}}, "service ftp is not reproduced"),
        ({"zones": {"public": {"ports": ["80"]}}}, "'80' is not a port"),
        ({"zones": {"public": {"ports": ["90-80/tcp"]}}}, "'90-80/tcp' is not a port"),
        ({"zones": {"public": {"icmp_blocks": ["x"]}}}, "zone public: icmp_blocks is not reproduced"),
        ({"zones": {"a zone": {}}}, "'a zone' is not a zone name"),
        ({"zones": {"home": {"interfaces": ["e"]}, "work": {"interfaces": ["e"]}}}, "e is in zone home and"),
        ({"default_zone": "nowhere"}, "there is no zone 'nowhere'"),
        ({"direct": ["ipv4 filter INPUT -j ACCEPT"]}, "write FAMILY TABLE CHAIN PRIORITY ARGUMENTS"),
        ({"direct": ["ipv4 filter MINE 0 -j ACCEPT"]}, "there is no chain MINE of table filter"),
        ({"direct": ["ipv4 filter INPUT 0 -s ::1 -j DROP"]}, '"::1" is no IPv4 address'),
        ({"direct": ["ipv4 filter INPUT 0 -p tcp"]}, "has no -j"),
        (
            {"zones": {"public": {"rich_rules": ["rule priority=1 accept"]}}},
            "priorities are of firewalld 0.7",
        ),
        ({"zones": {"public": {"rich_rules": ["rule accept drop"]}}}, "accept and drop cannot be combined"),
        ({"zones": {"public": {"rich_rules": ["rule masquerade"]}}}, "'masquerade' is not reproduced"),
        ({"zones": {"public": {"rich_rules": ["rule"]}}}, "neither an action nor a log"),
        ({"zones": {"public": {"rich_rules": ["rule port port=1 accept"]}}}, "port needs port and protocol"),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, JsonValue], complaint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(complaint)):
        rulesets(**options)  # type: ignore[arg-type]
