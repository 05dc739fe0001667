"""A stranger's scenario starts no program of the machine with our rights, and names no file elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import unicodedata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.labs import Netlab

HEAD = "services:\n  web: {image: x, ports: ['80:80']}\nx-netlab:\n  host:\n    engine: docker-20.10\n"


def test_a_program_as_the_proxy_must_be_allowed(netlab: Netlab, tmp_path: Path) -> None:
    file = tmp_path / "stranger.yaml"
    file.write_text(HEAD + "    proxy: /usr/sbin/docker-proxy\n")
    name = netlab.name()
    done = netlab("up", file, "--name", name, code=2)
    assert "--allow-programs" in done.stderr
    assert name not in netlab("ls").stdout
    netlab("up", "-q", file, "--name", name, "--allow-programs")
    assert "peer 198.51.100.2" in netlab.exec(name, "client", "curl", "-s", "http://198.51.100.1/")
    assert "docker-proxy" in netlab.exec(name, "host", "ss", "-ltnp")


def test_a_file_outside_of_the_folder_must_be_allowed(netlab: Netlab, tmp_path: Path) -> None:
    (tmp_path / "rules.v4").write_text("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    file = inner / "stranger.yaml"
    file.write_text(HEAD + "    firewall: {iptables: ../rules.v4}\n")
    done = netlab("plan", file, code=2)
    assert f"{file}:6:" in done.stderr
    assert "--allow-outside-files" in done.stderr or "outside" in done.stderr
    netlab("plan", file, "--allow-outside-files")


@pytest.mark.parametrize(
    "text",
    [
        "include: [pipe]\nservices: {web: {image: x}}\n",
        "include: [{path: inner.yaml, env_file: pipe}]\nservices: {web: {image: x}}\n",
        "services: {web: {extends: {file: pipe, service: x}}}\n",
        HEAD + "    firewall: {iptables: pipe}\n",
    ],
    ids=["include", "env_file", "extends", "firewall"],
)
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(netlab: Netlab, tmp_path: Path, text: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "inner.yaml").write_text("services: {db: {image: x}}\n")
    file = tmp_path / "stranger.yaml"
    file.write_text(text)
    assert "pipe is not a regular file" in netlab("plan", file, code=2).stderr


def test_a_nul_in_a_file_of_variables_is_no_traceback(netlab: Netlab, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=1\nNAME=a\0b\n")
    file = tmp_path / "stranger.yaml"
    file.write_text("services: {web: {image: x, hostname: '${NAME}'}}\n")
    assert "/.env:2:1: a NUL character" in netlab("plan", file, code=2).stderr


#: Sets the window's title; C1's CSI; turns the direction of what follows; is not seen; ends XML 1.0.
OBEYED = ("\x1b", "\x07", "\x9b", "\u202e", "\u200b", "\U000e0041", "\ufffe")
SERVER = """\
import http.server, ctypes
ctypes.CDLL(None).prctl(15, b'a\\x1b[2Jb')
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.wfile.write(b'HTTP/1.0 200 \\x1b]0;x\\x07\\r\\n\\r\\n' + b'peer \\x1b[2J\\x9b\\n' * 10**5)
http.server.HTTPServer(('', 80), H).serve_forever()  # \x1b]0;x\x07\x9b
"""
#: What a flow does that meets this server, which takes one connection after the other, is not asked.
ANY = -1
EVIL = "x" + "".join(OBEYED) + "]0;y"


def harmless(text: str) -> bool:
    """Whether a terminal only shows what is in a text, and all of it (without colour)."""
    hidden = ("Cc", "Cf", "Cs", "Zl", "Zp", "Cn")
    return all(c in "\n\t" or unicodedata.category(c) not in hidden for c in text)


def yaml(scenario: dict[str, Any]) -> str:
    """JSON that is also YAML, which escapes characters beyond 16 bits differently."""
    return json.dumps(scenario).replace("\\udb40\\udc41", "\\U000e0041")


def hostile_scenario() -> dict[str, Any]:
    return {
        "services": {"web": {"image": EVIL, "ports": ["80:80"], "networks": ["n"]}},
        "networks": {"n": {"name": "x\u202e\u200b"}},
        "x-netlab": {
            "host": {"engine": "docker-20.10"},
            "services": {"web": {"command": ["python3", "-c", SERVER]}},
            "rules": [f'iptables -I DOCKER-USER -m comment --comment "{EVIL}" -j ACCEPT'],
            "expect": [{"flow": "client -> host:80", "ipv4": {"outcome": "refused"}}],
        },
    }


@pytest.mark.timeout(300)  # some forty commands
def test_control_sequences_of_a_scenario_do_not_reach_the_terminal(netlab: Netlab, tmp_path: Path) -> None:
    folder = tmp_path / EVIL
    folder.mkdir()
    file, junit, packets = folder / f"{EVIL}\n.yaml", tmp_path / "junit.xml", tmp_path / "packets"
    page = tmp_path / "page.html"
    file.write_text(yaml(hostile_scenario()))
    name = netlab.name()
    node = f"{name}.host"
    commands: dict[tuple[str | Path, ...], int] = {
        ("up", file, "--name", name): 0,
        ("up", file, "--name", name, "--json"): 0,
        ("ls",): 0,
        ("ls", "--json"): 0,
        ("ls", "-q"): 0,
        ("status", name): 0,
        ("status", name, "--json"): 0,
        ("sockets", node): 0,
        ("sockets", f"{name}.web", "--json"): 0,
        ("rules", node): 0,
        ("rules", node, "--save"): 0,
        ("rules", node, "--nft"): 0,
        ("rules", node, "--json"): 0,
        ("probe", name, "client -> host:80"): 0,
        ("probe", name, "client -> host:80", "--json", "-4"): 0,
        ("probe", name, "client -> host:80", "--picture"): 0,
        ("probe", name, f"client -> {EVIL}:80"): 2,
        ("explain", name, "client -> host:80", "-4"): ANY,
        ("plan", file): 0,
        ("plan", file, "--json"): 0,
        ("plan", file, "--rules", "ipv4"): 0,
        ("graph", file): 0,
        ("graph", file, "--format", "svg"): 0,
        ("report", file, "--from", "client", "-o", page): 0,
        ("matrix", file): 0,
        ("diff", file, "--engine", "docker-28"): 0,
        ("verify", file, "--junit", junit): 1,
        ("verify", file, "--json"): 1,
        ("do", name, "restart web"): 0,
        ("do", name, f"restart {EVIL}"): 2,
        ("exec", f"{name}.{EVIL}", "--", "true"): 125,
        ("exec", f"{name}.host", "--", EVIL): 127,
        ("shell", f"{name}.{EVIL}"): 2,
        ("capture", f"{name}.host", "-w", packets / EVIL): 2,
        ("completion", "--words", "status", ""): 0,
        ("clean", "--dry-run"): 0,
        ("down", file): 0,
    }
    for command, code in commands.items():
        process = netlab.start(*command)
        out, err = process.communicate(timeout=100)
        done = subprocess.CompletedProcess(command, process.returncode, out, err)
        assert code in (ANY, done.returncode), (command, out, err)
        assert harmless(done.stdout), command
        assert harmless(done.stderr), command
        assert len(done.stdout.splitlines()) == 2 or command != ("ls",)
        if "--json" in command:
            for line in done.stdout.splitlines() if command[0] == "probe" else [done.stdout]:
                json.loads(line)
    (suite,) = ElementTree.parse(junit).getroot()
    assert suite.get("failures") == "1"
    assert harmless(junit.read_text())
    assert harmless(page.read_text())


@pytest.mark.parametrize(
    "where",
    ["service", "network", "key", "event", "rule", "program", "yaml"],
)
def test_an_error_shows_control_characters_escaped(netlab: Netlab, tmp_path: Path, where: str) -> None:
    scenario = hostile_scenario()
    if where == "service":
        scenario["services"][EVIL] = {"image": "x"}
    elif where == "network":
        scenario["networks"][EVIL] = {"driver": EVIL}
    elif where == "key":
        scenario["x-netlab"][EVIL] = EVIL
    elif where == "event":
        scenario["x-netlab"]["events"] = [f"restart {EVIL}"]
    elif where == "rule":
        scenario["x-netlab"]["rules"] = [f'ip link add "{EVIL[:6]}" type nothing']
    elif where == "program":
        words = f"import sys; sys.exit({(EVIL * 9)!a})"
        scenario["x-netlab"]["services"]["web"]["command"] = ["python3", "-c", words]
    file = tmp_path / "stranger.yaml"
    file.write_text(yaml(scenario) if where != "yaml" else f"services: {{{EVIL}\n")
    done = netlab.start("up", file, "--name", netlab.name())
    out, err = done.communicate(timeout=100)
    assert done.returncode in (1, 2)
    assert harmless(out)
    assert harmless(err)
    assert "Traceback" not in err


#: What a program leaves where netlab may look for the files that it changes.
TRAPS = {
    "link": "ln -s {victim} $$p",
    "pipe": "mkfifo $$p",
    "folder": "mkdir $$p",
    "magic": "ln -s /proc/self/root/{victim} $$p",
    "parent": "rm -rf $${{p%/*}}; ln -s {folder} $${{p%/*}}",
}


def test_what_netlab_changes_in_a_program_leads_nowhere_else(anyones: Netlab) -> None:
    folder = anyones.state / "victims"
    folder.mkdir()
    for name in ("hosts", "resolv.conf", "hostname"):
        (folder / name).write_text("untouched\n")
        if os.geteuid() == 0:
            os.chown(folder / name, anyones.uid, anyones.uid)
    services, commands = {}, {}
    for name, trap in TRAPS.items():
        services[name] = {"image": "x", "networks": ["n"]}
        line = trap.format(victim=folder / "hosts", folder=folder)
        paths = "/run/netlab/hosts /run/netlab/resolv.conf /etc/hosts /etc/resolv.conf"
        setting = f"mv /run/netlab /run/old; mkdir /run/netlab; for p in {paths}; do rm -f $$p; {line}; done"
        commands[name] = {"command": ["sh", "-c", f"{setting}; exec sleep inf"]}
    services["there"] = {"image": "x", "networks": ["z"]}
    services["sharer"] = {"image": "x", "network_mode": "service:link"}
    commands["sharer"] = commands["link"]
    networks = {name: {"ipam": {"config": [{"subnet": f"10.9.{n}.0/24"}]}} for n, name in enumerate("nz")}
    netlab_block = {"host": {"engine": "docker-28"}, "services": commands}
    file = anyones.state / "traps.yaml"
    file.write_text(json.dumps({"services": services, "networks": networks, "x-netlab": netlab_block}))
    lab = anyones.up(file)
    for name in TRAPS:
        anyones("do", lab, f"connect {name} z")
    status = json.loads(anyones("status", lab, "--json").stdout)
    pids = {one["node"]: one["pid"] for one in status["processes"] if one["kind"] == "command"}
    for name in (*TRAPS, "sharer"):
        assert "10.9.1." in anyones.exec(lab, "host", "cat", f"/proc/{pids[name]}/root/etc/hosts"), name
    pipes = anyones.exec(lab, "host", "readlink", *(f"/proc/{pid}/fd/1" for pid in pids.values())).split()
    assert len(set(pipes)) == len(pids), "programs share a pipe, which they can read"
    for event in ("disconnect link z", "restart pipe"):
        anyones("do", lab, event)
    assert "10.9.1." not in anyones.exec(lab, "host", "cat", f"/proc/{pids['link']}/root/etc/hosts")
    assert {path.read_text() for path in folder.iterdir()} == {"untouched\n"}
    assert sorted(path.name for path in folder.iterdir()) == ["hostname", "hosts", "resolv.conf"]


def test_a_file_of_rules_is_loaded_in_isolation(netlab: Netlab, tmp_path: Path) -> None:
    """Whether nft looks up a name, no text shows: it runs where nothing can be asked. Errors have a place."""
    file = tmp_path / "stranger.yaml"
    file.write_text(HEAD + "    firewall: {nftables: r.nft}\n")
    good = 'table inet t {\n  set s { type ipv4_addr; elements = { 192.0.2.1 comment "a.example" }; }\n}\n'
    rules = tmp_path / "r.nft"
    rules.write_text(good)
    name = netlab.name()
    netlab("up", "-q", file, "--name", name)
    assert "192.0.2.1" in netlab.exec(name, "host", "nft", "list", "ruleset")
    netlab("down", name)
    rules.write_text("define x = localhost\ntable inet t {\n  chain c { ip saddr $x drop; }\n}\n")
    netlab("up", "-q", file, "--name", name)  # /etc/hosts is there
    netlab("down", name)
    rules.write_text("define x = a.invalid\ntable inet t {\n  chain c { ip saddr $x drop; }\n}\n")
    done = netlab("up", "-q", file, "--name", name, code=2)
    assert "r.nft:1:12: nft: Could not resolve hostname" in done.stderr
    rules.write_text("table inet t {\n  chain c { tcp dport 80 acept; }\n}\n")
    assert "r.nft:2:31: nft: syntax error" in netlab("up", "-q", file, "--name", name, code=2).stderr
    for firewall, at in (
        ("iptables: r.nft", "r.nft:2:1: iptables-restore: "),
        ("firewalld: {direct: [ipv4 filter INPUT 0 -o x -j DROP]}", f"{file}:6:37: iptables-restore: "),
        ("ufw: {after_rules: r.nft}", "r.nft:2:1: iptables-restore: "),
    ):
        file.write_text(HEAD + f"    firewall: {{{firewall}}}\n")
        rules.write_text("*filter\n-A INPUT -o x -j DROP\nCOMMIT\n")
        assert at in netlab("up", "-q", file, "--name", name, code=2).stderr
    assert name not in netlab("ls").stdout
