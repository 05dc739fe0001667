"""A real rootless dockerd beside netlab's, on one host: rules, sockets, sources and outcomes are equal.

client ──── ext0 host  :8080 ═══ host-rootless, web    netlab's
                       :9080 ═══ rootlesskit, dockerd  the real ones, an ordinary user's

The versions are the machine's: Debian 12 has 20.10.24, rootlesskit 1.1.0 and slirp4netns 1.2.0.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from groundtruth.asking import ASK

import netlab
from netlab.bench.real.daemon import image_tar
from netlab.lab.lab import Lab

FILE = """
services:
  web:
    image: busybox
    networks: {{nw: {{ipv4_address: 192.168.10.2}}}}
    ports: ["127.0.0.1:8081:80", "8080:80", "5353:53/udp"]
networks:
  nw:
    ipam: {{config: [{{subnet: 192.168.10.0/24}}]}}
    driver_opts: {{com.docker.network.bridge.name: docker_web}}
x-netlab:
  host:
    engine: docker-20.10
    rootless: true
    environment: {{DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER: {driver}}}
    listen: [6000]
    routes: ["default via 198.51.100.2"]
"""
PROGRAMS = ("dockerd", "docker", "rootlesskit", "rootlesskit-docker-proxy", "slirp4netns", "newuidmap")
#: As root of a mount namespace: an ordinary user with subordinate ids, who may open /dev/net/tun. The shell
#: stays the first process of its PID namespace, so that everything ends with it.
USER = r"""
set -e
exec 3<&0
cd "$0"
mount -t tmpfs none work
cp image.tar inner server ask work
mkdir work/run
cat /etc/passwd > work/passwd; echo netlab:x:4242:4242::$0/work:/bin/sh >> work/passwd
echo netlab:200000:65536 > work/ids
chown -R 4242:4242 work
mount --bind work/passwd /etc/passwd
touch /etc/subuid /etc/subgid; mount --bind work/ids /etc/subuid; mount --bind work/ids /etc/subgid
mount -t tmpfs none mine; mknod mine/tun c 10 200; chmod 666 mine/tun
mkdir -p /dev/net; touch /dev/net/tun; mount --bind mine/tun /dev/net/tun
setpriv --reuid 4242 --regid 4242 --clear-groups env HOME="$0/work" USER=netlab \
  XDG_RUNTIME_DIR="$0/work/run" rootlesskit --state-dir="$0/work/state" --net=slirp4netns --mtu=65520 \
  --disable-host-loopback --port-driver="$1" --copy-up=/etc --copy-up=/run \
  sh "$0/work/inner" "$0/work" <&3 &
wait
"""
#: In the namespace that rootlesskit makes: the daemon, a network, a container, and its server. A line of the
#: input is a command; the output is what that says, then a line "done".
INNER = r"""
rm -f /run/docker /run/containerd /run/xtables.lock
dockerd --rootless --userland-proxy-path=/usr/bin/rootlesskit-docker-proxy --storage-driver=vfs \
  --data-root="$1/data" --exec-root="$1/exec" --pidfile="$1/pid" -H "unix://$1/socket" > "$1/log" 2>&1 &
export DOCKER_HOST="unix://$1/socket"
until docker version > /dev/null 2>&1; do kill -0 $! || { cat "$1/log"; exit 1; }; done
docker import "$1/image.tar" image > /dev/null
docker network create --subnet 192.168.10.0/24 -o com.docker.network.bridge.name=docker_web nw > /dev/null
docker run -d --name web --network nw -p 127.0.0.1:9081:80 -p 9080:80 -p 6353:53/udp \
  image /busybox sleep 999 > /dev/null
export WEB=$(docker inspect -f '{{.State.Pid}}' web)
nsenter -n -t "$WEB" python3 "$1/server" > "$1/ready" &
until [ -s "$1/ready" ]; do kill -0 $! || exit 1; done
echo done
while read -r line; do sh -c "$line" 2>&1; echo done; done
kill "$(cat "$1/pid")"
wait
"""
SERVER = """
import socket, threading
def tcp():
    with socket.create_server(("", 80)) as server:
        while True:
            sock, peer = server.accept()
            sock.recv(4096)
            sock.sendall(("peer %s %s " % peer).encode())
            sock.close()
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", 53))
        while True:
            peer = sock.recvfrom(4096)[1]
            sock.sendto(("peer %s %s " % peer).encode(), peer)
for each in tcp, udp:
    threading.Thread(target=each).start()
