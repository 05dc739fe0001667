"""``[network]`` of containers.conf, which Podman reads; its keys and spelling.

Source: containers/common, docs/containers.conf.5.md, of 4.3.1 to 5.8.6.
"""

from __future__ import annotations

import ipaddress

from netlab.model.engine_names import is_podman
from netlab.model.scenario import JsonValue
from netlab.scenario.daemon import SUBNET
from netlab.scenario.shape import Choice, Field, ListOf, Record, Shape, Text, Whole
from netlab.scenario.tree import Report, Value

_POOL = Record(
    {
        "base": Field(SUBNET, "the subnet that networks are cut from", True),
        "size": Field(Whole(1, 32), "the prefix length of each network", True),
    }
)
_KEYS: dict[str, tuple[Shape, str]] = {
    "firewall_driver": (
        Choice(("iptables", "nftables", "none", "firewalld")),
        "netavark's firewall driver: with the engine podman, it makes podman-5-iptables or podman-5-nftables",
    ),
    "network_backend": (Choice(("netavark", "cni")), "netavark; cni is not reproduced"),
    "default_network": (Text("the name of a network"), "the name of the default network (podman)"),
    "default_subnet": (SUBNET, "the subnet of the default network (10.88.0.0/16)"),
    "default_subnet_pools": (ListOf(_POOL, least=1), "where networks without a subnet get theirs from"),
    "dns_bind_port": (Whole(0, 65535), "aardvark-dns's port at the gateways (53)"),
    "default_rootless_network_cmd": (
        Choice(("pasta", "slirp4netns")),
        "of rootless containers: no effect on a host whose Podman runs as root",
    ),
    "pasta_options": (ListOf(Text("an option of pasta")), "the same"),
    "network_config_dir": (Text("a folder"), "no effect on packets"),
    "cni_plugin_dirs": (ListOf(Text("a folder")), "no effect on packets"),
    "netavark_plugin_dirs": (ListOf(Text("a folder")), "no effect on packets"),
}
CONTAINERS_CONF = Record({key: Field(shape, about, False) for key, (shape, about) in _KEYS.items()})


def read_containers_conf(
    path: str, value: Value | None, engine: str, override: str | None, report: Report
) -> tuple[dict[str, JsonValue], str]:
    """The settings, and Podman's engine with the firewall driver that they say.

    ``engine`` is Podman's, or Docker's on a host without Podman. An engine of the command line comes before
    the file: of Docker's it takes no settings, and of Podman's its own driver counts.
    """
    if value is None:
        return {}, engine
    if not is_podman(engine):
        if override is None:
            report.add(value.at, f"{path}.containers_conf: only Podman reads it, and the engine is {engine}")
        return {}, engine
    settings = {key: entry.plain() for key, entry in value.pairs()}
    for key, words in _refused(settings):
        report.add(value.map[key].at, f"{path}.containers_conf.{key}: {words}")
    driver = settings.get("firewall_driver")
    if driver not in ("iptables", "nftables"):
        return settings, engine
    if engine == "podman":
        return settings, f"podman-5-{driver}"
    if override is None and driver != ("nftables" if engine.endswith("nftables") else "iptables"):
        report.add(
            value.map["firewall_driver"].at,
            f"{path}.containers_conf.firewall_driver: {driver} is not the driver of {engine}"
            + ("" if engine == "podman-4" else "; write engine: podman"),
        )
    return settings, engine


def _refused(settings: dict[str, JsonValue]) -> list[tuple[str, str]]:
    """What netlab does not reproduce, and what Podman could not read."""
    found = []
    if settings.get("firewall_driver") in ("none", "firewalld"):
        found.append(("firewall_driver", f"netlab does not reproduce {settings['firewall_driver']}"))
    if settings.get("network_backend") == "cni":
        found.append(("network_backend", "netlab does not reproduce cni, only netavark"))
    if settings.get("default_network", "podman") != "podman":
        found.append(("default_network", 'netlab does not reproduce another name than "podman"'))
    subnet = settings.get("default_subnet")
    if subnet is not None and _network(subnet).version != 4:
        found.append(("default_subnet", f"{subnet} is not an IPv4 subnet"))
    pools = settings.get("default_subnet_pools")
    for pool in pools if isinstance(pools, list) else ():
        assert isinstance(pool, dict)
        base, size = _network(pool["base"]), pool["size"]
        if base.version != 4:
            found.append(("default_subnet_pools", f"{base} is not an IPv4 subnet"))
        elif isinstance(size, int) and size < base.prefixlen:
            found.append(("default_subnet_pools", f"a /{size} does not fit into {base}"))
    return found


def _network(text: JsonValue) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(str(text), strict=False)
