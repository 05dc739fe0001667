"""Containers of a large network find each other by name, of Docker's DNS server."""

from __future__ import annotations

from pathlib import Path

from support.labs import Netlab


def test_every_member_of_a_large_network_knows_every_other(netlab: Netlab, tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    services = "".join(f"  s{number}: {{image: x}}\n" for number in range(70))
    file.write_text(f"services:\n{services}x-netlab:\n  host: {{engine: docker-20.10}}\n")
    lab = netlab.up(file)
    lines = netlab.exec(lab, "s3", "getent", "hosts", "s0", "s3", "s69").split("\n")
    assert {line.split()[0] for line in lines if line} == {"172.18.0.2", "172.18.0.5", "172.18.0.71"}
    assert "172.18.0.71" not in netlab.exec(lab, "s0", "cat", "/etc/hosts")
