"""``networks:`` → :class:`ComposeNetwork`: names, drivers, IPAM, and what cannot be a network here."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from netlab.model.family import Network
from netlab.model.problem import Position
from netlab.model.scenario import ComposeNetwork, Pool
from netlab.scenario.addresses import address, loose_subnet, wrong_interface
from netlab.scenario.tree import Mark, Report, Value, hint, shown

DRIVERS = ("bridge",)
#: drivers that Docker has but an emulated host does not
OTHER_DRIVERS = ("overlay", "macvlan", "ipvlan")
#: drivers with exactly one network, which Docker creates itself
SINGLE_DRIVERS = ("host", "null")
#: words that look like a driver, but are not one on Linux
NO_DRIVERS = ("none", "default", "nat", "transparent", "l2bridge", "l2tunnel", "ics", "internal", "private")
#: external networks of these names are Docker's own, and mean a network mode
PREDEFINED = ("bridge", "host", "none")
BRIDGE_NAME = "com.docker.network.bridge.name"
MTU = "com.docker.network.driver.mtu"
IFACE_PREFIX = "com.docker.network.container_iface_prefix"
#: ETH_MIN_MTU and ETH_MAX_MTU (include/uapi/linux/if_ether.h)
SMALLEST_MTU, LARGEST_MTU = 68, 65535


def docker_name(project: str, key: str, value: Value | None) -> str:
    """The network's name in ``docker network ls``: the name in the file, or else ``PROJECT_KEY``."""
    if value is not None:
        named = value.get("name")
        external = value.get("external")
        inside = external.get("name") if external is not None else None
        if named is not None or inside is not None:
            return (named or inside or value).text
        if is_external(value):
            return key
    return f"{project}_{key}"


def is_external(value: Value | None) -> bool:
    """Whether Compose does not make it: ``external: true``, or the older ``external: {name: …}``."""
    external = value.get("external") if value is not None else None
    return external is not None and (external.data is True or isinstance(external.data, dict))


def predefined(value: Value | None, key: str) -> str | None:
    """``bridge``, ``host`` or ``none`` if the network is Docker's own of that name."""
    name = docker_name("", key, value) if is_external(value) else ""
    return name if name in PREDEFINED else None


def read_network(
    key: str, value: Value | None, at: Mark, project: str, facts: Value | None, report: Report
) -> ComposeNetwork | None:
    """Read a network that a service uses; None if it cannot be reproduced.

    ``facts`` is the entry in ``x-netlab.networks`` of an external network, of which Compose knows only the
    name.
    """
    value = value if value is not None and value.data is not None else Value({}, at)
    external = is_external(value)
    if external:
        _external_conflicts(key, value, report)
        described = facts or Value({}, at)
    else:
        described = value
        name = docker_name(project, key, value)
        if name in PREDEFINED:
            reason = f'network {name} was found but has incorrect label com.docker.compose.network set to ""'
            report.refuse(value.key_at("name"), f"networks.{key}", reason, by="Compose")
        possible = _reproducible(key, value, report), _ipam_reproducible(key, value.get("ipam"), report)
        if report.lenient and not all(possible):
            return None
    options = described.get("driver_opts")
    return ComposeNetwork(
        key=key,
        name=docker_name(project, key, value),
        position=Position(*at),
        project=project,
        external=external,
        driver_opts=_options(key, options, report),
        pools=_pools(key, described.get("ipam"), report),
        internal=_flag(described, "internal") or False,
        enable_ipv4=_flag(described, "enable_ipv4"),
        enable_ipv6=_flag(described, "enable_ipv6"),
    )


def _flag(value: Value, key: str) -> bool | None:
    found = value.get(key)
    return found.flag if found is not None else None


def _external_conflicts(key: str, value: Value, report: Report) -> None:
    """Warn about settings of an external network, which Compose ignores (except for ``name``)."""
    external = value.get("external")
    if external is not None and isinstance(external.data, dict) and value.get("name") is not None:
        inside = external.get("name")
        if inside is not None and inside.text != (value.get("name") or inside).text:
            report.add(value.key_at("name"), f"networks.{key}: name and external.name differ")
    for word, entry in value.pairs():
        empty = entry.data in (None, False, {}, []) or word in ("name", "external", "driver")
        if not empty and not word.startswith("x-"):
            more = f"; describe it under x-netlab.networks.{key}"
            what = f"networks.{key} is external, so {shown(word)} has no effect here"
            report.warn(value.key_at(word), f"{what}{more}")


def _reproducible(key: str, value: Value, report: Report) -> bool:
    """Whether an emulated host has the network's driver; if not, that is reported."""
    driver, path = value.get("driver"), f"networks.{key}"
    if driver is None or driver.text in ("", *DRIVERS):
        return True
    word = driver.text
    instead = f' (a service takes "network_mode: {word}")' if word in ("host", "none") else ""
    if word in SINGLE_DRIVERS:
        report.refuse(driver.at, path, f'only one instance of "{word}" network is allowed{instead}')
    elif word in NO_DRIVERS:
        report.refuse(driver.at, path, f'plugin "{word}" not found{instead}')
    elif word in OTHER_DRIVERS:
        report.unsupported(driver.at, f"{path}: the driver {shown(word)} is not supported, only bridge is")
    else:
        more = hint(word, DRIVERS + OTHER_DRIVERS)
        report.unsupported(driver.at, f"{path}: unknown driver {shown(word)}{more}; only bridge is supported")
    return False


