"""A stranger's scenario starts no program of the machine with our rights, and names no file elsewhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from conftest import Netlab

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


#: sets the window's title; C1's CSI; turns the direction of what follows
OBEYED = ("\x1b", "\x07", "\x9b", "\u202e")
SERVER = """\
import http.server, ctypes
ctypes.CDLL(None).prctl(15, b'a\\x1b[2Jb')
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.wfile.write(b'HTTP/1.0 200 \\x1b]0;x\\x07\\r\\n\\r\\n' + b'peer \\x1b[2J\\x9b\\n' * 10**5)
http.server.HTTPServer(('', 80), H).serve_forever()  # \x1b]0;x\x07\x9b
"""


def test_nothing_of_a_strangers_is_obeyed_by_the_terminal(netlab: Netlab, tmp_path: Path) -> None:
    evil = "x" + "".join(OBEYED) + "]0;y"
    scenario = {
        "services": {"web": {"image": evil, "ports": ["80:80"], "networks": ["n"]}},
        "networks": {"n": {"name": "x\u202e"}},
        "x-netlab": {
            "host": {"engine": "docker-20.10"},
            "services": {"web": {"command": ["python3", "-c", SERVER]}},
            "rules": [f'iptables -I DOCKER-USER -m comment --comment "{evil}" -j ACCEPT'],
            "expect": [{"flow": "client -> host:80", "ipv4": {"outcome": "refused"}}],
        },
    }
    file = tmp_path / "stranger.yaml"
    file.write_text(json.dumps(scenario))
    name = netlab.name()
    node = f"{name}.host"
    said = [netlab("up", file, "--name", name)]
    for command in (
        ("status", name),
        ("status", name, "--json"),
        ("sockets", node),
        ("sockets", f"{name}.web"),
        ("rules", node),
        ("rules", node, "--save"),
        ("rules", node, "--nft"),
        ("rules", node, "--json"),
        ("probe", name, "client -> host:80"),
        ("probe", name, "client -> host:80", "--json", "-4"),
        ("plan", file),
        ("plan", file, "--json"),
        ("plan", file, "--rules", "ipv4"),
        ("matrix", file),
        ("diff", file, "--engine", "docker-28"),
    ):
        said.append(netlab(*command))
    said.append(netlab("verify", file, code=1))
    scenario["x-netlab"]["rules"] = [f'ip link add "{evil[:6]}" type nothing']
    file.write_text(json.dumps(scenario))
    said.append(netlab("up", file, "--name", netlab.name(), code=2))
    for done in said:
        for sign in OBEYED:
            assert sign not in done.stdout + done.stderr, done.args
    assert "\\u001b" in said[0].stdout + said[5].stdout
    for done in said:
        if "--json" in done.args:
            json.loads(done.stdout)


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
