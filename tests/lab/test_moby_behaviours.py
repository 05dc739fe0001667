"""What Docker documents of ports, direct routing, gateway modes and isolation, measured on 28 and 29.

Each row is a flow of a lab that its neighbours share, with what becomes of it over IPv4 and IPv6; where the
generations differ, each has its own. The sources are Docker's manual (packet filtering and firewalls, bridge
network driver), its release notes, and the names of moby's integration tests.

::

    client, neighbour ── ext ── host ─┬─ a ── web (80, 81), sib
    (routes to every subnet)          └─ b ── other
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import netlab

ENGINES = ("docker-28", "docker-29", "docker-29-nftables")
OPTION = "com.docker.network.bridge."
V4, V6 = ({"subnet": "192.0.2.0/25"}, {"subnet": "2001:db8:a::/64"})


def network(*pools: dict[str, str], **options: str) -> dict[str, Any]:
    """A network with these subnets, and options of the bridge driver."""
    return {
        "enable_ipv6": any(":" in pool["subnet"] for pool in pools),
        "ipam": {"config": list(pools)},
        "driver_opts": {OPTION + key: value for key, value in options.items()},
    }


def services(*ports: str) -> dict[str, Any]:
    """web publishes ports on network a, and has a sibling there; another container is on b."""
    return {
        "web": {"image": "any", "networks": ["a"], "ports": list(ports), "expose": ["81"]},
        "sib": {"image": "any", "networks": ["a"]},
        "other": {"image": "any", "networks": ["b"], "expose": ["80"]},
    }


B = network({"subnet": "192.0.2.128/25"})
B6 = network({"subnet": "192.0.2.128/25"}, {"subnet": "2001:db8:b::/64"})


@dataclass(frozen=True)
class Group:
    """Flows of one lab."""

    a: dict[str, Any]
    rows: str
    b: dict[str, Any] | None = None
    ports: tuple[str, ...] = ("8080:80",)
    daemon: dict[str, Any] | None = None
    services: dict[str, Any] | None = None


#: ``flow | over IPv4 | over IPv6``: outcome, path and the address that is seen, as far as they are said;
#: ``28: … 29: … nft: …`` where they differ; ``-`` asks nothing.
GROUPS = {
    # TestAccessPublishedPort…, TestProxy4To6, TestDirectRouting…: an IPv4 network, with the proxy
    "nat": Group(
        network(V4),
        """
        client -> host:8080 | ok forward client | ok proxy gateway
        neighbour -> host:8080 | ok forward sender | ok proxy gateway
        host -> host:8080 | ok output host | ok proxy gateway
        host -> localhost:8080 | ok proxy gateway | ok proxy gateway
        host -> web:80 | ok output gateway | -
        host -> web:81 | ok output gateway | -
        sib -> host:8080 | ok proxy gateway | -
        web -> host:8080 | ok proxy gateway | -
        sib -> web:80 | ok bridge sender | -
        sib -> web:81 | ok bridge sender | -
        other -> host:8080 | 28: ok proxy 29: ok forward nft: ok forward | -
        other -> web:80 | timeout | -
        other -> web:81 | timeout | -
        client -> web:80 | timeout | -
        client -> web:81 | timeout | -
        client -> host:8081 | refused | refused
        web -> client:7000 | ok forward host | -
        """,
    ),
    # TestAccessPublishedPort… without the proxy
    "nat-no-proxy": Group(
        network(V4),
        """
        client -> host:8080 | ok forward client | refused
        host -> host:8080 | ok output gateway | refused
        host -> localhost:8080 | ok output gateway | refused
        sib -> host:8080 | ok forward sender | -
        web -> host:8080 | ok forward gateway | -
        other -> host:8080 | 28: timeout 29: ok forward nft: ok forward | -
        client -> web:80 | timeout | -
        """,
        daemon={"userland-proxy": False},
    ),
    # a dual-stack network: both families are rewritten and forwarded
    "nat-ipv6": Group(
        network(V4, V6),
        """
        client -> host:8080 | ok forward client | ok forward client
        host -> localhost:8080 | ok proxy gateway | ok proxy gateway
        sib -> host:8080 | ok proxy gateway | ok proxy gateway
        sib -> web:81 | ok bridge sender | ok bridge sender
        other -> web:80 | timeout | timeout
        other -> host:8080 | 28: ok proxy 29: ok forward nft: ok forward | 28: ok proxy 29: ok forward nft: ok
        client -> web:80 | timeout | timeout
        web -> client:7000 | ok forward host | ok forward host
        """,
        b=B6,
    ),
    "nat-ipv6-no-proxy": Group(
        network(V4, V6),
        """
        client -> host:8080 | ok forward client | ok forward client
        host -> localhost:8080 | ok output gateway | timeout
        sib -> host:8080 | ok forward sender | ok forward sender
        """,
        b=B6,
        daemon={"userland-proxy": False},
    ),
    # TestAccessPortPublishedOnLoopbackAddress, ports on one address of the host
    "addresses": Group(
        network(V4, V6),
        """
        client -> host:8080 | refused | refused
        host -> localhost:8080 | ok proxy gateway | refused
        client -> 127.0.0.1:8080 via host | timeout | -
        client -> host:8081 | ok forward client | refused
        host -> localhost:8081 | refused | refused
        client -> host:8082 | refused | ok forward client
        host -> localhost:8083 | refused | ok proxy gateway
        client -> host:8084 | ok forward client | refused
        """,
        b=B6,
        ports=(
            "127.0.0.1:8080:80",
            "198.51.100.1:8081:80",
            "[2001:db8:1::1]:8082:80",
            "[::1]:8083:80",
            "0.0.0.0:8084:80",
        ),
    ),
    # TestBridgeICC, TestBridgeINC
    "icc-false": Group(
        network(V4, V6, enable_icc="false"),
        """
        sib -> web:80 | timeout | timeout
        sib -> host:8080 | ok proxy gateway | ok proxy gateway
        client -> host:8080 | ok forward client | ok forward client
        web -> client:7000 | ok forward host | ok forward host
        host -> web:81 | ok output gateway | ok output
        """,
        b=B6,
    ),
    # TestInternalNetwork: nothing in or out, and no ports
    "internal": Group(
        {**network(V4, V6), "internal": True},
        """
        sib -> web:80 | ok bridge sender | ok bridge sender
        host -> web:81 | ok output | ok output
        client -> host:8080 | refused | refused
        client -> web:80 | timeout | timeout
        other -> web:80 | timeout | timeout
        web -> client:7000 | no-route | no-route
        """,
        b=B6,
    ),
    # TestDirectRoutingOpenPorts, gateway mode routed
    "routed": Group(
        network(V4, V6, gateway_mode_ipv4="routed", gateway_mode_ipv6="routed"),
        """
        client -> web:80 | ok forward client | ok forward client
        client -> web:81 | timeout forward | timeout forward
        client -> web/icmp | ok | ok
        client -> host:8080 | refused | refused
        other -> web:80 | ok forward | ok forward
        other -> web:81 | timeout | timeout
        web -> client:7000 | ok forward sender | ok forward sender
        sib -> web:81 | ok bridge sender | ok bridge sender
        """,
        b=B6,
    ),
    # … nat-unprotected
    "nat-unprotected": Group(
        network(V4, V6, gateway_mode_ipv4="nat-unprotected", gateway_mode_ipv6="nat-unprotected"),
        """
        client -> host:8080 | ok forward client | ok forward client
        client -> web:80 | ok forward client | ok forward client
        client -> web:81 | ok forward client | ok forward client
        client -> web/icmp | ok | ok
        other -> web:81 | 28: timeout 29: ok nft: ok | 28: timeout 29: ok nft: ok
        web -> client:7000 | ok forward host | ok forward host
        """,
        b=B6,
    ),
    # … isolated: not even the host is on the network
    "isolated": Group(
        {**network(V4, V6, gateway_mode_ipv4="isolated", gateway_mode_ipv6="isolated"), "internal": True},
        """
        sib -> web:80 | ok bridge sender | ok bridge sender
        client -> host:8080 | refused | refused
        web -> client:7000 | no-route | no-route
        """,
        b=B6,
    ),
    # each family its own mode
    "nat-and-routed": Group(
        network(V4, V6, gateway_mode_ipv6="routed"),
        """
        client -> host:8080 | ok forward client | refused
        client -> web:80 | timeout | ok forward client
        client -> web:81 | timeout | timeout
        web -> client:7000 | ok forward host | ok forward sender
        """,
        b=B6,
    ),
    # TestDirectRouting… of the daemon and of a network
    "direct-routing": Group(
        network(V4, V6),
        """
        client -> web:80 | ok forward client | ok forward client
        client -> web:81 | timeout forward | timeout forward
        client -> host:8080 | ok forward client | ok forward client
        other -> web:80 | 28: timeout 29: ok nft: ok | 28: timeout 29: ok nft: ok
        other -> web:81 | timeout | timeout
        """,
        b=B6,
        daemon={"allow-direct-routing": True},
    ),
    "trusted-interface": Group(
        network(V4, V6, trusted_host_interfaces="ext0"),
        """
        client -> web:80 | ok forward client | ok forward client
        client -> web:81 | timeout forward | timeout forward
        other -> web:80 | timeout | timeout
        """,
        b=B6,
    ),
    # containers with their own addresses outside
    "masquerade-off": Group(
        network(V4, V6, enable_ip_masquerade="false"),
        """
        client -> host:8080 | ok forward client | ok forward client
        web -> client:7000 | timeout | timeout
        """,
        b=B6,
    ),
    # an IPv6-only network: the proxy leads from IPv6 to IPv4, not the other way round
    "ipv6-only": Group(
        {**network(V6), "enable_ipv4": False},
        """
        client -> host:8080 | refused | ok forward client
        host -> localhost:8080 | refused | ok proxy gateway
        sib -> web:81 | - | ok bridge sender
        client -> web:80 | - | timeout
        web -> client:7000 | no-route | ok forward host
        """,
        b=B6,
    ),
    # UDP: the proxy answers from the address that was asked
    "udp": Group(
        network(V4),
        """
        client -> host:5353/udp | ok forward client | ok proxy gateway
        sib -> host:5353/udp | ok proxy gateway | -
        host -> localhost:5353/udp | ok proxy gateway | ok proxy gateway
        client -> host:5354/udp | unreachable | unreachable
        """,
        ports=("5353:53/udp",),
    ),
}
ROWS = sum(len([row for row in group.rows.splitlines() if row.strip()]) for group in GROUPS.values())


def expected(cell: str, engine: str) -> dict[str, str] | None:
    """What a cell of the table says for an engine, as ``x-netlab.expect`` has it."""
    own = {"docker-28": "28:", "docker-29": "29:", "docker-29-nftables": "nft:"}[engine]
    words = cell.split()
    if own in words:
        words = words[words.index(own) + 1 :]
        ends = [number for number, word in enumerate(words) if word.endswith(":")]
        words = words[: ends[0]] if ends else words
    if words == ["-"]:
        return None
    paths = ("forward", "proxy", "output", "bridge", "local", "none", "inside")
    outcome, *rest = words
    found = {"outcome": outcome}
    for word in rest:
        found["path" if word in paths else "sees"] = word
    return found


def claims(rows: str, engine: str) -> list[dict[str, Any]]:
    """The rows of a group as ``x-netlab.expect``."""
    found = []
    for row in filter(str.strip, rows.splitlines()):
        flow, *cells = (part.strip() for part in row.split("|"))
        asked = {
            f: e for f, cell in zip(("ipv4", "ipv6"), cells, strict=True) if (e := expected(cell, engine))
        }
        found.append({"flow": flow, **asked})
    return found


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", GROUPS)
def test_behaviour(name: str, engine: str, tmp_path: Path) -> None:
    group = GROUPS[name]
    host = {"engine": engine, "daemon": group.daemon or {}}
    scenario = {
        "services": group.services or services(*group.ports),
        "networks": {"a": group.a, "b": group.b or B},
        "x-netlab": {
            "host": host,
            "services": {"web": {"listen": [80, 81, "53/udp"]}},
            "expect": claims(group.rows, engine),
        },
    }
    file = tmp_path / f"{name}.yaml"
    file.write_text(json.dumps(scenario))
    with netlab.Lab(file) as lab:
        verdicts = lab.verify()
    wrong = [f"{v.claim.flow}: {'; '.join(v.check.problems)}" for v in verdicts if v.check.passed is not True]
    assert wrong == []


def test_the_table_has_what_was_promised() -> None:
    assert ROWS >= 80
