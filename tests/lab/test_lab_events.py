"""What happens to a lab that stands: after each event it is as a lab that was built at that state.

::

    client ── host ─┬─ front ── web (80/tcp, 53/udp published), shop
                    └─ back ─── db (web is on it too)
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from netlab.lab.client import Client, attach
from netlab.lab.owned import Lab

SCENARIO = """
services:
  web:
    image: any
    networks: {{front: {{ipv4_address: 172.30.0.10}}, back: {{}}}}
    ports: ['80:80', '5353:53/udp']
    restart: always
  shop: {{image: any, networks: [front], ports: ['8080:8080'], restart: always}}
  db: {{image: any, networks: [back], expose: ['5432'], restart: always}}
networks:
  front: {{enable_ipv6: true, ipam: {{config: [{{subnet: 172.30.0.0/24}}, {{subnet: 'fd00:30::/64'}}]}}}}
  back: {{ipam: {{config: [{{subnet: 172.31.0.0/24}}]}}}}
  spare: {{ipam: {{config: [{{subnet: 172.29.0.0/24}}]}}}}
x-netlab:
  host: {{engine: {engine}}}
"""
ENGINES = ("docker-19.03", "docker-20.10", "docker-26", "docker-28", "docker-29", "docker-29-nftables")
EVENTS = (
    "restart web",
    "stop shop",
    "start shop",
    "disconnect web back",
    "connect web back",
    "create network spare",
    "connect shop spare",
    "disconnect shop spare",
    "remove network spare",
    "remove db",
    "flush firewall",
    "restart daemon",
)


def write(netlab: Any, text: str, name: str = "events.yaml") -> Path:
    file = Path(netlab.state) / name
    file.write_text(text)
    return file


@pytest.fixture(autouse=True)
def the_same_labs(netlab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process sees the labs of the command line."""
    monkeypatch.setenv("NETLAB_STATE", netlab.env["NETLAB_STATE"])


def run(client: Client, node: str, *argv: str) -> str:
    """What a tool prints in a node."""
    read, write_end = os.pipe()
    with client.start(node, argv, stdio=(0, write_end, 2)) as process:
        os.close(write_end)
        with os.fdopen(read) as file:
            text = file.read()
        assert process.wait() == 0, (node, argv, text)
    return text


def links(client: Client, node: str) -> list[Any]:
    """Links with their addresses, in the kernel's order."""
    found = []
    for link in json.loads(run(client, node, "ip", "-j", "-d", "addr")):
        addresses = [
            (a["family"], a["local"], a["prefixlen"]) for a in link["addr_info"] if a["scope"] != "link"
        ]
        port = link.get("linkinfo", {}).get("info_slave_data", {})
        parts = ("ifindex", "ifname", "address", "mtu", "master", "operstate", "txqlen")
        found.append((*(link.get(part) for part in parts), port.get("hairpin"), sorted(addresses)))
    return found


def routes(client: Client, node: str) -> list[str]:
    """The main tables."""
    lines = run(client, node, "ip", "route").splitlines()
    lines += run(client, node, "ip", "-6", "route").splitlines()
    return sorted(line for line in lines if "fe80::" not in line)


def saved(client: Client, node: str) -> dict[str, list[str]]:
    """Every chain of iptables and native tables, in order."""
    rules: dict[str, list[str]] = {}
    for tool in ("iptables-save", "ip6tables-save"):
        table = ""
        for line in run(client, node, tool).splitlines():
            if line.startswith("*"):
                table = f"{tool} {line}"
            elif line.startswith(":"):
                chain, policy, _ = line[1:].split(" ")
                if policy != "ACCEPT":  # an empty chain that accepts may be left, and does nothing
                    rules.setdefault(f"{table} {chain}", []).append(policy)
            elif line.startswith("-A"):
                rules.setdefault(f"{table} {line.split()[1]}", []).append(line)
    for table in json.loads(run(client, node, "nft", "-j", "list", "tables"))["nftables"]:
        name = table.get("table", {}).get("name", "")
        if name.startswith("docker"):
            family = table["table"]["family"]
            rules[f"{family} {name}"] = run(
                client, node, "nft", "-s", "list", "table", family, name
            ).splitlines()
    return rules


def snapshot(client: Client) -> dict[str, Any]:
    """All that an event may change, by node."""
    from netlab.lab.sockets import sockets

    state: dict[str, Any] = {}
    for node in client.plan.nodes:
        if node.kind == "segment":
            continue
        state[node.name] = {
            "links": links(client, node.name),
            "routes": routes(client, node.name),
            "rules": saved(client, node.name),
            "hosts": run(client, node.name, "cat", "/etc/hosts", "/etc/resolv.conf"),
            "settings": run(client, node.name, "sysctl", "-a", "-r", "forward|route_localnet|disable_ipv6"),
        }
    state["listening"] = sorted((s.node, s.protocol, s.address, s.port, s.reason) for s in sockets(client))
    return state


def compare(client: Client) -> None:
    """The lab is as one that is built by its plan at once."""
    with Lab(plan=client.plan) as fresh:
        wanted = snapshot(fresh.client)
    found = snapshot(client)
    for node, parts in wanted.items():
        if node == "listening":
            assert found[node] == parts
            continue
        for part, value in parts.items():
            assert found[node][part] == value, (node, part)
    assert found.keys() == wanted.keys()


@pytest.mark.parametrize("engine", ENGINES)
def test_after_each_event_it_is_as_built_at_that_state(netlab: Any, engine: str) -> None:
    lab = netlab.up(write(netlab, SCENARIO.format(engine=engine)))
    for event in EVENTS:
        netlab("do", lab, *event.split())
        try:
            compare(attach(lab))
        except AssertionError as error:
            raise AssertionError(f"after {event}: {error}") from error
