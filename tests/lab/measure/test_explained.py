"""What ``explain`` advises: rules of any family and node, routes and sysctls, never what does not help."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import netlab
from netlab.kernel import netns

SCENARIO = """
services:
  web: {image: nginx, ports: ["8080:80"]}
x-netlab:
  host: {engine: docker-28}
"""
INET = "table inet filter { chain forward { type filter hook forward priority 0; policy drop; }\n}"
BRIDGE = "table bridge odd { chain only { type filter hook output priority 0; tcp dport 80 drop\n}\n}"
PROXY = ["-p", "tcp", "-d", "172.18.0.2", "--dport", "80", "-j", "DROP"]
#: name → (node, commands before and after, flow, family, the commands that help)
CASES = {
    "a native policy": (
        "host", ["nft", INET], ["nft", "delete table inet filter"], "client -> host:8080", 4,
        ["nft insert rule inet filter forward ip saddr 198.51.100.2 ip daddr 172.18.0.2 tcp dport 80 accept",
         "nft insert rule inet filter forward ip saddr 172.18.0.2 ip daddr 198.51.100.2 tcp sport 80 accept"],
    ),
    "a bridge": (
        "host", ["nft", BRIDGE], ["nft", "delete table bridge odd"], "client -> host:8080", 4,
        ["nft insert rule bridge odd only ip saddr 198.51.100.2 ip daddr 172.18.0.2 tcp dport 80 accept"],
    ),
    "the proxy's own connection": (
        "host", ["iptables", "-I", "OUTPUT", *PROXY], ["iptables", "-D", "OUTPUT", *PROXY],
        "client -> host:8080", 6,
        ["iptables -I OUTPUT -s 172.18.0.1 -d 172.18.0.2 -p tcp --dport 80 -j ACCEPT"],
    ),
    "a host that does not forward": (
        "host", ["sysctl", "-w", "net.ipv4.ip_forward=0"], ["sysctl", "-w", "net.ipv4.ip_forward=1"],
        "client -> host:8080", 4, ["sysctl -w net.ipv4.ip_forward=1"],
    ),
    "no way back": (
        "web", ["ip", "route", "del", "default"], ["ip", "route", "add", "default", "via", "172.18.0.1"],
        "client -> host:8080", 4, ["ip route add 198.51.100.2 via 172.18.0.1"],
    ),
    "nothing helps": (
        "client", ["ip", "route", "add", "blackhole", "203.0.113.0/24"],
        ["ip", "route", "del", "blackhole", "203.0.113.0/24"], "client -> 203.0.113.9:81", 4, [],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[netlab.Lab]:
    file: Path = tmp_path_factory.mktemp("explained") / "explained.yaml"
    file.write_text(SCENARIO)
    with netlab.Lab(str(file), name=f"explained-{os.getpid()}") as built:
        yield built


def run(lab: netlab.Lab, node: str, argv: list[str]) -> str:
    with netns.entered(lab.namespaces[node]):
        words, text = (["nft", "-f", "-"], argv[1]) if argv[0] == "nft" and len(argv) == 2 else (argv, "")
        return subprocess.run(words, input=text, check=True, text=True, capture_output=True).stdout


def state(lab: netlab.Lab, node: str) -> list[str]:
    """What a node's kernel holds that advice may change: all but the instrument's own tables."""
    tables = run(lab, node, ["nft", "-s", "list", "ruleset"]).split("\n}\n")
    rest = [["ip", "route"], ["sysctl", "net.ipv4.ip_forward"]]
    return [t for t in tables if "netlab-trace" not in t] + [run(lab, node, argv) for argv in rest]


@pytest.mark.parametrize("name", CASES)
def test_what_helps_is_advised_and_undone(lab: netlab.Lab, name: str) -> None:
    node, add, remove, flow, family, commands = CASES[name]
    run(lab, node, add)
    try:
        before = state(lab, node)
        explanation = lab.explain(flow, family)
        after = state(lab, node)
    finally:
        run(lab, node, remove)
    assert explanation.wish == "allow"
    assert [" ".join(rule.add) for rule in explanation.rules] == commands
    assert {rule.node for rule in explanation.rules} <= {node}
    assert before == after
    if commands:
        assert explanation.after is not None
        assert explanation.after.outcome == "ok"
    else:
        assert [" ".join(rule.add) for rule in explanation.failed] == [
            "ip route del blackhole 203.0.113.0/24"
        ]


def test_where_nobody_listens_that_is_said(lab: netlab.Lab) -> None:
    explanation = lab.explain("client -> host:81", 4)
    assert (explanation.wish, explanation.rules) == (None, ())
    assert explanation.cause.startswith("Nothing on host listens on 81/tcp")
