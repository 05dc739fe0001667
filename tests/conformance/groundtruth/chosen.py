"""Configurations by the throw of dice, for what nobody thought of: the same seed gives the same, everywhere.

Each is a scenario file as a user would write it. Where a real daemon would itself throw dice (a container on
two networks that restarts, two networks after a restart of the daemon) none is made, since nothing could be
learned.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from groundtruth.matrix import Case, number

#: How often a thing is there that need not be.
SELDOM, OFTEN = 0.15, 0.5
HOST_ADDRESSES = ("127.0.0.1", "198.51.100.1", "0.0.0.0", "[::]", "[::1]", "[2001:db8:1::1]")


def cases(folder: Path, engine: str, seed: int, count: int) -> Iterator[Case]:
    """So many configurations for an engine's daemon, ``random-SEED`` and on, written into ``folder``."""
    for own in range(seed, seed + count):
        path = folder / f"{engine}-random-{own}.yaml"
        path.write_text(scenario(own, number(engine)))
        yield Case(f"random-{own}", path, "By the throw of dice.")


def scenario(seed: int, generation: float) -> str:
    """The text of a scenario file, which is JSON and so YAML; ``generation``: 20.1, 26.0, 28.0."""
    dice = random.Random(seed)
    networks = {f"n{n}": _network(dice, n, generation) for n in range(dice.randint(1, 3))}
    ports = _host_ports(dice)
    services = {f"s{n}": _service(dice, n, networks, ports) for n in range(dice.randint(1, 4))}
    netlab: dict[str, Any] = {"host": {"daemon": _daemon(dice, generation)}}
    netlab["events"] = list(_events(dice, services, networks))
    return json.dumps({"services": services, "networks": networks, "x-netlab": netlab}, indent=1)


def _network(dice: random.Random, number: int, generation: float) -> dict[str, Any]:
    pool: dict[str, Any] = {"subnet": f"10.11.{number}.0/24"}
    if dice.random() < SELDOM:
        pool["gateway"] = f"10.11.{number}.{dice.randint(2, 254)}"
    if dice.random() < SELDOM:
        pool["ip_range"] = f"10.11.{number}.128/25"
    pools = [pool]
    options: dict[str, str] = {"com.docker.network.bridge.name": f"br_n{number}"}
    made: dict[str, Any] = {"driver_opts": options, "ipam": {"config": pools}}
    if dice.random() < OFTEN:
        made["enable_ipv6"] = True
        pools.append({"subnet": f"fd00:11:{number}::/64"})
    if dice.random() < SELDOM:
        made["internal"] = True
    for option, values in {
        "com.docker.network.bridge.enable_icc": ("false", "true"),
        "com.docker.network.bridge.enable_ip_masquerade": ("false", "true"),
        "com.docker.network.bridge.host_binding_ipv4": ("127.0.0.1", "198.51.100.1"),
        "com.docker.network.driver.mtu": ("1400",),
    }.items():
        if dice.random() < SELDOM:
            options[option] = dice.choice(values)
    if generation >= 28:
        for family in ("ipv4", "ipv6"):
            if dice.random() < SELDOM:
                mode = dice.choice(("nat", "nat-unprotected", "routed"))
                options[f"com.docker.network.bridge.gateway_mode_{family}"] = mode
        if dice.random() < SELDOM:
            options["com.docker.network.bridge.trusted_host_interfaces"] = "ext0"
    return made


def _host_ports(dice: random.Random) -> Iterator[int]:
    """Ports that nobody has yet, with room for a range of three, in no order."""
    yield from dice.sample(range(1000, 9000, 10), 500)


def _service(
    dice: random.Random, number: int, networks: dict[str, Any], ports: Iterator[int]
) -> dict[str, Any]:
    joined = dice.sample(sorted(networks), dice.randint(1, min(2, len(networks))))
    made: dict[str, Any] = {"image": "busybox", "container_name": f"s{number}"}
    if dice.random() < SELDOM:
        made["network_mode"] = dice.choice(("bridge", "none", "host"))
    else:
        made["networks"] = joined
    if made.get("network_mode") not in ("host", "none"):
        made["ports"] = _ports(dice, ports)
    if dice.random() < SELDOM and made.get("network_mode") != "host":
        made["expose"] = [dice.choice(("80", "53/udp", "9000-9002"))]
    return made


def _ports(dice: random.Random, ports: Iterator[int]) -> list[str]:
    """Host and container ports in one order: else a daemon up to 26 has them in the order of a Go map."""
    inner = dice.sample((53, 80, 443, 8080, 9000), dice.randint(0, 4))
    return [
        _port(dice, host, port)
        for host, port in zip(sorted(next(ports) for _ in inner), sorted(inner), strict=True)
    ]


def _port(dice: random.Random, host: int, inner: int) -> str:
    protocol = dice.choice(("", "", "/tcp", "/udp"))
    address = f"{dice.choice(HOST_ADDRESSES)}:" if dice.random() < OFTEN else ""
    if dice.random() < SELDOM:
        return f"{address}{host}-{host + 2}:{inner}-{inner + 2}{protocol}"
    return f"{address}{host}:{inner}{protocol}"


def _daemon(dice: random.Random, generation: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    choices: dict[str, tuple[Any, ...]] = {
        "userland-proxy": (False, False, True),
        "icc": (False,),
        "iptables": (False,),
        "ip6tables": (True, True, False),
        "ip-masq": (False,),
        "ip-forward": (False,),
        "ip": ("127.0.0.1", "198.51.100.1"),
        "mtu": (1400,),
        "bip": ("172.20.0.1/24",),
    }
    for key, values in choices.items():
        if dice.random() < SELDOM:
            found[key] = dice.choice(values)
    if dice.random() < SELDOM:
        found |= {"ipv6": True, "fixed-cidr-v6": "fd00:12::/64"}
    if generation < 27 and (found.get("ip6tables") or dice.random() < SELDOM):
        found["experimental"] = True
    if generation >= 28 and dice.random() < SELDOM:
        found["allow-direct-routing"] = True
    return found


def _events(dice: random.Random, services: dict[str, Any], networks: dict[str, Any]) -> Iterator[str]:
    """A few things that happen, of which the daemon leaves nothing to chance."""
    joined = {name: list(service.get("networks", ())) for name, service in services.items()}
    running = dict.fromkeys(services, True)
    movable = sorted(name for name, nets in joined.items() if nets)
    restarted = False
    for _ in range(dice.randint(0, 4)):
        kind = dice.choice(("restart", "stop", "start", "connect", "disconnect", "remove", "daemon", "flush"))
        if kind == "daemon":
            if not restarted and len(networks) == 1 and all(len(nets) == 1 for nets in joined.values()):
                restarted = True
                yield "restart daemon"
                running = dict.fromkeys(services, False)
            continue
        if kind == "flush":
            if dice.random() < SELDOM:
                yield "flush firewall"
            continue
        if not movable:
            continue
        name = dice.choice(movable)
        away = sorted(set(networks) - set(joined[name]))
        match kind:
            case "restart" | "stop" if running[name] and len(joined[name]) < 2:
                running[name] = kind == "restart"
                yield f"{kind} {name}"
            case "start" if not running[name]:
                running[name] = True
                yield f"start {name}"
            case "connect" if away and running[name]:
                joined[name].append(away[0])
                yield f"connect {name} {away[0]}"
            case "disconnect" if joined[name] and running[name]:
                yield f"disconnect {name} {joined[name].pop()}"
            case "remove":
                movable.remove(name)
                yield f"remove {name}"
