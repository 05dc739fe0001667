"""``daemon.json``: the keys that shape the network, checked as dockerd checks them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from netlab.engine.docker.traits import Traits
from netlab.engine.refusal import Refused
from netlab.model.family import FAMILIES, Family, Network
from netlab.model.scenario import JsonValue
from netlab.model.version import Version
from netlab.scenario.daemon import KEYS

#: The messages of 28.5.2 about removed keys that are not just unknown.
_REMOVED = {
    "api-cors-header": (
        'DEPRECATED: The "api-cors-header" config parameter and the dockerd "--api-cors-header" option have '
        "been removed; use a reverse proxy if you need CORS headers"
    )
}

#: The largest firewall mark, and the mask that compares all of one.
WORD = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Docker0:
    """The settings of the default bridge in one family; empty if there are none."""

    bip: str = ""
    fixed_cidr: str = ""
    default_gateway: str = ""


#: The keys of :class:`Docker0`.
_DOCKER0_KEYS = {
    Family.IPV4: ("bip", "fixed-cidr", "default-gateway"),
    Family.IPV6: ("bip6", "fixed-cidr-v6", "default-gateway-v6"),
}


@dataclass(frozen=True, slots=True)
class Daemon:
    """The network part of a daemon's configuration, defaults filled in."""

    userland_proxy: bool = True
    userland_proxy_path: str = ""
    iptables: bool = True
    ip6tables: bool = False
    ip_forward: bool = True
    ip_forward_no_drop: bool = False
    ip_masq: bool = True
    icc: bool = True
    ip: str = ""
    docker0: Mapping[Family, Docker0] = field(default_factory=lambda: dict.fromkeys(FAMILIES, Docker0()))
    ipv6: bool = False
    mtu: int = 1500
    bridge: str = ""
    experimental: bool = False
    allow_direct_routing: bool = False
    nftables: bool = False
    #: whether containers outlive the daemon
    live_restore: bool = False
    #: ``bridge-accept-fwmark``: the mark, and the mask under which it is compared
    accept_mark: tuple[int, int] | None = None
    #: what ``host-gateway`` means; empty: docker0's addresses
    host_gateway_ips: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_opts: tuple[str, ...] = ()
    pools: tuple[tuple[Network, int], ...] = ()
    #: ``default-network-opts``: driver options of every network of the bridge driver
    network_opts: Mapping[str, str] = field(default_factory=dict)


