"""The keys of ``daemon.json``: the types of their values, and the versions of Docker that know them.

Source: dockerd's flags and its configuration file, Docker 19.03 to 29 (``daemon/config`` of
github.com/moby/moby); 20.10.24, 26.1.5 and 28.5.2 were tested for which of these keys they know. An engine
refuses a key that its version does not know. Keys that do not concern the network have no effect here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from netlab.model.version import STILL, Span
from netlab.scenario.addresses import address, interface_address, subnet, wrong_interface
from netlab.scenario.shape import (
    Anything,
    Atom,
    Choice,
    Field,
    Flag,
    ListOf,
    MapOf,
    Record,
    Shape,
    Text,
    Whole,
)


def _parsed(text: str, parse: object) -> str | None:
    assert callable(parse)
    try:
        parse(text)
    except ValueError as error:
        return str(error)
    return None


def wrong_address(text: str) -> str | None:
    """What is wrong with an address; None if nothing is."""
    return _parsed(text, address)


def wrong_subnet(text: str) -> str | None:
    """What is wrong with a subnet; None if nothing is."""
    return _parsed(text, subnet)


def wrong_interface_address(text: str) -> str | None:
    """What is wrong with an address and its prefix length; None if nothing is."""
    return _parsed(text, interface_address)


ADDRESS = Text("an address", wrong_address)
SUBNET = Text("a subnet", wrong_subnet)
INTERFACE_ADDRESS = Text("an address with its prefix length", wrong_interface_address)


@dataclass(frozen=True, slots=True)
class Key:
    """One key; ``touches`` says what it is about. ``misspelt`` is a flag's name: dockerd never reads it."""

    shape: Shape
    about: str
    span: Span
    touches: Literal["network", "nothing", "misspelt"] = "network"

    @property
    def text(self) -> str:
        """What the key means, and the versions that know it if not all do."""
        oldest = self.span == Span(_OLDEST, STILL)
        return self.about if oldest else f"{self.about} ({self.span})"


_OLDEST = "19.03"


def _network(first: str, last: str, keys: Mapping[str, tuple[Shape, str]]) -> dict[str, Key]:
    return {key: Key(shape, about, Span(first, last)) for key, (shape, about) in keys.items()}


def _elsewhere(first: str, last: str, names: str) -> dict[str, Key]:
    span = Span(first, last)
    return {
        name: Key(Anything(), "accepted; does not touch the network", span, "nothing")
        for name in names.split()
    }


def _misspelt(first: str, last: str, keys: Mapping[str, str]) -> dict[str, Key]:
    """Names of flags whose key is another: dockerd does not complain, and does not read them."""
    return {
        name: Key(Anything(), f"ignored by dockerd, whose key is {key}", Span(first, last), "misspelt")
        for name, key in keys.items()
    }


_ADDRESS_POOLS = ListOf(
    Record(
        {
            "base": Field(SUBNET, "the pool", required=True),
            "size": Field(Whole(1, 128), "prefix length of each network taken from it", required=True),
        }
    )
)

