"""``run: real``: the tool runs inside the lab, its rules decide, and it ends with the lab."""

from __future__ import annotations

import json
import os
import select
import subprocess
from itertools import groupby
from pathlib import Path

import pytest
from support.labs import Netlab

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
#: The model is firewalld's 1.3.3; another version, as Debian 13's, has other chains of its own.
LIKE_THE_MODEL = subprocess.run(
    ["dpkg-query", "-W", "-f", "${Version}", "firewalld"], check=True, capture_output=True, text=True
).stdout.startswith("1.3.")

BUILTIN = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")

DEFAULTS = {"incoming": "reject", "outgoing": "deny", "routed": "allow"}
UFW = {
    "allow": ["22/tcp"],
    "rules": [
        "limit 2222/tcp",
        "reject 25",
        "deny from 198.51.100.99",
        "deny out 26/tcp",
        "route reject in on ext0 out on docker0 from 10.0.0.0/8",
    ],
    "run": "real",
}
REAL = {
    "ufw": ({"ufw": UFW}, "timeout", "ufw-user-input"),
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
        "*filter\n:MINE - [0:0]\n-A MINE -m set --match-set no-such-set src -j DROP\nCOMMIT\n"
    )
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO.replace("{firewall}", json.dumps(firewall)))
    failed = netlab("up", file, "--name", netlab.name(), code=1)
    assert "firewall: ufw: ufw --force enable" in failed.stderr


@pytest.mark.parametrize("kind", REAL)
def test_commands_in_the_host_speak_to_the_lab_s_own_tool(netlab: Netlab, tmp_path: Path, kind: str) -> None:
    """Commands given there take effect, and the machine's own /etc and /run are unchanged."""
    firewall, shut, _ = REAL[kind]
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO.replace("{firewall}", json.dumps(firewall)))
    lab = netlab.up(file)
    places = [Path("/run"), Path("/etc/ufw"), Path("/etc/firewalld/zones")]
    before = [sorted(os.listdir(place)) if place.exists() else None for place in places]
    if kind == "ufw":
        assert "Status: active" in netlab.exec(lab, "host", "ufw", "status")
        netlab.exec(lab, "host", "ufw", "allow", "8080/tcp")
    else:
        assert netlab.exec(lab, "host", "firewall-cmd", "--state") == "running\n"
        assert "docker0" in netlab.exec(lab, "host", "firewall-cmd", "--zone=docker", "--list-interfaces")
        netlab.exec(lab, "host", "firewall-cmd", "--zone=public", "--add-port=8080/tcp")
    assert outcome(netlab, lab, "client -> host:8080") == "ok"
    assert [sorted(os.listdir(place)) if place.exists() else None for place in places] == before
    assert "host" in netlab.exec(lab, "host", "cat", "/etc/hosts")
    if kind != "ufw":  # what was not said to be permanent ends with a reload
        netlab("do", lab, "reload", "firewall")
        assert outcome(netlab, lab, "client -> host:8080") == shut


def outcome(netlab: Netlab, lab: str, flow: str) -> str:
    return str(json.loads(netlab("probe", "-4", "--json", lab, flow).stdout)["outcome"])


def rules(netlab: Netlab, lab: str) -> list[str]:
    """All rules in order; of the interfaces in a policy firewalld itself has none, they are a set there.

    With another firewalld than the model's, those of the engine alone.
    """
    text = netlab.exec(lab, "host", "iptables-save")
    lines = [line.partition("[")[0] for line in text.splitlines() if not line.startswith("#")]
    groups = groupby(lines, lambda line: line.split()[1] if "_POLICIES_" in line.split("-j")[0] else None)
    found = [line for chain, group in groups for line in (sorted(group) if chain else group)]
    return found if LIKE_THE_MODEL else [line for line in found if is_the_engine_s(line)]


def is_the_engine_s(line: str) -> bool:
    """Whether Docker wrote it: about a chain of its own, or in a builtin chain about its bridges."""
    _, _, chain = line.partition("-A ")
    return "DOCKER" in line or ("docker_" in line and chain.split(" ")[0] in BUILTIN)


TWO = """
services:
  web: {image: any, networks: [web], ports: ["80:80"]}
  db: {image: any, networks: [db], ports: ["5432:5432"]}
networks:
  web: {driver_opts: {com.docker.network.bridge.name: docker_web}}
  db: {driver_opts: {com.docker.network.bridge.name: docker_db}}
x-netlab:
  host:
    engine: {engine}
    firewall: {firewall}
  events: {events}
"""
EVENTS = (
    "reload firewall",
    "restart web",
    "run host iptables -t nat -F DOCKER",
    "run host iptables -t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
    "run host iptables -A INPUT -s 203.0.113.7 -j DROP",
    "restart daemon",
    "restart web",
    "disconnect db db",
    "remove network db",
)


@pytest.mark.timeout(300)  # firewalld takes seconds for each, and two labs stand
@pytest.mark.parametrize(
    ("kind", "engine"), [("nftables", "docker-20.10"), ("iptables", "docker-28"), ("ufw", "docker-20.10")]
)
def test_what_happens_to_a_real_firewall_s_host_is_as_in_the_model(
    netlab: Netlab, tmp_path: Path, kind: str, engine: str
) -> None:
    """After each event the rules are those of a lab whose firewall is data, to which the same happened."""
    firewall = REAL[kind][0] if kind != "ufw" else {"ufw": UFW | {"default": DEFAULTS}}
    modelled = {
        tool: {key: value for key, value in options.items() if key != "run"}
        for tool, options in firewall.items()
    }
    labs = []
    for number, one in enumerate((firewall, modelled)):
        file = tmp_path / f"scenario{number}.yaml"
        text = TWO.replace("{engine}", engine).replace("{events}", "[]")
        file.write_text(text.replace("{firewall}", json.dumps(one)))
        labs.append(netlab.up(file, "--project-name", "same"))
    real, model = labs
    for event in EVENTS:
        for lab in labs:
            netlab("do", lab, *event.split())
        assert rules(netlab, real) == rules(netlab, model), event


def test_a_reload_of_ufw_leaves_others_rules_alone(netlab: Netlab, tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO.replace("{firewall}", json.dumps(REAL["ufw"][0])))
    lab = netlab.up(file)
    netlab.exec(lab, "host", "iptables", "-I", "DOCKER-USER", "-s", "198.51.100.2", "-j", "DROP")
    before = rules(netlab, lab)
    netlab("do", lab, "reload", "firewall")
    assert rules(netlab, lab) == before
    assert outcome(netlab, lab, "client -> host:80") == "timeout"
    assert outcome(netlab, lab, "neighbour -> host:80") == "ok"
