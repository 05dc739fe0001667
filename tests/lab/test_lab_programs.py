"""Real servers as a service's command: stock programs of Debian, as they are packaged.

::

    client 198.51.100.2 ── host 198.51.100.1 ── web (nginx, a Python module, busybox)
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.witness import until

from netlab.lab.supervisor import log

SCENARIO = """
services: {{web: {{image: any, ports: ['80:80']}}}}
networks: {{default: {{ipam: {{config: [{{subnet: 172.30.0.0/24}}]}}}}}}
x-netlab:
  host: {{engine: docker-20.10}}
  services: {{web: {{command: {command}}}}}
"""
V4, V6 = "http://198.51.100.1/", "http://[2001:db8:1::1]/"


def up(netlab: Any, *command: str) -> str:
    """A lab whose service runs ``command``; its name."""
    file = netlab.state / "programs.yaml"
    file.write_text(SCENARIO.format(command=json.dumps(command)))
    return str(netlab.up(file))


def pid_of(netlab: Any, lab: str) -> int:
    """The program's PID in the lab."""
    status = json.loads(netlab("status", lab, "--json").stdout)
    (pid,) = [process["pid"] for process in status["processes"] if process["kind"] == "command"]
    return int(pid)


def test_debians_nginx_serves_and_logs_who_came(anyones: Any) -> None:
    lab = up(anyones, "nginx", "-g", "daemon off;")
    for url in (V4, V6):
        page = anyones.exec(lab, "client", "curl", "-si", url)
        assert "Server: nginx" in page
        assert "200 OK" in page
    path = f"/proc/{pid_of(anyones, lab)}/root/var/log/nginx/access.log"
    lines = anyones.exec(lab, "host", "cat", path).splitlines()
    assert [line.split()[0] for line in lines] == ["198.51.100.2", "172.30.0.1"]


def test_nginx_as_its_image_has_it_logs_to_dev_stdout(anyones: Any) -> None:
    lab = up(anyones, "nginx", "-g", "daemon off; error_log /dev/stdout info;")
    anyones.exec(lab, "client", "curl", "-s", V4)
    assert "start worker process" in (anyones.state / "labs" / lab / "log").read_text()


def test_nothing_of_a_program_stays_on_the_machine(netlab: Any) -> None:
    watched = [Path("/var/lib/nginx"), Path("/var/log/nginx"), Path("/run")]
    before = [sorted(path.iterdir()) for path in watched]
    lab = up(netlab, "nginx", "-g", "daemon off;")
    netlab.exec(lab, "client", "curl", "-s", V4)
    assert "nginx.pid" in netlab.exec(lab, "host", "ls", f"/proc/{pid_of(netlab, lab)}/root/run")
    after = [sorted(path.iterdir()) for path in watched]
    assert before[:2] == after[:2]
    assert Path("/run/nginx.pid") not in set(after[2]) - set(before[2])


@pytest.mark.parametrize(
    ("command", "server"),
    [
        (("python3", "-m", "http.server", "80"), "SimpleHTTP"),
        (("busybox", "httpd", "-f", "-p", "80", "-h", "/usr/share"), "HTTP/1.1"),
    ],
    ids=["python", "busybox"],
)
def test_small_servers_serve(anyones: Any, command: tuple[str, ...], server: str) -> None:
    lab = up(anyones, *command)
    for url in (V4, V6):
        assert server in anyones.exec(lab, "client", "curl", "-si", "--max-time", "20", url)


RIGHTS = """
services:
  vpn: {image: x, cap_add: [NET_ADMIN]}
  plain: {image: x}
  boss: {image: x, privileged: true}
  mute: {image: x, cap_drop: [ALL]}
  tunnel: {image: x, cap_add: [NET_ADMIN], devices: [/dev/net/tun]}
x-netlab:
  segments: {ext: {mtu: 1400}}
  host: {routes: ["10.8.0.0/16 via 198.51.100.9 table 100"], routing_policy: [from 172.18.0.0/16 table 100]}
  services:
    vpn: {command: [sh, -c, "iptables -A OUTPUT -d 192.0.2.9 -j DROP && iptables -S OUTPUT; sleep 999"]}
    plain: {command: [sh, -c, "ip link add d type dummy || ls /dev/net/tun || echo plain may not; sleep 999"]}
    boss: {command: [sh, -c, "echo 77 > /proc/sys/net/ipv4/ip_default_ttl; sleep 999"]}
    mute: {command: [sh, -c, "grep CapEff /proc/self/status; sleep 999"]}
    tunnel: {command: [sh, -c, "stat -c '%F %t,%T' /dev/net/tun; sleep 999"]}
"""


def test_a_program_has_the_rights_that_its_service_asks_for(anyones: Any) -> None:
    file = anyones.state / "rights.yaml"
    file.write_text(RIGHTS)
    assert "services.boss: privileged for its command" in anyones("plan", file).stderr
    lab = anyones.up(file)
    log_file = anyones.state / "labs" / lab / "log"
    words = ("-j DROP", "plain may not", "CapEff:\t0000000000000000", "character special file a,c8")
    until(lambda: all(word in log_file.read_text() for word in words), "the programs wrote all")
    assert anyones.exec(lab, "boss", "cat", "/proc/sys/net/ipv4/ip_default_ttl").strip() == "77"
    assert anyones.exec(lab, "plain", "cat", "/proc/sys/net/ipv4/ip_default_ttl").strip() == "64"
    assert "from 172.18.0.0/16 lookup 100" in anyones.exec(lab, "host", "ip", "rule")
    assert "10.8.0.0/16 via 198.51.100.9" in anyones.exec(lab, "host", "ip", "route", "show", "table", "100")
    assert "mtu 1400" in anyones.exec(lab, "client", "ip", "link", "show", "eth0")
    assert "mtu 1400" in anyones.exec(lab, "host", "ip", "link", "show", "ext0")


def test_a_log_is_kept_within_bounds_and_keeps_the_end(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.touch()
    kept = log.Log(str(file))
    line = b"x" * 1023 + b"\n"
    for number in range(3000):
        os.write(kept.pipe, b"%08d" % number + line[8:])
        kept.take()
    assert file.stat().st_size <= log.MOST
    assert file.read_bytes()[-1024:].startswith(b"00002999")
