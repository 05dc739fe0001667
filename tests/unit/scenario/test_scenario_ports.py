"""Ports in every form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.model.scenario import ExposedPort, PortMapping
from netlab.scenario.ports import PortError, exposed, long_ports, short_ports
from netlab.scenario.tree import made


def M(port, proto="tcp", host=None, ip=""):  # noqa: N802
    return PortMapping(port, proto, (host, host) if isinstance(host, int) else host, ip)


SHORT = [
    ("80", [M(80)]),
    ("80/udp", [M(80, "udp")]),
    ("80/TCP", [M(80)]),
    ("8080:80", [M(80, host=8080)]),
    ("8080:80/sctp", [M(80, "sctp", 8080)]),
    ("80-82", [M(80), M(81), M(82)]),
    ("9000-9002:9000-9002", [M(9000, host=9000), M(9001, host=9001), M(9002, host=9002)]),
    ("9000-9001:80-81/udp", [M(80, "udp", 9000), M(81, "udp", 9001)]),
    ("8000-8010:80", [M(80, host=(8000, 8010))]),
    ("127.0.0.1:80:80/udp", [M(80, "udp", 80, "127.0.0.1")]),
    ("127.0.0.1::80", [M(80, ip="127.0.0.1")]),
    ("127.0.0.1::80-81", [M(80, ip="127.0.0.1"), M(81, ip="127.0.0.1")]),
    ("0.0.0.0:80:80", [M(80, host=80, ip="0.0.0.0")]),
    ("[::1]:80:80", [M(80, host=80, ip="::1")]),
    ("[::]::80", [M(80, ip="::")]),
    ("0:80", [M(80)]),
    ("22:22", [M(22, host=22)]),
]


@pytest.mark.parametrize(("text", "mappings"), SHORT, ids=[s[0] for s in SHORT])
def test_short(text: str, mappings: list[PortMapping]) -> None:
    assert short_ports(text) == mappings


LONG = [
    ({"target": 80}, [M(80)]),
    ({"target": "80", "published": ""}, [M(80)]),
    ({"target": 80, "published": 8080, "protocol": "udp", "mode": "host"}, [M(80, "udp", 8080)]),
    ({"target": 80, "published": "8000-8010", "host_ip": "::1"}, [M(80, host=(8000, 8010), ip="::1")]),
    ({"target": 80, "host_ip": "[::1]", "published": "0"}, [M(80, ip="::1")]),
]


@pytest.mark.parametrize(("value", "mappings"), LONG, ids=range(len(LONG)))
def test_long(value, mappings: list[PortMapping]) -> None:
    assert long_ports(made(value, ("f", 1, 1))) == mappings


@pytest.mark.parametrize(
    "text",
    [
        "::1:8080:80",
        " 80:81",
        "80:81 ",
        "",
        "/",
        ":",
        "::",
        ":::",
        "a",
        "80:",
        "-1",
        "80-",
        "1:2:3",
        "[::1:80:80",
        "٣",
        "80/tcp/udp",
        "1 2",
    ],
)
def test_short_that_is_none(text: str) -> None:
    with pytest.raises(PortError):
        short_ports(text)


@given(st.text(alphabet="0189:-/.[]atcpud", max_size=24))
def test_any_text_is_ports_or_an_error(text: str) -> None:
    try:
        found = short_ports(text)
    except PortError:
        return
    assert found
    assert all(1 <= mapping.container_port <= 65535 for mapping in found)


@given(st.integers(1, 65535), st.integers(1, 60000), st.integers(0, 200))
def test_ranges_keep_their_distance(container: int, host: int, width: int) -> None:
    last = min(container + width, 65535)
    width = last - container
    found = short_ports(f"{host}-{host + width}:{container}-{last}" if width else f"{host}:{container}")
    assert [(m.host_ports, m.container_port) for m in found] == [
        ((host + n, host + n), container + n) for n in range(width + 1)
    ]


def test_exposed() -> None:
    assert exposed("53/udp") == [ExposedPort(53, "udp")]
    assert exposed("80-81") == [ExposedPort(80), ExposedPort(81)]