KEYS: dict[str, Key] = {
    **_network(
        _OLDEST,
        STILL,
        {
            "bip": (INTERFACE_ADDRESS, "IPv4 address and prefix length of docker0"),
            "bridge": (
                Text("the name of a bridge, or none", lambda t: None if t == "" else wrong_interface(t)),
                "the default network's bridge, which already exists; none for no default network",
            ),
            "default-address-pools": (
                _ADDRESS_POOLS,
                "pools from which Docker takes subnets for networks without one",
            ),
            "default-gateway": (ADDRESS, "IPv4 default gateway of containers on docker0"),
            "default-gateway-v6": (ADDRESS, "IPv6 default gateway of containers on docker0"),
            "dns": (ListOf(ADDRESS), "name servers of containers"),
            "dns-opts": (ListOf(Text()), "resolver options of containers"),
            "dns-search": (ListOf(Text()), "search domains of containers"),
            "experimental": (Flag(), "experimental features (ip6tables up to 26)"),
            "fixed-cidr": (SUBNET, "IPv4 range that containers on docker0 get addresses from"),
            "fixed-cidr-v6": (SUBNET, "IPv6 subnet of docker0"),
            "icc": (Flag(), "containers on docker0 may talk to each other"),
            "ip": (ADDRESS, "host address on which ports are published when none is given"),
            "ip-forward": (Flag(), "turn forwarding on"),
            "ip-masq": (Flag(), "masquerade what containers on docker0 send out"),
            "iptables": (Flag(), "write IPv4 rules"),
            "ipv6": (Flag(), "IPv6 on docker0"),
            "live-restore": (Flag(), "containers outlive the daemon"),
            "mtu": (Whole(68, 65535), "MTU of docker0"),
            "userland-proxy": (Flag(), "a docker-proxy for each published port"),
            "userland-proxy-path": (Text("a path"), "which program that is"),
        },
    ),
    **_network(
        "20.10",
        STILL,
        {
            "host-gateway-ip": (ADDRESS, "what host-gateway in extra_hosts means"),
            "ip6tables": (Flag(), "write IPv6 rules"),
        },
    ),
    **_network(
        "24",
        STILL,
        {"default-network-opts": (MapOf(MapOf(Atom())), "driver options of every new network, by driver")},
    ),
    **_network(
        "28",
        STILL,
        {
            "bip6": (INTERFACE_ADDRESS, "IPv6 address and prefix length of docker0"),
            "host-gateway-ips": (
                ListOf(ADDRESS),
                "what host-gateway in extra_hosts means, in both families",
            ),
            "ip-forward-no-drop": (Flag(), "leave the FORWARD policy alone when turning forwarding on"),
        },
    ),
    # moby#49832
    **_network(
        "28.2",
        STILL,
        {
            "allow-direct-routing": (
                Flag(),
                "do not drop packets that are routed directly to a container's address",
            )
        },
    ),
    # moby#50476, moby#50646
    **_network(
        "29",
        STILL,
        {
            "bridge-accept-fwmark": (Atom(), "accept packets with this mark"),
            "firewall-backend": (Choice(("iptables", "nftables")), "which rules are written"),
        },
    ),
    **_elsewhere(
        _OLDEST,
        STILL,
        """
        allow-nondistributable-artifacts authorization-plugins builder cgroup-parent containerd
        containerd-namespace containerd-plugins-namespace cpu-rt-period cpu-rt-runtime cri-containerd
        data-root debug default-ipc-mode default-runtime default-shm-size default-ulimits deprecated-key-path
        exec-opts
        exec-root features group hosts init init-path insecure-registries labels log-driver
        log-level log-opts max-concurrent-downloads max-concurrent-uploads max-download-attempts metrics-addr
        network-control-plane-mtu network-diagnostic-port no-new-privileges node-generic-resources pidfile
        raw-logs registry-mirrors rootless runtimes seccomp-profile selinux-enabled shutdown-timeout
        storage-driver storage-opts swarm-default-advertise-addr tls tlscacert tlscert tlskey tlsverify
        userns-remap
        """,
    ),
    **_elsewhere("20.10", STILL, "default-cgroupns-mode"),
    **_elsewhere("23", STILL, "http-proxy https-proxy no-proxy proxies validate"),
    **_elsewhere("25", STILL, "cdi-spec-dirs log-format"),
    **_elsewhere("29", STILL, "min-api-version nri-opts"),
    **_elsewhere("29.7", STILL, "default-stop-timeout"),  # moby#53146
    # 20.10.24 knows them, 26.1.5 does not
    **_elsewhere(_OLDEST, "20.10", "cluster-advertise cluster-store cluster-store-opts graph"),
    **_elsewhere(_OLDEST, "24", "oom-score-adjust"),
    # 26.1.5 starts with it, 28.5.2 does not
    **_elsewhere(_OLDEST, "27", "api-cors-header"),
    # no complaint of 20.10.24, 26.1.5 and 28.5.2
    **_misspelt(
        _OLDEST,
        STILL,
        {
            "add-runtime": "runtimes",
            "default-ulimit": "default-ulimits",
            "dns-opt": "dns-opts",
            "exec-opt": "exec-opts",
            "host": "hosts",
            "insecure-registry": "insecure-registries",
            "label": "labels",
            "log-opt": "log-opts",
            "node-generic-resource": "node-generic-resources",
            "registry-mirror": "registry-mirrors",
            "storage-opt": "storage-opts",
        },
    ),
}

DAEMON = Record(
    {name: Field(key.shape, key.text) for name, key in KEYS.items()},
    expects="a mapping, as daemon.json holds one",
)
