"""Every key of the Compose specification that is about the network: it changes the plan, or is known not to.

A key without an effect, an entry without a key, and a new key without an entry fail.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from netlab.model.plan import Plan
from netlab.model.scenario import Scenario
from netlab.plan import make
from netlab.scenario import Overrides
from netlab.scenario.compose_shapes import ATTACHMENT, LONG_PORT, NETWORK, POOL, SERVICE

BASE: dict[str, Any] = {
    "services": {
        "web": {
            "image": "x",
            "networks": {"m": {}, "n": {}},
            "ports": [{"target": 80}],
        },
        "db": {"image": "x", "networks": ["n"]},
    },
    "networks": {
        "n": {
            "enable_ipv6": True,
            "ipam": {"config": [{"subnet": "10.9.0.0/24"}, {"subnet": "fd00:9::/64"}]},
        },
        "m": {},
    },
}
EFFECT, NONE = "changes the plan", "changes nothing"

Place = tuple[str | int, ...]
WEB: Place = ("services", "web")
ON_N: Place = (*WEB, "networks", "n")
PORT: Place = (*WEB, "ports", 0)
NET: Place = ("networks", "n")
SUBNET: Place = (*NET, "ipam", "config", 0)

TABLE: list[tuple[Place, str, Any, str]] = [
    (ON_N, "aliases", ["other"], EFFECT),
    (ON_N, "ipv4_address", "10.9.0.9", EFFECT),
    (ON_N, "ipv6_address", "fd00:9::9", EFFECT),
    (ON_N, "link_local_ips", ["169.254.8.8"], EFFECT),
    (ON_N, "mac_address", "02:42:0a:09:00:09", EFFECT),
    (ON_N, "interface_name", "lan0", EFFECT),
    (ON_N, "gw_priority", -5, EFFECT),
    (ON_N, "priority", 5, NONE),  # it decides where the service's own mac_address goes
    (ON_N, "driver_opts", {"of": "another driver"}, NONE),
    (PORT, "target", 81, EFFECT),
    (PORT, "published", "8080", EFFECT),
    (PORT, "protocol", "udp", EFFECT),
    (PORT, "host_ip", "127.0.0.1", EFFECT),
    (PORT, "mode", "host", NONE),  # of a swarm
    (PORT, "name", "http", NONE),
    (PORT, "app_protocol", "http", NONE),
    (WEB, "ports", ["80:80"], EFFECT),
    (WEB, "expose", ["90-91/udp"], EFFECT),
    (WEB, "links", ["db:database"], EFFECT),
    (WEB, "external_links", ["netlab-db-1:database"], EFFECT),
    (WEB, "external_links", ["elsewhere"], NONE),
    (WEB, "dns", "192.0.2.53", EFFECT),
    (WEB, "dns_search", ["example.org"], EFFECT),
    (WEB, "dns_opt", ["ndots:3"], EFFECT),
    (WEB, "extra_hosts", ["other:192.0.2.1"], EFFECT),
    (WEB, "extra_hosts", ["other=[2001:db8::1]"], EFFECT),
    (WEB, "extra_hosts", {"other": ["192.0.2.1", "host-gateway"]}, EFFECT),
    (WEB, "hostname", "other", EFFECT),
    (WEB, "domainname", "example.org", EFFECT),
    (WEB, "uts", "host", EFFECT),
    (WEB, "mac_address", "02:42:0a:09:00:09", EFFECT),
    (WEB, "sysctls", {"net.ipv4.ip_forward": 1}, EFFECT),
    (WEB, "sysctls", ["net/ipv4/ip_forward=1"], EFFECT),
    (WEB, "sysctls", {"kernel.msgmax": 65536}, NONE),
    (WEB, "container_name", "other", EFFECT),
    (WEB, "networks", ["n"], EFFECT),
    (WEB, "network_mode", "bridge", EFFECT),
    (WEB, "scale", 2, EFFECT),
    (WEB, "deploy", {"replicas": 2}, EFFECT),
    (WEB, "deploy", {"endpoint_mode": "dnsrr"}, NONE),  # of a swarm
    (WEB, "restart", "always", NONE),  # until the daemon restarts
    (WEB, "cap_add", ["NET_ADMIN"], NONE),
    (WEB, "privileged", True, NONE),
    (WEB, "ipc", "host", NONE),
    (WEB, "labels", {"a": "b"}, NONE),
    (NET, "name", "other", EFFECT),
    (NET, "driver", "bridge", NONE),
    (NET, "driver_opts", {"com.docker.network.bridge.name": "br9"}, EFFECT),
    (NET, "driver_opts", {"of": "another driver"}, NONE),
    (NET, "internal", True, EFFECT),
    (NET, "enable_ipv4", False, EFFECT),
    (NET, "enable_ipv6", False, EFFECT),
    (NET, "external", True, EFFECT),
    (NET, "attachable", True, NONE),  # of a swarm
    (NET, "labels", ["a=b"], NONE),
    (NET, "ipam", {"driver": "default"}, EFFECT),  # without the subnets of the base
    (NET, "ipam", {**BASE["networks"]["n"]["ipam"], "options": {"of": "another driver"}}, NONE),
    (SUBNET, "subnet", "10.9.0.0/25", EFFECT),
    (SUBNET, "ip_range", "10.9.0.128/25", EFFECT),
    (SUBNET, "gateway", "10.9.0.254", EFFECT),
    (SUBNET, "aux_addresses", {"other": "10.9.0.2"}, EFFECT),
]  # fmt: skip
#: keys of a service that this table is about, beside those of the places below it
OF_SERVICE = {key for place, key, _, _ in TABLE if place == WEB}

Load = Callable[..., Scenario]


def planned(loaded: Load, scenario: dict[str, Any]) -> Plan:
    """The plan without its notes: what a daemon ignores has one, and no other effect."""
    overrides = Overrides(engine="docker-29")
    made = make(loaded(json.dumps(scenario), overrides=overrides, project_name="netlab"))
    return replace(made, notes=())


def changed(place: Place, key: str, value: Any) -> dict[str, Any]:
    scenario = copy.deepcopy(BASE)
    entry: Any = scenario
    for step in place:
        entry = entry[step]
    entry[key] = value
    if key in ("network_mode", "container_name"):
        entry.pop("networks" if key == "network_mode" else "", None)
    return scenario


@pytest.mark.parametrize(
    ("place", "key", "value", "verdict"),
    TABLE,
    ids=[f"{'.'.join(map(str, place))}.{key}-{n}" for n, (place, key, _, _) in enumerate(TABLE)],
)
def test_key(place: Place, key: str, value: Any, verdict: str, loaded: Load) -> None:
    before, after = planned(loaded, BASE), planned(loaded, changed(place, key, value))
    assert (EFFECT if before != after else NONE) == verdict


def test_every_key_has_an_entry() -> None:
    known = {
        ON_N: ATTACHMENT.fields,
        PORT: LONG_PORT.fields,
        NET: NETWORK.fields,
        SUBNET: POOL.fields,
    }
    for place, fields in known.items():
        assert {key for at, key, _, _ in TABLE if at == place} == set(fields)
    assert set(SERVICE.fields) >= OF_SERVICE


def test_the_networks_priority_says_where_the_mac_address_of_a_service_goes(loaded: Load) -> None:
    mac = "02:42:0a:09:00:09"
    for priorities, network in (((0, 0), "m"), ((0, 5), "n"), ((5, 0), "m")):
        scenario = copy.deepcopy(BASE)
        web = scenario["services"]["web"]
        web["mac_address"] = mac
        web["networks"] = {key: {"priority": p} for key, p in zip(("m", "n"), priorities, strict=True)}
        plan = planned(loaded, scenario)
        has = {
            interface.reason.rpartition(" ")[2]
            for interface in plan.node("web").interfaces
            if interface.mac == mac
        }
        assert has == {network}
