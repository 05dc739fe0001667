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
