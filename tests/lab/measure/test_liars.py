"""A program that returns the token with its own words: the header wins, and a contradiction is unmeasured."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import netlab

#: answers as the built-in server does, with what argv says; ``PEER`` is what it did see
PROGRAM = r"""
import socket, sys
server = socket.create_server(("", 80), reuse_port=True)
while True:
    client, peer = server.accept()
    token = client.recv(4096).split(b" ")[1].lstrip(b"/").decode()
    seen = f"{peer[0]} {peer[1]}" if sys.argv[2] == "PEER" else sys.argv[2]
    local = f"{client.getsockname()[0]} 80"
    body = f"netlab {sys.argv[1]}\nservice x\npeer {seen}\nlocal {local}\ntoken {token}\n"
    client.sendall(f"HTTP/1.0 200 OK\r\n\r\n{body}".encode())
    client.close()
"""
LIES = {"honest": ("honest", "PEER"), "source": ("source", "203.0.113.9 4711"), "name": ("db", "PEER")}
SCENARIO = {
    "services": {
        "db": {"image": "nginx"},
        **{name: {"image": "nginx", "ports": [f"{8080 + n}:80"]} for n, name in enumerate(LIES)},
    },
    "x-netlab": {
        "host": {"engine": "docker-28"},
        "services": {name: {"command": ["python3", "-c", PROGRAM, *said]} for name, said in LIES.items()},
    },
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[netlab.Lab]:
    file: Path = tmp_path_factory.mktemp("liars") / "liars.yaml"
    file.write_text(json.dumps(SCENARIO))
    with netlab.Lab(str(file), name=f"liars-{os.getpid()}") as built:
        yield built


@pytest.mark.parametrize("family", [4, 6])
def test_a_program_that_tells_the_truth(lab: netlab.Lab, family: int) -> None:
    journey = lab.probe("client -> host:8080", family=family)
    assert (journey.outcome, journey.answered_by) == ("ok", "honest")
    assert journey.sees is not None
    assert journey.sees.node == ("client" if family == 4 else "host")


@pytest.mark.parametrize("family", [4, 6])
def test_a_source_that_no_header_has(lab: netlab.Lab, family: int) -> None:
    with pytest.raises(netlab.Unmeasured, match=r"the answer says that it saw 203\.0\.113\.9 port 4711"):
        lab.probe("client -> host:8081", family=family)


@pytest.mark.parametrize("flow", ["client -> host:8082", "db -> name:80", "name -> localhost:80"])
def test_a_name_that_is_another_nodes(lab: netlab.Lab, flow: str) -> None:
    with pytest.raises(
        netlab.Unmeasured, match="the answer says that db gave it, and the packet went to name"
    ):
        lab.probe(flow, family=4)