def _ipam_reproducible(key: str, ipam: Value | None, report: Report) -> bool:
    """The same of its address management."""
    driver, path = ipam.get("driver") if ipam is not None else None, f"networks.{key}"
    if driver is None or driver.text in ("", "default"):
        return True
    if driver.text == "null":
        report.refuse(driver.at, f"{path}.ipam", "ipv4 pool is empty")
    else:
        what = f"the driver {shown(driver.text)} is not supported, only default is"
        report.unsupported(driver.at, f"{path}.ipam: {what}")
    return False


def _options(key: str, options: Value | None, report: Report) -> Mapping[str, str]:
    if options is None:
        return {}
    made = {name: entry.text for name, entry in options.pairs()}
    bridge = options.get(BRIDGE_NAME)
    if bridge is not None:
        wrong = wrong_interface(bridge.text)
        if wrong:
            report.add(bridge.at, f"networks.{key}: {wrong}", f"networks.{key}")
    _mtu(key, options.get(MTU), report)
    prefix = options.get(IFACE_PREFIX)
    if prefix is not None and prefix.text and wrong_interface(f"{prefix.text}0"):
        first = f"{prefix.text}0"
        reason = f"error renaming interface to {shown(first)}: {wrong_interface(first)}"
        report.refuse(prefix.at, f"networks.{key}", reason)
    return made


def _mtu(key: str, value: Value | None, report: Report) -> None:
    """What the driver and the kernel take; other text is the driver's to refuse."""
    if value is None or not re.fullmatch(r"[-+]?[0-9]{1,9}", value.text, re.ASCII):
        return
    mtu = int(value.text)
    if mtu < 0:
        report.refuse(value.at, f"networks.{key}", f"invalid MTU number: {mtu}")
    elif mtu and not SMALLEST_MTU <= mtu <= LARGEST_MTU:
        reason = f"invalid argument (an MTU is between {SMALLEST_MTU} and {LARGEST_MTU})"
        report.refuse(value.at, f"networks.{key}", reason)


def _pools(key: str, ipam: Value | None, report: Report) -> tuple[Pool, ...]:
    if ipam is None:
        return ()
    return tuple(_pool(f"networks.{key}.ipam", entry, report) for entry in ipam.get("config") or ())


def _pool(path: str, value: Value, report: Report) -> Pool:
    net: Network | None = None
    written = value.get("subnet")
    if written is not None:
        try:
            net = loose_subnet(written.text)
        except ValueError as error:
            report.add(written.at, f"{path}: {error}", path)
    else:
        report.refuse(value.at, path, "invalid subnet: an entry of config needs one")
    gateway, ip_range = value.get("gateway"), value.get("ip_range")
    aux = value.get("aux_addresses")
    _inside(path, "gateway", gateway, net, report)
    within = _range(path, ip_range, net, report)
    for name, entry in aux.pairs() if aux is not None else ():
        _inside(path, f"aux_addresses.{name}", entry, net, report)
    return Pool(
        subnet=str(net) if net is not None else None,
        ip_range=str(within) if within is not None else None,
        gateway=gateway.text if gateway is not None else None,
        aux_addresses={name: entry.text for name, entry in aux.pairs()} if aux is not None else {},
    )


def _range(path: str, value: Value | None, net: Network | None, report: Report) -> Network | None:
    """The part of the subnet that a range means: Docker takes its host part (getAddressRange of its ipam)."""
    if value is None:
        return None
    try:
        part = loose_subnet(value.text)
    except ValueError as error:
        report.add(value.at, f"{path}: {error}", path)
        return None
    if net is None:
        return None
    if part.version != net.version:
        report.add(value.at, f"{path}: the ip_range {part} is not within the subnet {net}", path)
        return None
    first = int(net.network_address) | (int(part.network_address) & int(net.hostmask))
    return ipaddress.ip_network((first, max(part.prefixlen, net.prefixlen)))


def _inside(path: str, what: str, value: Value | None, net: Network | None, report: Report) -> None:
    if value is None:
        return
    try:
        found = address(value.text)
    except ValueError as error:
        report.add(value.at, f"{path}.{what}: {error}")
        return
    if net is None:
        return
    if found not in net:
        report.add(value.at, f"{path}: the {what} {found} is not within the subnet {net}")
    elif _reserved(found, net):
        report.add(value.at, f"{path}: the {what} {found} is the network or broadcast address of {net}")


def _reserved(found: ipaddress.IPv4Address | ipaddress.IPv6Address, net: Network) -> bool:
    return found.version == 4 and net.prefixlen < 31 and found in (net.network_address, net.broadcast_address)
