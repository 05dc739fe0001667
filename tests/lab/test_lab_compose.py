"""What a Compose file says of host names, shared namespaces and networks by name, in a lab."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.labs import Netlab

SCENARIO = """\
services:
  owner: {image: x, hostname: bee, networks: [n], sysctls: {net.ipv4.ip_default_ttl: 70}}
  guest: {image: x, network_mode: "service:owner", sysctls: {net.ipv4.ip_default_ttl: 77}}
  again: {image: x, network_mode: "service:guest", uts: host}
  alone: {image: x, uts: host, networks: [n], sysctls: [net/ipv4/ip_default_ttl=99]}
  named: {image: x, network_mode: shared_n, container_name: called, expose: [80]}
networks: {n: {}}
x-netlab: {host: {engine: docker-20.10}}
"""


@pytest.fixture
def lab(netlab: Netlab, tmp_path: Path) -> str:
    file = tmp_path / "shared.yaml"
    file.write_text("name: shared\n" + SCENARIO)
    return netlab.up(file)


def test_names_and_shared_namespaces(netlab: Netlab, lab: str) -> None:
    def of(node: str, *command: str) -> str:
        return netlab.exec(lab, node, *command).strip()

    nodes = ("host", "owner", "guest", "again", "alone")
    assert [of(node, "hostname") for node in nodes] == ["host", "bee", "bee", "host", "host"]
    assert [of(node, "cat", "/etc/hostname") for node in nodes[:4]] == ["host", "bee", "bee", "bee"]
    own = of("alone", "cat", "/etc/hostname")
    assert own in of("alone", "cat", "/etc/hosts").splitlines()[-1]
    assert own != "host"
    ttl = "net/ipv4/ip_default_ttl"
    assert [of(node, "cat", f"/proc/sys/{ttl}") for node in ("owner", "alone")] == ["77", "99"]
    assert of("guest", "cat", "/etc/resolv.conf") == of("owner", "cat", "/etc/resolv.conf")
    # a network that network_mode names: the container's name is known on it, the service's is not
    assert of("owner", "getent", "hosts", "called").split()[0].startswith("172.18.")
    assert netlab.exec(lab, "owner", "sh", "-c", "getent hosts named || echo nobody").strip() == "nobody"
