"""``netlab trace``: traffic of others, in a lab and in a namespace that is nobody's lab."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from support.labs import Netlab

ASK = "import socket, sys; print(socket.socket().connect_ex(('127.0.0.1', 81)))"


def test_curl_in_a_node_is_reported_with_its_packets(anyones: Netlab) -> None:
    lab = anyones.up()
    file = anyones.state / "trace.pcapng"
    process = anyones.start("trace", lab, "--json", "--pcapng", file, "-c", "2")
    assert process.stderr is not None
    assert f"tracing {lab} (table netlab-trace-" in process.stderr.readline()
    for host in ("198.51.100.1", "[2001:db8:1::1]"):
        anyones.exec(lab, "client", "curl", "-s", "-o", "/dev/null", f"http://{host}/")
    output, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    four, six = sorted(map(json.loads, output.splitlines()), key=lambda one: one["flow"]["family"])
    assert (four["outcome"], four["path"], four["flow"]["from"]) == ("ok", "forward", "client")
    assert (six["outcome"], six["path"], six["legs"][1]["by"]) == ("ok", "proxy", "docker-proxy")

    from scapy.utils import RawPcapNgReader

    with RawPcapNgReader(str(file)) as reader:
        comments = [[line.decode() for line in meta.comments] for _, meta in reader]
    first = next(lines for lines in comments if lines[0] == "host prerouting in ext0" and len(lines) > 1)
    assert "-j DNAT --to-destination 192.168.10.10:80 accept" in first[2]
    assert "# port 80 of httpd on nw, published" in first[2]


def test_lines_are_filtered_and_ctrl_c_ends(netlab: Netlab) -> None:
    lab = netlab.up()
    process = netlab.start("trace", lab, "tcp", "and", "not", "ok")
    assert process.stderr is not None
    assert process.stdout is not None
    process.stderr.readline()
    netlab.exec(lab, "client", "curl", "-s", "-o", "/dev/null", "http://198.51.100.1/")
    netlab("exec", f"{lab}.client", "--", "curl", "-s", "http://198.51.100.1:81/", code=7)
    line = process.stdout.readline()
    assert "client -> 198.51.100.1:81/tcp ipv4: refused, local" in line
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=100)
    assert (process.returncode, rest) == (0, ""), errors


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process in a namespace of its own that netlab did not make; its loopback is up."""
    script = "ip link set lo up && echo up && exec sleep 60"
    apart = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    process = subprocess.Popen([*apart, "sh", "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    yield process.pid
    process.kill()
    process.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may enter a namespace that is not its own")
def test_trace_of_a_namespace_announces_its_table_and_removes_it(netlab: Netlab, stranger: int) -> None:
    path = f"/proc/{stranger}/ns/net"
    inside = ["nsenter", f"--net={path}"]
    process = netlab.start("trace", "--netns", path, "--json", "-c", "1")
    assert process.stderr is not None
    said = process.stderr.readline()
    assert said.startswith("adding the nftables table netlab-trace-")
    while "tracing (Ctrl-C ends)" not in said:
        said = process.stderr.readline()
    tables = subprocess.run([*inside, "nft", "list", "tables"], capture_output=True, text=True, check=True)
    assert {line.split()[1] for line in tables.stdout.splitlines()} == {"ip", "ip6", "bridge"}
    subprocess.run([*inside, sys.executable, "-c", ASK], check=True, stdout=subprocess.DEVNULL)
    output, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    found = json.loads(output)
    assert (found["outcome"], found["path"], found["flow"]["dst"]) == ("refused", "local", "127.0.0.1:81")
    tables = subprocess.run([*inside, "nft", "list", "tables"], capture_output=True, text=True, check=True)
    assert tables.stdout == ""


def test_a_filter_that_means_nothing(netlab: Netlab) -> None:
    lab = netlab.up()
    assert "did you mean udp?" in netlab("trace", lab, "udpp", code=2).stderr
    assert "'port' needs a value" in netlab("trace", lab, "port", code=2).stderr
    assert "No such file" in netlab("trace", "--netns", "there-is-none", code=2).stderr