print("ready", flush=True)
"""
HOST, HOST_6, CLIENT = "198.51.100.1", "2001:db8:1::1", "198.51.100.2"
#: A real rootlesskit loses a datagram or resets a connection now and then on a busy machine.
TRIES = 3
INTO = [
    (node, address, port, protocol)
    for node, addresses in (("client", (HOST, HOST_6)), ("host", (HOST, HOST_6, "127.0.0.1", "::1")))
    for address in addresses
    for port, protocol in ((8080, "tcp"), (8081, "tcp"), (5353, "udp"))
]
OUT = [
    (address, port)
    for address in (HOST, CLIENT, "10.0.2.2", "10.0.2.3", "192.168.10.1")
    for port in (6000, 7000)
]


class Real:
    """The real daemon's namespace, in which commands can be run."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.run("")

    def run(self, command: str) -> str:
        """What a command says there; raises RuntimeError if the daemon has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if command:
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
        lines: list[str] = []
        for line in self._process.stdout:
            if line == "done\n":
                return "".join(lines)
            lines.append(line)
        raise RuntimeError("".join(lines))


@contextmanager
def running(lab: Lab, folder: Path, driver: str) -> Iterator[Real]:
    """A real rootless dockerd in the lab's host, with one container, until the end of the block."""
    (folder / "image.tar").write_bytes(image_tar())
    (folder / "inner").write_text(INNER)
    (folder / "server").write_text(SERVER)
    (folder / "ask").write_text(ASK)
    for name in ("work", "mine"):
        (folder / name).mkdir()
    folder.chmod(0o755)
    host = f"--net=/proc/{os.getpid()}/fd/{lab.namespaces['host']}"
    alone = ("unshare", "-m", "-p", "-f", "--mount-proc", "--kill-child", "--propagation", "private")
    with subprocess.Popen(
        ["nsenter", host, *alone, "sh", "-c", USER, str(folder), driver],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield Real(process)
        finally:
            process.kill()


@pytest.fixture(scope="module", params=["builtin", "slirp4netns"])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Lab, Real]]:
    """In a folder that others may enter, unlike those that pytest makes."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    assert not missing, f"{', '.join(missing)}: ./install brings them"
    file = tmp_path_factory.mktemp("rootless-docker") / "beside.yaml"
    file.write_text(FILE.format(driver=request.param))
    with (
        tempfile.TemporaryDirectory(prefix="netlab-rootless-") as folder,
        netlab.Lab(file) as lab,
        running(lab, Path(folder), request.param) as real,
    ):
        yield lab, real


def asked(lab: Lab, node: str, address: str, port: int, protocol: str) -> str:
    return lab.exec(node, [sys.executable, "-c", ASK, address, str(port), protocol]).stdout.strip()


def test_what_comes_to_its_ports(both: tuple[Lab, Real]) -> None:
    lab, _ = both
    found = {}
    for node, address, port, protocol in INTO:
        ours = asked(lab, node, address, port, protocol)
        for _ in range(TRIES):
            real = asked(lab, node, address, port + 1000, protocol)
            if real == ours:
                break
        found[f"{node} -> {address} {port}/{protocol}"] = (ours, real)
    assert {flow: each for flow, each in found.items() if each[0] != each[1]} == {}
    assert any(ours.startswith("ok") for ours, _ in found.values())


def test_what_a_container_sends_out(both: tuple[Lab, Real]) -> None:
    lab, real = both
    found = {}
    for address, port in OUT:
        ours = asked(lab, "web", address, port, "tcp")
        its = real.run(f"nsenter -n -t $WEB python3 $HOME/ask {address} {port} tcp").strip()
        found[f"{address}:{port}"] = (ours, its)
    assert {target: each for target, each in found.items() if each[0] != each[1]} == {}


def test_rules_and_sockets_are_alike(both: tuple[Lab, Real]) -> None:
    lab, real = both

    def rules(text: str) -> list[str]:
        return [line.split(" [")[0] for line in text.replace("908", "808").splitlines() if line[0] != "#"]

    def listening(text: str) -> list[str]:
        lines = [line.split() for line in text.replace(":908", ":808").replace(":6353", ":5353").splitlines()]
        return sorted(
            " ".join((kind, backlog, at)) for kind, _, _, backlog, at, *_ in lines if "127.0.0.11" not in at
        )

    for tool in ("iptables-save", "ip6tables-save"):
        ours = [line.replace("5353", "PORT") for line in rules(lab.exec("host-rootless", [tool]).stdout)]
        assert [line.replace("6353", "PORT") for line in rules(real.run(tool))] == ours
    shown = listening(lab.exec("host-rootless", ["ss", "-tulnH"]).stdout)
    assert listening(real.run("ss -tulnH")) == shown
    outside = lab.exec("host", ["ss", "-tulnH"]).stdout.splitlines()
    ours, its = (
        listening("\n".join(line for line in outside if any(f":{port} " in line for port in ports)))
        for ports in ((8080, 8081, 5353), (9080, 9081, 6353))
    )
    assert its == ours
