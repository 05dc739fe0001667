"""The classic host, seen with its own tools: chains in their order, docker-proxy's sockets."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from support.labs import ROOT, Netlab

SCENARIO = ROOT / "scenarios" / "httpd-firewalld.yaml"

DOCKERS = (("docker_httpd",), ("docker0",))
INPUT = [
    ("ACCEPT", "*", "*", "ctstate RELATED,ESTABLISHED"),
    ("ACCEPT", "lo", "*", ""),
    ("INPUT_direct", "*", "*", ""),
    ("INPUT_ZONES_SOURCE", "*", "*", ""),
    ("INPUT_ZONES", "*", "*", ""),
    ("DROP", "*", "*", "ctstate INVALID"),
    ("REJECT", "*", "*", "reject-with {reject}"),
]
FIREWALLD_FORWARD = [
    *INPUT[:2],
    ("FORWARD_direct", "*", "*", ""),
    ("FORWARD_IN_ZONES_SOURCE", "*", "*", ""),
    ("FORWARD_IN_ZONES", "*", "*", ""),
    ("FORWARD_OUT_ZONES_SOURCE", "*", "*", ""),
    ("FORWARD_OUT_ZONES", "*", "*", ""),
    *INPUT[5:],
]
DOCKER_FORWARD = [
    ("DOCKER-USER", "*", "*", ""),
    ("DOCKER-ISOLATION-STAGE-1", "*", "*", ""),
    *(
        rule
        for (bridge,) in DOCKERS
        for rule in (
            ("ACCEPT", "*", bridge, "ctstate RELATED,ESTABLISHED"),
            ("DOCKER", "*", bridge, ""),
            ("ACCEPT", bridge, f"!{bridge}", ""),
            ("ACCEPT", bridge, bridge, ""),
        )
    ),
]
PREROUTING = [
    ("PREROUTING_direct", "*", "*", ""),
    ("PREROUTING_ZONES_SOURCE", "*", "*", ""),
    ("PREROUTING_ZONES", "*", "*", ""),
]
TO_DOCKER = ("DOCKER", "*", "*", "ADDRTYPE match dst-type LOCAL")


@pytest.fixture
def lab(netlab: Netlab) -> Iterator[str]:
    return netlab.up(SCENARIO)


def listed(netlab: Netlab, lab: str, tool: str, table: str, chain: str) -> tuple[str, list[tuple[str, ...]]]:
    """(policy, [(target, in, out, match)]) of ``iptables -nvL``."""
    head, _, *rows = netlab.exec(lab, "host", tool, "-t", table, "-nvL", chain).splitlines()
    policy = re.search(r"policy (\w+)", head)
    assert policy
    rules = []
    for row in rows:
        words = row.split()
        words = words[2:] if tool == "iptables" else [w for w in words[2:] if w != "--"]
        # target, prot, opt, in, out, source, destination, match; ip6tables may leave opt empty
        target, rest = words[0], words[2:]
        rest = rest[1:] if rest[0] == "--" else rest
        rules.append((target, rest[0], rest[1], " ".join(rest[4:])))
    return policy[1], rules


def said(rules: list[tuple[str, str, str, str]], reject: str) -> list[tuple[str, ...]]:
    return [(target, i, o, match.format(reject=reject)) for target, i, o, match in rules]


@pytest.mark.parametrize(
    ("tool", "reject", "docker"),
    [("iptables", "icmp-host-prohibited", True), ("ip6tables", "icmp6-adm-prohibited", False)],
)
def test_chains_stand_as_on_the_classic_host(
    netlab: Netlab, lab: str, tool: str, reject: str, docker: bool
) -> None:
    def chain(table: str, name: str) -> tuple[str, list[tuple[str, ...]]]:
        return listed(netlab, lab, tool, table, name)

    assert chain("nat", "PREROUTING") == ("ACCEPT", [*PREROUTING, TO_DOCKER] if docker else PREROUTING)
    assert chain("filter", "INPUT") == ("ACCEPT", said(INPUT, reject))
    forward = [*DOCKER_FORWARD, *FIREWALLD_FORWARD] if docker else FIREWALLD_FORWARD
    assert chain("filter", "FORWARD") == ("ACCEPT", said(forward, reject))


def test_one_ipv6_socket_of_docker_proxy_a_port_serves_both_families(netlab: Netlab, lab: str) -> None:
    lines = netlab.exec(lab, "host", "netstat", "-anp").splitlines()
    listening = [line.split() for line in lines if "LISTEN" in line.split() and "docker-proxy" in line]
    assert sorted((words[0], words[3]) for words in listening) == [("tcp6", ":::443"), ("tcp6", ":::80")]
    _, *sockets = netlab.exec(lab, "host", "lsof", "-nP", "-i:80").splitlines()
    assert [socket.split()[4] for socket in sockets] == ["IPv6"]
    assert sockets[0].startswith("docker-pr")
