"""What a stranger's lines may ask of the kernel: extensions and sysctls of one namespace, and no names."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from netlab.scenario.rules import RuleError, made_chains, parse_rule
from netlab.scenario.sysctls import NAMESPACED, wrong_sysctl

#: what administrators write; ``tests/lab/kernel/test_extensions.py`` has the kernel take them
ORDINARY = (Path(__file__).parents[2] / "data" / "ordinary_rules.txt").read_text().splitlines()
REFUSED = [
    ("iptables -A INPUT -j IDLETIMER --timeout 5 --label x", '"IDLETIMER" is neither a target'),
    ("iptables -A INPUT -jIDLETIMER --timeout 5 --label x", '"IDLETIMER" is neither a target'),
    ("iptables -A INPUT --jump=IDLETIMER", '"IDLETIMER" is neither a target'),
    ("iptables -A INPUT --j IDLETIMER", '"IDLETIMER" is neither a target'),
    ("iptables -A INPUT --g=IDLETIMER", '"IDLETIMER" is neither a target'),
    ("iptables -A INPUT --ma cgroup --path x -j DROP", 'the match "cgroup" is not allowed'),
    ("iptables -N IDLETIMER", 'no chain can be called "IDLETIMER"'),
    ("iptables --n LED", 'no chain can be called "LED"'),
    ("iptables -t nat -A PREROUTING -j NETMAP --to web", '"web" is not an address'),
    ("iptables -A INPUT -m recent --set --mask web", '"web" is not an address'),
    ("ip6tables -t mangle -A POSTROUTING -j SNPT --src-pfx web --dst-pfx ::/64", '"web" is not an address'),
    ("ip6tables -A INPUT -m srh --srh-psid web -j DROP", '"web" is not an address'),
    ("iptables -A INPUT -s ! 192.0.2.1", '"!" belongs before the option: ! -s 192.0.2.1'),
    ("iptables -A INPUT --ju IDLETIMER", '"IDLETIMER" is neither a target'),
    ("ip6tables -vA INPUT -vjLED --led-trigger-id x", '"LED" is neither a target'),
    ("iptables -A INPUT -g AUDIT", '"AUDIT" is neither a target'),
    ("iptables -A INPUT -j SYSRQ", '"SYSRQ" is neither a target'),
    ("iptables -A INPUT -j REJCT", '(did you mean "REJECT"?)'),
    ("iptables -A INPUT -m multiprt --dports 80 -j DROP", '(did you mean "multiport"?)'),
    ("iptables -A INPUT -m cgroup --path x -j DROP", 'the match "cgroup" is not allowed'),
    ("iptables -A INPUT -mcgroup --path x -j DROP", 'the match "cgroup" is not allowed'),
    ("iptables -A INPUT -s example.com -j DROP", '"example.com" is not an address'),
    ("iptables -A INPUT ! -s web -j DROP", '"web" is not an address'),
    ("iptables -A INPUT -s 10.0.0.1,web/24 -j DROP", '"web/24" is not an address'),
    ("iptables -A INPUT --dst=web -j DROP", '"web" is not an address'),
    ("iptables -A INPUT -m conntrack --ctorigsrc web -j DROP", '"web" is not an address'),
    ("iptables -t mangle -A PREROUTING -j TEE --gateway web", '"web" is not an address'),
    ("nft add rule ip filter INPUT ip saddr example.com drop", '"example.com" is not an address'),
    ("nft 'add rule ip filter INPUT ip daddr { 10.0.0.1, a.example } drop'", '"a.example" is not an address'),
    ("nft add rule ip nat PREROUTING dnat to localhost", '"localhost" is not an address'),
    ("nft 'add rule ip filter INPUT log level audit'", "audit log"),
    ("""nft -aj '{"nftables": [{"add": {"rule": {"expr": [{"log": {"level": "audit"}}]}}}]}'""", "as JSON"),
    ("nft --js '{}'", "as JSON"),
    ("""nft 'add rule ip filter INPUT log level  "audit"'""", "audit log"),
    ("""nft 'add rule ip filter INPUT ip saddr "example.com" drop'""", '"example.com" is not an address'),
    ("sysctl -w net.netfilter.nf_hooks_lwtunnel=1", "the whole machine's"),
    ("sysctl -w net/core/rmem_max=1", "the whole machine's"),
    ("sysctl -w net.ipv4.ip_forwrd=1", '(did you mean "net.ipv4.ip_forward"?)'),
    ("sysctl -w net.ipv4.conf.eth0.rp_fliter=1", '(did you mean "net.ipv4.conf.eth0.rp_filter"?)'),
    ("sysctl -w net.ipv4.ip_forward=maybe", "takes a number"),
]


@pytest.mark.parametrize(("line", "said"), REFUSED)
def test_refused(line: str, said: str) -> None:
    with pytest.raises(RuleError, match=re.escape(said)):
        parse_rule(line)


def test_ordinary_lines_pass() -> None:
    assert len(ORDINARY) > 50
    chains: set[str] = set()
    for line in ORDINARY:
        chains |= made_chains(parse_rule(line, chains))
    assert chains == {"BLOCK", "lower-case"}


def test_a_chain_of_capitals_is_one_that_was_made() -> None:
    with pytest.raises(RuleError, match="BLOCK"):
        parse_rule("iptables -A INPUT -j BLOCK")
    assert parse_rule("iptables -A INPUT -j BLOCK", {"BLOCK"})
    with pytest.raises(RuleError, match="LED"):  # a target to iptables even if there is such a chain
        parse_rule("iptables -A INPUT -j LED", {"LED"})
    assert parse_rule("iptables -A INPUT -j DOCKER-USER")
    assert shlex.split("iptables -A INPUT -j DOCKER") == list(parse_rule("iptables -A INPUT -j DOCKER"))


@pytest.mark.parametrize(
    ("key", "value", "wrong"),
    [
        ("net.ipv4.ip_forward", "1", False),
        ("net.ipv4.conf.eth0/100.rp_filter", "2", False),
        ("net.ipv4.tcp_rmem", "4096\t131072 6291456", False),
        ("net.ipv4.ip_local_reserved_ports", "8000-8010,9000", False),
        ("net.ipv4.tcp_congestion_control", "cubic", False),
        ("net.bridge.bridge-nf-call-iptables", "1", False),
        ("net.ipv4.conf.a:b.rp_filter", "1", True),
        ("net.ipv4.conf.%d.rp_filter", "1", True),
        ("net.ipv4.neigh.default.gc_thresh3", "1", True),
        ("net.ipv4.nosuch", "1", True),
        ("net", "1", True),
    ],
)
def test_sysctls(key: str, value: str, wrong: bool) -> None:
    assert bool(wrong_sysctl(key, value)) is wrong


def test_the_list_is_what_a_fresh_namespace_lets_one_write() -> None:
    """Only looked at, in a user and network namespace of its own: trying a key would be the harm itself."""
    look = "cd /proc/sys && find net -type f -perm -u+w"
    done = subprocess.run(["unshare", "-Urn", "sh", "-c", look], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {key.replace("/", ".") for key in done.stdout.split() if os.sep in key}
    general = {re.sub(r"\.(conf|neigh)\.[^.]+\.", r".\1.*.", key) for key in found}
    assert len(general) > 100
    newer = general - NAMESPACED - {"net.netfilter.nf_hooks_lwtunnel"}
    assert not newer, f"keys that this kernel has and the list lacks: {sorted(newer)}"
