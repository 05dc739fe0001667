"""ufw beside an engine: its rules come first, and what is not reproduced is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netlab.firewall import prepared
from netlab.lab.load import load_plan
from netlab.model.errors import UsageError
from netlab.model.family import Family
from netlab.model.problem import Position, ScenarioError
from netlab.model.scenario import Firewall, Host, JsonValue

HERE = Position("scenario.yaml", 1, 1)


def ready(firewall: Firewall) -> Firewall:
    return prepared(Host("host", HERE, firewall=firewall)).firewall


def chain(firewall: Firewall, family: Family, name: str) -> list[str]:
    """The rules of one chain of table filter."""
    (ruleset,) = (r for r in ready(firewall).rulesets if r.family is family)
    table = ruleset.table("filter")
    assert table is not None
    found = table.chain(name)
    assert found is not None
    return [rule.text for rule in found.rules]


#: What is typed behind ``ufw allow``, and the rules that ufw 0.36.2 makes of it, by family.
ALLOWED = [
    ("22/tcp", "-p tcp -m tcp --dport 22 -j ACCEPT", "-p tcp -m tcp --dport 22 -j ACCEPT"),
    ("from 198.51.100.0/24", "-s 198.51.100.0/24 -j ACCEPT", None),
    (
        "from 198.51.100.3 to any port 8080 proto tcp",
        "-s 198.51.100.3/32 -p tcp -m tcp --dport 8080 -j ACCEPT",
        None,
    ),
    (
        "from 2001:db8:1::/64 to any port 9000:9010 proto udp",
        None,
        "-s 2001:db8:1::/64 -p udp -m multiport --dports 9000:9010 -j ACCEPT",
    ),
    (
        "in on ext0 to any port 25 proto tcp",
        "-i ext0 -p tcp -m tcp --dport 25 -j ACCEPT",
        "-i ext0 -p tcp -m tcp --dport 25 -j ACCEPT",
    ),
    (
        "80,443/tcp",
        "-p tcp -m multiport --dports 80,443 -j ACCEPT",
        "-p tcp -m multiport --dports 80,443 -j ACCEPT",
    ),
    (
        "proto udp from any to 198.51.100.1 port 99",
        "-d 198.51.100.1/32 -p udp -m udp --dport 99 -j ACCEPT",
        None,
    ),
]


@pytest.mark.parametrize(("entry", "ipv4", "ipv6"), ALLOWED)
def test_what_is_allowed_is_let_in(entry: str, ipv4: str | None, ipv6: str | None) -> None:
    firewall = Firewall("ufw", {"allow": [entry]})
    assert chain(firewall, Family.IPV4, "ufw-user-input") == [ipv4] * (ipv4 is not None)
    assert chain(firewall, Family.IPV6, "ufw6-user-input") == [ipv6] * (ipv6 is not None)


def test_a_port_alone_is_both_protocols() -> None:
    rules = ["-p tcp -m tcp --dport 53 -j ACCEPT", "-p udp -m udp --dport 53 -j ACCEPT"]
    assert chain(Firewall("ufw", {"allow": [53]}), Family.IPV4, "ufw-user-input") == rules


def test_route_allow_lets_through() -> None:
    firewall = Firewall(
        "ufw", {"route_allow": ["proto tcp from any to 192.168.10.10 port 443", "in on ext0 out on br0"]}
    )
    assert chain(firewall, Family.IPV4, "ufw-user-forward") == [
        "-d 192.168.10.10/32 -p tcp -m tcp --dport 443 -j ACCEPT",
        "-i ext0 -o br0 -j ACCEPT",
    ]
    assert chain(firewall, Family.IPV6, "ufw6-user-forward") == ["-i ext0 -o br0 -j ACCEPT"]


def test_every_rule_has_a_reason() -> None:
    rules = [
        rule
        for ruleset in ready(Firewall("ufw", {"allow": ["80/tcp"]})).rulesets
        for table in ruleset.tables
        for one in table.chains
        for rule in one.rules
    ]
    assert all(rule.reason for rule in rules)
    assert {rule.reason for rule in rules if "--dport 80 " in rule.text} == {"ufw allow 80/tcp"}


def test_after_rules_stand_behind_ufws_own_in_the_words_of_iptables_save() -> None:
    after = "# a comment\n*filter\n:DOCKER-USER - [0:0]\n-A DOCKER-USER -j RETURN -s 10.0.0.0/8\n"
    after += "-A DOCKER-USER -j DROP -p tcp -m tcp --tcp-flags FIN,SYN SYN -d 10.0.0.0/8\nCOMMIT\n"
    firewall = Firewall("ufw", files={"after_rules": after})
    assert chain(firewall, Family.IPV4, "DOCKER-USER") == [
        "-s 10.0.0.0/8 -j RETURN",
        "-d 10.0.0.0/8 -p tcp -m tcp --tcp-flags FIN,SYN SYN -j DROP",
    ]
    with pytest.raises(AssertionError):
        chain(firewall, Family.IPV6, "DOCKER-USER")


def test_sysctls_are_applied_unless_the_scenario_says_otherwise() -> None:
    host = Host("host", HERE, firewall=Firewall("ufw"), sysctls={"net.ipv4.icmp_echo_ignore_all": "1"})
    sysctls = prepared(host).sysctls
    assert sysctls["net.ipv4.conf.all.accept_redirects"] == "0"
    assert sysctls["net.ipv4.icmp_echo_ignore_all"] == "1"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"allow": ["OpenSSH"]}, "'OpenSSH' is not a port"),
        ({"allow": ["80:90"]}, "must specify 'tcp' or 'udp'"),
        ({"allow": ["80/gre"]}, "the protocol gre has no ports"),
        ({"allow": ["80/sctp"]}, "protocol 'sctp' is not reproduced"),
        ({"allow": ["from nowhere"]}, "'nowhere' is not an address"),
        ({"allow": ["in on ext0 out on docker0"]}, "is a route rule"),
        ({"allow": ["from any in ext0"]}, "in on INTERFACE is expected"),
        ({"rules": ["block 80/tcp"]}, "'block' is none of allow, deny, reject, limit"),
        ({"route_allow": ["80/tcp log"]}, "'80/tcp' is not reproduced"),
        ({"deny": ["80/tcp"]}, "deny is not reproduced"),
    ],
)
def test_what_is_not_reproduced_is_refused(options: dict[str, JsonValue], complaint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(complaint)):
        ready(Firewall("ufw", options))


def test_rule_files_and_no_firewall_stay_as_they_are() -> None:
    assert ready(Firewall()) == Firewall()
    own = Firewall("iptables", files={"iptables": "*filter\nCOMMIT\n"})
    assert ready(own) == own


@pytest.mark.parametrize(
    ("rule", "chain_name", "expected"),
    [
        ("deny 80/tcp", "ufw-user-input", ["-p tcp -m tcp --dport 80 -j DROP"]),
        (
            "reject 25",
            "ufw-user-input",
            [
                "-p tcp -m tcp --dport 25 -j REJECT --reject-with tcp-reset",
                "-p udp -m udp --dport 25 -j REJECT --reject-with icmp-port-unreachable",
            ],
        ),
        (
            "limit 22/tcp",
            "ufw-user-input",
            [
                "-p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -m recent --set --name DEFAULT"
                " --mask 255.255.255.255 --rsource",
                "-p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -m recent --update"
                " --seconds 30 --hitcount 6 --name DEFAULT --mask 255.255.255.255 --rsource"
                " -j ufw-user-limit",
                "-p tcp -m tcp --dport 22 -j ufw-user-limit-accept",
            ],
        ),
        ("deny out 25/tcp", "ufw-user-output", ["-p tcp -m tcp --dport 25 -j DROP"]),
        ("reject out on ext0 to any port 53 proto udp", "ufw-user-output",
         ["-o ext0 -p udp -m udp --dport 53 -j REJECT --reject-with icmp-port-unreachable"]),
        ("route deny in on ext0 out on docker0", "ufw-user-forward", ["-i ext0 -o docker0 -j DROP"]),
    ],
)  # fmt: skip
def test_rules_as_ufw_0_36_2_writes_them(rule: str, chain_name: str, expected: list[str]) -> None:
    """Compared with the tool itself in tests/lab/firewall/test_real_firewall.py."""
    assert chain(Firewall("ufw", {"rules": [rule]}), Family.IPV4, chain_name) == expected


def test_defaults_change_policies_logging_and_tracking() -> None:
    firewall = Firewall("ufw", {"default": {"outgoing": "deny", "routed": "allow", "incoming": "reject"}})
    (filter_table,) = (t for t in ready(firewall).rulesets[0].tables if t.name == "filter")
    policies = {c.name: c.policy for c in filter_table.chains if c.policy}
    assert policies == {"INPUT": "DROP", "FORWARD": "ACCEPT", "OUTPUT": "DROP"}
    assert chain(firewall, Family.IPV4, "ufw-track-output") == []
    assert len(chain(firewall, Family.IPV4, "ufw-track-forward")) == 2
    assert chain(firewall, Family.IPV6, "ufw6-reject-input") == [
        "-j REJECT --reject-with icmp6-port-unreachable"
    ]
    assert chain(firewall, Family.IPV4, "ufw-skip-to-policy-output") == ["-j DROP"]


@pytest.mark.parametrize("key", ["after_rules", "after6_rules"])
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('-A ufw-after-input -m comment --comment "x -j DROP', "2:41: the quote that begins here has no end"),
        ("-A ", '"-A" is not a line of an iptables-save file'),
        ("*evil", 'there is no table "evil"'),
        ("-A ufw-after-input -j LED --led-trigger-id x", '2:23: "LED" is neither a target'),
        ("-A ufw-after-inputs -j DROP", "is not a line of iptables-save for a chain of that table"),
    ],
)
def test_a_line_of_after_rules_that_is_wrong_is_an_error_with_a_place(
    tmp_path: Path, key: str, line: str, said: str
) -> None:
    (tmp_path / "a.rules").write_text(f"*filter\n{line}\nCOMMIT\n")
    file = tmp_path / "f.yaml"
    file.write_text(
        f"services: {{c: {{image: x}}}}\nx-netlab: {{host: {{firewall: {{ufw: {{{key}: a.rules}}}}}}}}\n"
    )
    with pytest.raises(ScenarioError) as caught:
        load_plan([file])
    assert {(p.position.file, p.position.line) for p in caught.value.problems} == {("a.rules", 2)}
    assert said in str(caught.value)
