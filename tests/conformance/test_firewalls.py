"""The host's own firewall as data, and the tool itself (``run: real``), in two labs: equal rules.

Beside each tool stand an engine's rules, so that their order among the tool's is compared as well.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netlab.model.iptables_save import saved_lines

SCENARIO = """
services:
  httpd:
    image: nginx
    networks: {nw: {ipv4_address: 192.168.10.10}}
    ports: ["80:80", "443:443"]
  other:
    image: nginx
    networks: {two: {}}
    ports: ["8080:80/udp"]
networks:
  nw:
    ipam: {config: [{subnet: 192.168.10.0/24}]}
    driver_opts: {com.docker.network.bridge.name: docker_httpd}
  two:
    driver_opts: {com.docker.network.bridge.name: docker_two}
"""
RECIPE = Path(__file__).parents[2] / "scenarios" / "ufw-docker" / "after.rules"

UFW = {
    "ufw-plain": {},
    "ufw-allow": {
        "allow": [
            "22/tcp",
            "53",
            "8000:8010/tcp",
            "80,443/tcp",
            "from 198.51.100.0/24",
            "from 2001:db8:1::/64 to any port 9000:9010 proto udp",
            "in on ext0 to any port 25 proto tcp",
            "proto udp from any to 198.51.100.1 port 99",
        ],
        "route_allow": [
            "proto tcp from any to 192.168.10.10 port 443",
            "from 198.51.100.3",
            "in on ext0 out on docker_httpd",
            "81/tcp",
        ],
    },
    "ufw-docker": {
        "allow": ["22/tcp"],
        "route_allow": ["proto tcp from any to 192.168.10.10 port 80"],
        "after_rules": "after.rules",
    },
}
FIREWALLD = {
    "plain": {},
    "default-zone": {"default_zone": "drop"},
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
                    "rule family=ipv4 source address=198.51.100.3 port port=80 protocol=tcp reject",
                    "rule family=ipv6 source NOT address=2001:db8:1::/64 drop",
                    "rule family=ipv6 service name=https accept limit value=3/m",
                    "rule protocol value=esp log prefix='esp: ' level=warning limit value=1/s accept",
                    "rule family=ipv4 priority=-10 source address=198.51.100.4/30 "
                    "destination address=198.51.100.1 accept",
                    "rule priority=-20 port port=90-99 protocol=udp drop",
                    "rule port port=91 protocol=tcp reject",
                    "rule family=ipv4 priority=5 source-port port=53 protocol=udp "
                    "reject type=icmp-host-prohibited",
                    "rule family=ipv4 priority=6 port port=54 protocol=tcp reject type=tcp-reset",
                    "rule service name=mdns reject",
                    "rule family=ipv4 priority=-10 port port=22 protocol=tcp log level=info accept",
                    "rule family=ipv6 port port=23 protocol=tcp log prefix=x",
                ]
            }
        }
    },
    "direct": {
        "direct": [
            "ipv4 filter INPUT 1 -p tcp --dport 443 -j ACCEPT",
            "ipv4 filter INPUT 0 -p tcp --dport 80 -j ACCEPT",
            "ipv6 filter FORWARD 0 -i ext0 -j DROP",
            "ipv4 nat POSTROUTING 0 -o ext0 -j MASQUERADE",
        ]
    },
}
CASES: list[tuple[str, dict[str, object], str]] = [
    *((name, {"ufw": options}, "docker-20.10") for name, options in UFW.items()),
    *(
        (f"firewalld-{name}-{backend}", {"firewalld": {"backend": backend, **options}}, "docker-28")
        for backend in ("nftables", "iptables")
        for name, options in FIREWALLD.items()
    ),
    *(
        (f"firewalld-{backend}-{engine}", {"firewalld": {"backend": backend}}, engine)
        for backend in ("nftables", "iptables")
        for engine in ("docker-19.03", "docker-20.10", "docker-26", "docker-29-nftables")
    ),
]


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """``netlab ARGUMENTS`` with a state of its own, in a folder with the scenario; labs go at the end."""
    state = tempfile.mkdtemp(prefix="netlab-test-")
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    shutil.copy(RECIPE, tmp_path)

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "netlab", *arguments],
            cwd=tmp_path,
            env={**os.environ, "NETLAB_STATE": state},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, f"netlab {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done.stdout

    yield run
    run("down", "--all")
    shutil.rmtree(state)


def chains(text: str) -> dict[str, list[str]]:
    """iptables-save: table and chain, policy, rules in order.

    The order in which firewalld dispatches by a policy's zone is that of a Python set, another at each start.
    """
    found: dict[str, list[str]] = {}
    for one in saved_lines(text):
        if one.kind == "chain":
            found[f"{one.table} {one.chain}"] = [one.text]
        elif one.kind == "rule":
            found[f"{one.table} {one.chain}"].append(one.text)
    return {name: sorted(rules) if name.endswith("_POLICIES_pre") else rules for name, rules in found.items()}


def native(text: str) -> dict[str, list[str]]:
    """nft list of firewalld's table: chain, rules in order; a set's members have no order."""
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


def stands(command: Callable[..., str], firewall: dict[str, object], engine: str) -> dict[str, object]:
    """Everything that the kernel has in a lab with that firewall."""
    lab = f"c{os.urandom(5).hex()}"
    options = ("--engine", engine, "--firewall", json.dumps(firewall), "--name", lab)
    command("up", "-q", "scenario.yaml", *options)
    found: dict[str, object] = {
        tool: chains(command("exec", f"{lab}.host", "--", tool))
        for tool in ("iptables-save", "ip6tables-save")
    }
    tables = command("exec", f"{lab}.host", "--", "nft", "list", "tables").splitlines()
    for table in tables:
        family, name = table.split()[1:3]
        if family == "inet" or name == "docker-bridges":
            listed = command("exec", f"{lab}.host", "--", "nft", "-s", "list", "table", family, name)
            found[f"{family} {name}"] = native(listed)
    command("down", lab)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="ufw and firewalld are root's")
@pytest.mark.parametrize(
    ("firewall", "engine"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_data_and_the_tool_are_equal(
    command: Callable[..., str], firewall: dict[str, object], engine: str
) -> None:
    ((kind, options),) = firewall.items()
    assert isinstance(options, dict)
    real = stands(command, {kind: {**options, "run": "real"}}, engine)
    data = stands(command, firewall, engine)
    assert data.keys() == real.keys()
    for what in data:
        assert data[what] == real[what], what
    if kind == "firewalld" and options["backend"] == "nftables":
        assert "inet firewalld" in data
