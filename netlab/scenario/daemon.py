"""The keys of ``daemon.json`` and the types of their values.

Source: dockerd's flags and its configuration file, Docker 19.03 to 29 (``daemon/config`` of
github.com/moby/moby). Whether one generation knows a key is for its engine to say. Keys that do not touch
the network are accepted and have no effect.
"""

from __future__ import annotations

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

_NETWORK: dict[str, tuple[Shape, str]] = {
    "allow-direct-routing": (
        Flag(),
        "do not drop what is routed straight to a container's address (28 and later)",
    ),
    "bip": (INTERFACE_ADDRESS, "IPv4 address and prefix length of docker0"),
    "bip6": (INTERFACE_ADDRESS, "IPv6 address and prefix length of docker0 (28 and later)"),
    "bridge": (
        Text("the name of a bridge, or none", lambda text: None if text == "" else wrong_interface(text)),
        "the default network's bridge, made by somebody else; none for no default network",
    ),
    "bridge-accept-fwmark": (Atom(), "accept packets with this mark (29 and later)"),
    "default-address-pools": (
        ListOf(
            Record(
                {
                    "base": Field(SUBNET, "the pool", required=True),
                    "size": Field(
                        Whole(1, 128), "prefix length of each network taken from it", required=True
                    ),
                }
            )
        ),
        "where subnets come from that nobody chose",
    ),
    "default-gateway": (ADDRESS, "IPv4 default gateway of containers on docker0"),
    "default-gateway-v6": (ADDRESS, "IPv6 default gateway of containers on docker0"),
    "default-network-opts": (MapOf(MapOf(Atom())), "driver options of every new network, by driver"),
    "dns": (ListOf(ADDRESS), "name servers of containers"),
    "dns-opts": (ListOf(Text()), "resolver options of containers"),
    "dns-search": (ListOf(Text()), "search domains of containers"),
    "experimental": (Flag(), "experimental features (ip6tables up to 26)"),
    "firewall-backend": (Choice(("iptables", "nftables")), "which rules are written (29 and later)"),
    "fixed-cidr": (SUBNET, "IPv4 range that containers on docker0 get addresses from"),
    "fixed-cidr-v6": (SUBNET, "IPv6 subnet of docker0"),
    "host-gateway-ip": (ADDRESS, "what host-gateway in extra_hosts stands for"),
    "host-gateway-ips": (ListOf(ADDRESS), "what host-gateway in extra_hosts stands for, in both families"),
    "icc": (Flag(), "containers on docker0 may talk to each other"),
    "ip": (ADDRESS, "host address on which ports are published when none is given"),
    "ip-forward": (Flag(), "turn forwarding on"),
    "ip-forward-no-drop": (
        Flag(),
        "leave the FORWARD policy alone when turning forwarding on (28 and later)",
    ),
    "ip-masq": (Flag(), "masquerade what containers on docker0 send out"),
    "ip6tables": (Flag(), "write IPv6 rules"),
    "iptables": (Flag(), "write IPv4 rules"),
    "ipv6": (Flag(), "IPv6 on docker0"),
    "mtu": (Whole(68, 65535), "MTU of docker0"),
    "userland-proxy": (Flag(), "a docker-proxy for each published port"),
    "userland-proxy-path": (Text("a path"), "which program that is"),
}

_ELSEWHERE = """
allow-nondistributable-artifacts api-cors-header authorization-plugins builder cdi-spec-dirs cgroup-
parent cluster-advertise cluster-store cluster-store-opts containerd containerd-namespace
containerd-plugin-namespace containerd-plugins-namespace cpu-rt-period cpu-rt-runtime cri-containerd
data-root debug default-cgroupns-mode default-ipc-mode default-runtime default-shm-size default-
ulimits deprecated-key-path exec-opts exec-root features graph group hosts http-proxy https-proxy
init init-path insecure-registries labels live-restore log-driver log-format log-level log-opts max-
concurrent-downloads max-concurrent-uploads max-download-attempts metrics-addr min-api-version
network-control-plane-mtu network-diagnostic-port no-new-privileges no-proxy node-generic-resources
nri-opts oom-score-adjust pidfile proxies raw-logs registry-mirrors rootless runtimes seccomp-
profile selinux-enabled shutdown-timeout storage-driver storage-opts swarm-default-advertise-addr
tls tlscacert tlscert tlskey tlsverify userns-remap
"""

DAEMON = Record(
    {key: Field(shape, about) for key, (shape, about) in _NETWORK.items()}
    | dict.fromkeys(_ELSEWHERE.split(), Field(Anything(), "accepted; does not touch the network")),
    expects="a mapping, as daemon.json holds one",
)
