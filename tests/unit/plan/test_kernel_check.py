"""What the kernel would refuse is found by the plan, at a place in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.model.problem import ScenarioError
from netlab.plan import make
from netlab.scenario import load

OUTSIDE = "services: {a: {}}\nx-netlab: {outside: {c: {addresses: [%s], routes: [%s]}}}"
HOST = "services: {a: {}}\nx-netlab: {host: {%s}}"
CASES = [
    (
        'services: {a: {ports: ["10.9.8.7:80:80"]}}',
        "f:1:12: a: port 80/tcp cannot be published on 10.9.8.7: no interface of host has this address",
    ),
    (
        OUTSIDE % ("198.51.100.2/24", "default via 203.0.113.1"),
        "f:2:65: c: the route default via 203.0.113.1: the gateway is on none of its subnets "
        "(198.51.100.0/24)",
    ),
    (
        "services: {a: {}}\nx-netlab: {outside: {c: {addresses: [203.0.113.2/24]}}}",
        "f:2:22: c: the route default via 198.51.100.1: the gateway is on none of its subnets "
        "(203.0.113.0/24)",
    ),
    (
        OUTSIDE % ("198.51.100.2/24", "default via 198.51.100.255"),
        "f:2:65: c: the route default via 198.51.100.255: the gateway is the broadcast address of "
        "198.51.100.0/24",
    ),
    (
        OUTSIDE % ("198.51.100.2/24", "default via 198.51.100.1, default via 198.51.100.9"),
        "f:2:91: c: there are two routes to default (ipv4)",
    ),
    (
        OUTSIDE % ('"2001:db8:1::2/64"', '"default via fe80::1"'),
        "f:2:68: c: the route default via fe80::1: a link-local gateway belongs to one interface",
    ),
    (
        'services: {a: {}, b: {network_mode: "service:a"}}\n'
        "x-netlab: {services: {a: {listen: [80]}, b: {listen: [80]}}}",
        "f:1:19: b: it would answer on 80/tcp, which is taken in the network that it shares: a answers on it",
    ),
    (
        'services: {a: {network_mode: host, expose: ["80"]}, b: {ports: ["80:80"]}}',
        "f:1:12: a: it would answer on 80/tcp, which is taken in the network that it shares: "
        "port 80 of b on default, published",
    ),
    (
        "services: {a: {}}\nx-netlab: {host: {sysctls: {net.ipv4.conf.eth9.forwarding: 1}}}",
        'f:2:12: host: the sysctl net.ipv4.conf.eth9.forwarding names the interface "eth9", '
        "which is not there",
    ),
    (
        "services: {a: {}}\nx-netlab: {host: {bridges: {ext0: {addresses: [10.0.0.1/24]}}}}",
        'f:2:12: host: there are two interfaces named "ext0"',
    ),
    (
        HOST % "routes: [10.8.0.0/16 via 198.51.100.9, 10.9.0.0/16 dev ext1]",
        'f:2:58: host: the route 10.9.0.0/16 names the interface "ext1", which is not there '
        '(did you mean "ext0"?)',
    ),
    (
        HOST % "routes: [10.8.0.0/16 via 198.51.100.9, 10.9.0.0/16 via 203.0.113.1 dev ext0]",
        "f:2:58: host: the route 10.9.0.0/16 via 203.0.113.1: the gateway is on none of its subnets "
        "(198.51.100.0/24)",
    ),
    (
        HOST % "routes: [10.9.0.0/16 dev tun0 table 100]",
        'f:2:28: host: the route 10.9.0.0/16 names the interface "tun0", which is not there',
    ),
    (
        HOST % "interfaces: {ext0: {mtu: 1279, addresses: [198.51.100.1/24, '2001:db8::1/64']}}",
        "f:2:44: host: ext0: IPv6 needs an MTU of 1280, so with one of 1279 the interface cannot have the "
        "address 2001:db8::1/64",
    ),
    (
        HOST % "addresses: ['2001:db8::1/64'], interfaces: {ext0: {mtu: 1000}}",
        "f:2:75: host: ext0: IPv6 needs an MTU of 1280, so with one of 1000 the interface cannot have the "
        "address 2001:db8::1/64",
    ),
    (
        "services: {a: {}}\nx-netlab: {outside: {c: {mtu: 1000, addresses: ['2001:db8:1::2/64']}}}",
        "f:2:31: c: eth0: IPv6 needs an MTU of 1280, so with one of 1000 the interface cannot have the "
        "address 2001:db8:1::2/64",
    ),
    (
        "services: {a: {}}\nnetworks: {default: {enable_ipv6: true, ipam: {config: [{subnet: 'fd00::/64'}]}, "
        "driver_opts: {com.docker.network.driver.mtu: 1000}}}",
        "f:1:12: a: eth0: IPv6 needs an MTU of 1280, so with one of 1000 the interface cannot have the "
        "address fd00::2/64",
    ),
]
FINE = [
    'services: {a: {ports: ["127.0.0.1:80:80", "198.51.100.1:81:81", "[2001:db8:1::1]:82:82"]}}',
    'services: {a: {ports: ["[::ffff:198.51.100.1]:80:80"]}}',
    'services: {a: {ports: ["10.9.8.7:80:80"]}}\nx-netlab: {host: {sysctls: {net.ipv4.ip_nonlocal_bind: 1}}}',
    'services: {a: {ports: ["80"]}, b: {network_mode: "service:a"}}',
    OUTSIDE % ("198.51.100.2/24", "default via 198.51.100.1, 10.0.0.0/8 via 198.51.100.9"),
    "services: {a: {}}\nx-netlab: {host: {sysctls: {net.ipv4.conf.ext0.forwarding: 1}}}",
    HOST % "routes: [10.8.0.0/16 dev docker0, 10.9.0.0/16 dev lo, default via 198.51.100.9 table 100]",
    HOST % "interfaces: {ext0: {mtu: 1280, addresses: ['2001:db8::1/64']}}",
    HOST % "interfaces: {ext0: {mtu: 68, addresses: [198.51.100.1/24]}}",
    HOST
    % "sysctls: {net.ipv6.conf.all.disable_ipv6: 1}, interfaces: {ext0: {mtu: 68, addresses: ['::9/64']}}",
]


@pytest.mark.parametrize(("text", "said"), CASES)
def test_refused(text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f").write_text(text + "\n")
    with pytest.raises(ScenarioError) as error:
        make(load(["f"], environ={}))
    assert str(error.value) == said


@pytest.mark.parametrize("text", FINE)
def test_taken(text: str, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text(text + "\n")
    assert make(load([file], environ={})).nodes