class _Reader:
    def __init__(self, keys: Mapping[str, JsonValue]) -> None:
        self.keys = keys

    def refuse(self, key: str, reason: str) -> Refused:
        return Refused("daemon", key, reason)

    def flag(self, key: str, default: bool) -> bool:
        value = self.keys.get(key, default)
        if not isinstance(value, bool):
            raise self.refuse(key, f"{key} must be true or false, not {value!r}")
        return value

    def text(self, key: str) -> str:
        value = self.keys.get(key, "")
        if not isinstance(value, str):
            raise self.refuse(key, f"{key} must be a string, not {value!r}")
        return value

    def number(self, key: str, default: int) -> int:
        value = self.keys.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.refuse(key, f"{key} must be a number, not {value!r}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.keys.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.refuse(key, f"{key} must be a list of strings, not {value!r}")
        return tuple(str(item) for item in value)

    def address(self, key: str) -> str:
        value = self.text(key)
        if value:
            try:
                return str(ipaddress.ip_address(value))
            except ValueError as error:
                raise self.refuse(key, f"{key}: {error}") from error
        return value

    def addresses(self, key: str) -> tuple[str, ...]:
        """At most one address of each family."""
        try:
            found = tuple(str(ipaddress.ip_address(item)) for item in self.texts(key))
        except ValueError as error:
            raise self.refuse(key, f"{key}: {error}") from error
        for family in FAMILIES:
            if sum(Family.of(address) is family for address in found) > 1:
                raise self.refuse(key, f"only one IPv{family.value} host gateway IP address can be specified")
        return found

    def mark(self, key: str) -> tuple[int, int] | None:
        """``0x10`` or ``0x10/0xf0``, in any of Go's ways to write a number."""
        text = self.text(key)
        if not text:
            return None
        mark, slash, mask = text.partition("/")
        return self._word(key, "mark", text, mark), self._word(key, "mask", text, mask) if slash else WORD

    def _word(self, key: str, what: str, whole: str, text: str) -> int:
        octal = len(text) > 1 and text[0] == "0" and text[1].isdigit()
        try:
            value = int(f"0o{text[1:]}" if octal else text, 0)
        except ValueError:
            value = -1
        if not 0 <= value <= WORD:
            raise self.refuse(key, f'invalid {key}: invalid firewall {what} "{whole}"')
        return value

    def docker0(self, family: Family) -> Docker0:
        bip, fixed_cidr, default_gateway = _DOCKER0_KEYS[family]
        return Docker0(
            self.cidr(bip, family.value), self.cidr(fixed_cidr, family.value), self.address(default_gateway)
        )

    def cidr(self, key: str, version: int) -> str:
        value = self.text(key)
        if value:
            try:
                interface = ipaddress.ip_interface(value)
            except ValueError as error:
                raise self.refuse(key, f"{key}: {error}") from error
            if interface.version != version or "/" not in value:
                raise self.refuse(
                    key, f"{key}: {value!r} is not an IPv{version} address with a prefix length"
                )
        return value

    def network_opts(self) -> dict[str, str]:
        """``default-network-opts`` of the bridge driver."""
        opts = self.keys.get("default-network-opts", {})
        bridge = opts.get("bridge", {}) if isinstance(opts, dict) else {}
        return {str(k): str(v) for k, v in bridge.items()} if isinstance(bridge, dict) else {}

    def pools(self) -> tuple[tuple[Network, int], ...]:
        value = self.keys.get("default-address-pools", [])
        if not isinstance(value, list):
            raise self.refuse(
                "default-address-pools", "default-address-pools must be a list of base and size"
            )
        found: list[tuple[Network, int]] = []
        for item in value:
            if not isinstance(item, dict) or set(item) != {"base", "size"}:
                raise self.refuse("default-address-pools", f"{item!r} must have a base and a size")
            base, size = item["base"], item["size"]
            try:
                network = ipaddress.ip_network(str(base), strict=False)
            except ValueError as error:
                raise self.refuse("default-address-pools", f"invalid base pool {base!r}: {error}") from error
            if not isinstance(size, int) or not network.prefixlen <= size <= network.max_prefixlen:
                raise self.refuse("default-address-pools", f"invalid pools size {size!r} for base {base!r}")
            found.append((network, size))
        return tuple(found)


def _check_unknown(keys: Mapping[str, JsonValue], version: Version) -> None:
    """Refuse what no option is named like; of an unknown object the daemon looks at the keys inside."""
    flat = [
        (key, name)
        for key, value in keys.items()
        for name in (value if isinstance(value, dict) and not _knows(version, key) else (key,))
    ]
    for key, name in flat:
        if not _knows(version, name):
            reason = f"the following directives don't match any configuration option: {name}"
            known = KEYS.get(name)
            if known is not None:
                reason = f"{_REMOVED.get(name, reason)} (a key of {known.span})"
            raise Refused("daemon", key, reason)


def _knows(version: Version, key: str) -> bool:
    known = KEYS.get(key)
    return known is not None and version in known.span


def ignored(keys: Mapping[str, JsonValue], version: Version) -> Iterator[tuple[str, str]]:
    """The keys that the daemon takes without a complaint and never reads, each with why."""
    for key in keys:
        known = KEYS.get(key)
        if known is None:
            continue
        if known.touches == "misspelt":
            yield key, f"{key} is {known.about}"
        elif not _knows(version, key):
            yield key, f"dockerd {version} does not know {key}, a key of {known.span}, and ignores it"


def read(keys: Mapping[str, JsonValue], traits: Traits) -> Daemon:
    """The configuration that a version makes of ``daemon.json``; raises :class:`Refused` as it would."""
    _check_unknown(keys, traits.version)
    reader = _Reader({key: value for key, value in keys.items() if _knows(traits.version, key)})
    experimental = reader.flag("experimental", False)
    ip6tables = reader.flag("ip6tables", traits.ip6tables_by_default)
    if ip6tables and traits.ip6tables_experimental and not experimental:
        raise Refused(
            "daemon", "ip6tables", "ip6tables rules are only available if experimental features are enabled"
        )
    if ip6tables and traits.ip6tables_needs_iptables and not reader.flag("iptables", True):
        reason = "Error initializing network controller: cannot create new chains, EnableIPTable is disabled"
        raise Refused("daemon", "ip6tables", reason)
    bridge, docker0 = reader.text("bridge"), {family: reader.docker0(family) for family in FAMILIES}
    if bridge and docker0[Family.IPV4].bip:
        raise Refused(
            "daemon", "bip", "You specified -b & --bip, mutually exclusive options. Please specify only one"
        )
    if not reader.flag("iptables", True) and not reader.flag("icc", True):
        raise Refused(
            "daemon",
            "icc",
            "You specified --iptables=false with --icc=false. ICC=false uses iptables to function. "
            "Please set --icc or --iptables to true",
        )
    backend = reader.text("firewall-backend")
    if backend not in ("", "iptables", "nftables"):
        raise Refused("daemon", "firewall-backend", f'invalid firewall-backend "{backend}"')
    gateway = reader.address("host-gateway-ip")
    return Daemon(
        userland_proxy=reader.flag("userland-proxy", True),
        userland_proxy_path=reader.text("userland-proxy-path"),
        iptables=reader.flag("iptables", True),
        ip6tables=ip6tables,
        ip_forward=reader.flag("ip-forward", True),
        ip_forward_no_drop=reader.flag("ip-forward-no-drop", False),
        ip_masq=reader.flag("ip-masq", True),
        icc=reader.flag("icc", True),
        live_restore=reader.flag("live-restore", False),
        ip=reader.address("ip"),
        docker0=docker0,
        ipv6=reader.flag("ipv6", False),
        mtu=reader.number("mtu", 1500),
        bridge=bridge,
        experimental=experimental,
        allow_direct_routing=reader.flag("allow-direct-routing", False),
        nftables=traits.nftables or backend == "nftables",
        accept_mark=reader.mark("bridge-accept-fwmark"),
        host_gateway_ips=(gateway,) if gateway else reader.addresses("host-gateway-ips"),
        dns=reader.texts("dns"),
        dns_search=reader.texts("dns-search"),
        dns_opts=reader.texts("dns-opts"),
        pools=reader.pools(),
        network_opts=reader.network_opts(),
    )
