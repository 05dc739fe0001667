"""ufw beside an engine: its rules come first, and what is not reproduced is said."""

from __future__ import annotations

import pytest

from netlab.firewall import prepared
from netlab.model.errors import Position, UsageError
from netlab.model.scenario import Firewall, Host

HERE = Position("scenario.yaml", 1, 1)


def files(firewall: Firewall) -> dict[str, str]:
    return dict(prepared(Host("host", HERE, firewall=firewall)).firewall.files)


def test_ports_that_are_allowed_are_let_in_for_both_families() -> None:
    texts = files(Firewall("ufw", {"allow": ["22/tcp", 53]}))
    for tool in ("iptables", "ip6tables"):
        lines = [line for line in texts[tool].splitlines() if "--dport" in line and "ufw-user-input" in line]
        assert lines == [
            "-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT",
            "-A ufw-user-input -p tcp -m tcp --dport 53 -j ACCEPT",
            "-A ufw-user-input -p udp -m udp --dport 53 -j ACCEPT",
        ]
        assert texts[tool].startswith("*filter\n:INPUT DROP\n")


def test_after_rules_stand_behind_ufws_own() -> None:
    after = "*filter\n-A ufw-after-forward -j RETURN\nCOMMIT\n"
    assert files(Firewall("ufw", files={"after_rules": after}))["iptables"].endswith(after)


def test_icmp_redirects_are_refused_unless_the_host_says_otherwise() -> None:
    own = {"net.ipv6.conf.all.accept_redirects": "1"}
    sysctls = prepared(Host("host", HERE, firewall=Firewall("ufw"), sysctls=own)).sysctls
    assert sysctls["net.ipv4.conf.default.accept_redirects"] == "0"
    assert sysctls["net.ipv6.conf.all.accept_redirects"] == "1"


@pytest.mark.parametrize(
    ("firewall", "complaint"),
    [
        (Firewall("ufw", {"allow": ["OpenSSH"]}), "allow 'OpenSSH' is not reproduced"),
        (Firewall("ufw", {"route_allow": ["x"]}), "route_allow is not reproduced"),
    ],
)
def test_what_is_not_reproduced_is_refused(firewall: Firewall, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        files(firewall)


def test_rule_files_and_no_firewall_stay_as_they_are() -> None:
    assert files(Firewall()) == {}
    assert files(Firewall("iptables", files={"iptables": "*filter\nCOMMIT\n"})) == {
        "iptables": "*filter\nCOMMIT\n"
    }
