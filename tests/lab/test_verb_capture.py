"""``netlab capture``: a pcapng file that other tools read."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from support.labs import Netlab


def read(file: Path) -> list[tuple[str, bytes]]:
    """(interface, frame) of every packet, as scapy reads them."""
    from scapy.utils import RawPcapNgReader

    with RawPcapNgReader(str(file)) as reader:
        return [(meta.ifname.decode(), octets) for octets, meta in reader]


def test_every_node_and_interface(anyones: Netlab) -> None:
    lab = anyones.up()
    file = anyones.state / "all.pcapng"
    process = anyones.start("capture", lab, "-w", file)
    assert process.stderr is not None
    assert "capturing on host, httpd, client, neighbour" in process.stderr.readline()
    anyones.exec(lab, "client", "curl", "-s", "-o", "/dev/null", "http://198.51.100.1/")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    assert "0 lost" in errors
    packets = read(file)
    names = {name for name, _ in packets}
    assert {"client:eth0", "host:ext0", "host:docker_httpd", "httpd:eth0"} <= names
    request = [name for name, octets in packets if b"GET / HTTP" in octets]
    assert {"client:eth0", "host:ext0", "httpd:eth0"} <= set(request)


def test_one_interface_to_a_pipe_and_a_count(netlab: Netlab) -> None:
    lab = netlab.up()
    process = netlab.start("capture", f"{lab}.host:ext0", "-c", "4", "-w", "-", "-q", text=False)
    assert process.stdout is not None
    magic = os.read(process.stdout.fileno(), 12)  # the section's header comes before the first packet
    assert magic[:4] == b"\n\r\r\n"
    netlab.exec(lab, "client", "curl", "-s", "-o", "/dev/null", "http://198.51.100.1/")
    rest, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    dump = subprocess.run(["tcpdump", "-nr", "-"], input=magic + rest, capture_output=True, check=True)
    assert len(dump.stdout.splitlines()) == 4


def test_what_is_not_there(netlab: Netlab) -> None:
    lab = netlab.up()
    done = netlab("capture", f"{lab}.host:ext9", "-w", "/dev/null", code=2)
    assert "it has lo, ext0, docker0, docker_httpd" in done.stderr
