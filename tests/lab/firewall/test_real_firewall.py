"""``run: real``: the tool runs inside the lab, its rules decide, and it ends with the lab."""

from __future__ import annotations

import json
import os
import select
from pathlib import Path

import pytest
from conftest import Netlab

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="the processes of a lab of another user's are hidden"
)

SCENARIO = """
services:
  httpd:
    image: nginx
    ports: ["80:80"]
x-netlab:
  host:
    engine: docker-20.10
    listen: [22, 8080]
    firewall: {firewall}
"""
REAL = {
    "ufw": ({"ufw": {"allow": ["22/tcp"], "run": "real"}}, "timeout", "ufw-user-input"),
    "nftables": ({"firewalld": {"run": "real"}}, "unreachable", "filter_IN_public_allow"),
    "iptables": ({"firewalld": {"backend": "iptables", "run": "real"}}, "unreachable", "IN_public_allow"),
}


def processes(pid: int) -> set[tuple[int, str]]:
    """(PID, program) of everything in the PID namespace whose init is ``pid``."""
    inside = os.stat(f"/proc/{pid}/ns/pid").st_ino
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "ns/pid").stat().st_ino == inside:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    found.add((int(entry.name), b" ".join(words[:2]).decode()))
            except OSError:  # it has ended, or is none of ours
                continue
    return found


@pytest.mark.parametrize("kind", REAL)
def test_the_tool_decides_and_ends_with_the_lab(netlab: Netlab, tmp_path: Path, kind: str) -> None:
    firewall, shut, chain = REAL[kind]
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO.replace("{firewall}", json.dumps(firewall)))
    lab = netlab.up(file)
    pid = netlab.record(lab)["pid"]
    assert isinstance(pid, int)
    inside = processes(pid)
    assert any("firewalld" in program for _, program in inside) is (kind != "ufw")

    flows = ("client -> host:22", "client -> host:8080", "client -> host:80")
    found = [json.loads(line) for line in netlab("probe", "--json", lab, *flows).stdout.splitlines()]
    outcomes = {(j["flow"]["to"], j["flow"]["family"]): j["outcome"] for j in found}
    assert outcomes == {
        ("host:22/tcp", "ipv4"): "ok",
        ("host:22/tcp", "ipv6"): "ok",
        ("host:8080/tcp", "ipv4"): shut,
        ("host:8080/tcp", "ipv6"): shut,
        ("host:80/tcp", "ipv4"): "ok",
        ("host:80/tcp", "ipv6"): shut,
    }
    assert chain in json.dumps(found[0]), "the trace names the tool's own chain"

    alive = {os.pidfd_open(number): program for number, program in inside}
    netlab("down", lab)
    for handle, program in alive.items():
        ended, _, _ = select.select([handle], [], [], 20)
        os.close(handle)
        assert ended, f"{program} outlives the lab"


def test_a_tool_that_refuses_is_quoted(netlab: Netlab, tmp_path: Path) -> None:
    firewall = {"ufw": {"after_rules": "after.rules", "run": "real"}}
    (tmp_path / "after.rules").write_text(
        "*filter\n:MINE - [0:0]\n-A MINE -m no-such-match -j DROP\nCOMMIT\n"
    )
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO.replace("{firewall}", json.dumps(firewall)))
    failed = netlab("up", file, "--name", netlab.name(), code=1)
    assert "firewall: ufw: ufw --force enable" in failed.stderr
