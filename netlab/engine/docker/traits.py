"""What sets one Docker version apart from another, other than the layout of its rules."""

from __future__ import annotations

from typing import Literal

from netlab.engine.docker.behaviour import OLDEST, changes, during
from netlab.model.version import STILL, EngineVersion, Version

#: Which entries of conntrack the daemon deletes for published UDP ports, beside those of a container's own
#: address: none; what was sent to the host's port, when ports open and close, or only when they open; what
#: was sent to the container's port, at the address that is bound (for the wildcard address: at none, or any).
UdpFlush = Literal["none", "host-port", "host-port-opened", "container-port-exact", "container-port"]
_UDP_FLUSH: dict[str, UdpFlush] = {
    OLDEST: "none",
    "23": "host-port",
    "29": "host-port-opened",
    "29.5.0": "container-port-exact",
    "29.5.1": "container-port",
}


class Traits:
    """The habits of one version of dockerd."""

    def __init__(self, engine: EngineVersion) -> None:
        self.name: str = engine.name
        self.version: Version = engine.version
        #: whether the nftables backend was asked for by the engine's name
        self.nftables: bool = engine.nftables
        #: the note about a version that was never compared with netlab
        self.unmeasured: str = engine.unmeasured

    @property
    def enables_forwarding(self) -> bool:
        """The daemon turns forwarding on by itself; the nftables backend refuses to start where it is off."""
        return not self.nftables

    #: the folder that has the layout of its iptables rules
    layout = changes(
        "iptables-save of 19.03.15 to 27.5.1, 28.0.0, 28.0.1, 28.1.1, 28.5.2, 29.0.0, 29.7.2; moby#49518, "
        "moby#49981",
        {OLDEST: "docker_20_10", "28.0.0": "docker_28_0_0", "28.0.1": "docker_28", "29.0.0": "docker_29"},
    )
    #: IPv6 rules are written unless daemon.json says otherwise
    ip6tables_by_default = during("27", STILL, "26.1.5 and 28.5.2; moby#47747")
    #: ... only with ``experimental``
    ip6tables_experimental = during("20.10", "26", "20.10.24 and 26.1.5; release notes of 27.0")
    #: ... and the daemon does not start with ip6tables and without iptables
    ip6tables_needs_iptables = during("20.10", "26", "20.10.24 and 26.1.5")
    #: one socket for both families and one proxy for each port, always to the IPv4 address
    dual_stack_proxy = during(OLDEST, "19.03", "ss and ps of 19.03.15 and 20.10.24")
    #: no IPv6 socket where the host has IPv6 disabled
    proxy_minds_disable_ipv6 = during("20.10", STILL, "20.10.24, 24.0.9, 27.5.1 with disable_ipv6=1 before")
    #: ports of one container are programmed in ascending order
    ports_ascending = during("27", STILL, "iptables-save of 26.1.5 and 27.5.1; moby#47871")
    #: a port out of a range is the same for both families
    one_port_for_both = during("27", STILL, "release notes of 27.0; moby#47871")
    #: DOCKER-USER is made for IPv6 too
    user_chain_v6 = during("23", STILL, "ip6tables-save of 20.10.24 and 23.0.18")
    #: ... or even with iptables=false
    user_chain_always = during(OLDEST, "19.03", "iptables-save of 19.03.15 and 20.10.24")
    #: DOCKER-USER ends in a rule that returns
    user_chain_returns = during(OLDEST, "28.2.1", "28.1.1 and 28.5.2; release notes of 28.2.2, moby#50098")
    #: ... and moves to the top of FORWARD with every new network, otherwise with every start of the daemon
    user_chain_rearranged = during(OLDEST, "27", "networks made on 26.1.5 and 28.5.2 after iptables -F")
    #: if iptables refuses some rules of a port, the others are removed again
    takes_port_back = during("28", STILL, "20.10.24 and 28.5.2 without chain DOCKER in filter")
    #: a network's rule for the host's own packets, of no use with the userland proxy, is taken out where a
    #: start without the proxy has left it
    takes_hairpin_out = during("26", STILL, "20.10.24 and 26.1.5, userland-proxy changed in daemon.json")
    #: IPv4 forwarding is turned on with every network, if it is off by then, not only when the daemon starts
    networks_forward = during("28", STILL, "20.10.24 and 28.5.2 with ip_forward=0 before a new network")
    #: the IPv6 FORWARD policy is set to DROP as soon as the daemon starts
    v6_drop_at_start = during(OLDEST, "27", "ip6tables-save of 27.5.1 and 28.0.1; moby#48594")
    #: net.ipv4.ip_unprivileged_port_start=0 in containers
    unprivileged_ports = during("20.10", STILL, "sysctls of 19.03.15 and 20.10.24")
    #: disable_ipv6 for all interfaces of an IPv4-only container, including lo; otherwise only for the
    #: interface
    disables_ipv6_wholly = during(OLDEST, "25", "sysctls of 25.0.6 and 26.1.5")
    #: a container's own sysctls are written after its interfaces exist; otherwise before
    interfaces_first = during(OLDEST, "27", "26.1.5 and 28.5.2; moby#47406")
    #: a container whose own sysctls turn IPv6 off has no IPv6 lines in /etc/hosts
    notices_ipv6_off = during("26", STILL, "20.10.24 and 26.1.5")
    #: settings of a container's interface may be among its sysctls; later they are an option of its endpoint
    interface_sysctls = during(OLDEST, "27", "26.1.5 and 28.5.2; release notes of 27.0, moby#47686")
    #: what ``host-gateway`` in extra_hosts becomes: unknown, one address, or one a family
    host_gateways = changes("20.10.24, 26.1.5 and 28.5.2; moby#48807", {OLDEST: 0, "20.10": 1, "28": 2})
    #: ``host-gateway-ip`` is written as an IPv4-mapped IPv6 address
    maps_host_gateway = during("28", STILL, "/etc/hosts of 26.1.5 and 28.5.2")
    #: each family's ports are published on the network of its default route, a routed one's anyway
    publishes_by_family = during("28", STILL, "26.1.5 and 28.5.2; moby#48323")
    #: an internal network's IPv6 drops spare its containers' neighbour discovery
    internal_discovery = during("24.0.6", STILL, "20.10.24 and 26.1.5; moby#45649, in 24.0 by moby#46214")
    #: containers on an internal network get a default route
    internal_default_route = during(OLDEST, "24", "24.0.9 and 25.0.6")
    #: an empty bridge has the kernel's MTU whatever the option says
    empty_bridge_mtu = during(OLDEST, "24", "ip link of 24.0.9 and 25.0.6")
    #: bridges and containers get random hardware addresses, not 02:42 ones
    random_macs = during("28", STILL, "ip link of 27.5.1 and 28.0.0; moby#48808")
    #: the container's end of a link is made in the container's namespace, and numbered there
    index_in_container = during("28", STILL, "ip link of 27.5.1 and 28.0.0")
    #: fe80::1 on the bridge of an IPv6 network
    bridge_link_local = during(OLDEST, "26", "ip addr of 26.1.5 and 27.5.1; moby#47787")
    #: a bridge that is taken up again gets a second route to its IPv6 subnet (the daemon's RouteAdd fails on
    #: a new bridge, which is down)
    routes_ipv6_again = during(OLDEST, "26", "ip route of 20.10.24 and 26.1.5")
    #: ... and loses the link-local address that the kernel gave it
    drops_link_local = during("26", "26", "ip addr of 20.10.24 and 26.1.5")
    #: bridge-nf-call-iptables=1 without the userland proxy
    bridge_nf_without_proxy = during("27", STILL, "sysctls of 26.1.5 and 27.5.1")
    #: the accept queue of the sockets that dockerd holds without the proxy
    dockerd_backlog = changes("ss of 27.5.1, 28.0.0, 28.5.2 and 29.0.0", {OLDEST: 4096, "28": 0, "29": 4096})
    #: dockerd binds, and passes the socket to docker-proxy
    listen_fd = during("28", STILL, "ps of 27.5.1 and 28.0.0; moby#48132")
    #: predefined subnets avoid every IPv4 route of the host but the default one, else those on a link
    avoids_far_routes = during(OLDEST, "20.10.14", "libnetwork/netutils; moby#42598, in 20.10 by moby#43360")
    #: an IPv6 network without a subnet gets a unique local one
    ula_pools = during("27", STILL, "26.1.5 and 28.5.2; moby#47853")
    #: gateway modes that the bridge driver knows; none: it does not know the options
    gateway_modes = changes(
        "27.5.1 and 28.0.0; moby#47871, moby#48597, moby#49262",
        {
            OLDEST: tuple[str, ...](()),
            "27": ("nat", "routed"),
            "28": ("nat", "nat-unprotected", "routed", "isolated"),
        },
    )
    #: a routed network's ports may name host ports, which are ignored
    routed_ignores_host_ports = during("28", STILL, "27.5.1 and 28.0.0; moby#48575")
    #: ports are open on every routed network that the container is on, not only where its default route leads
    routed_always_open = during("29", STILL, "28.0.1, 28.5.2, 29.0.0 and 29.7.2; moby#50140")
    #: a routed network's packets to a published port are left to the userland proxy, even without one
    routed_skips_nat = during("28", "28.0.1", "release notes of 28.0.2, moby#49577")
    #: IPv4 may be switched off for a network
    ipv6_only = during("28", STILL, "26.1.5 and 28.5.2; moby#48323")
    #: what comes from outside for a container's own address is dropped: its published ports, or all of it
    drops_direct_access = changes(
        "iptables-save of 27.5.1, 28.0.0, 28.1.1 and 28.5.2; moby#49325, moby#49832",
        {OLDEST: "none", "28": "published", "28.2": "all"},
    )
    #: bridges are put into firewalld's zone ``docker``
    firewalld_zone = during("20.10", STILL, "19.03.15 and 20.10.24 beside firewalld")
    #: ... internal networks' too
    firewalld_internal = changes(
        "19.03.15 has no zone; 20.10.24 and 26.1.5 beside firewalld",
        {OLDEST: True, "20.10": False, "26": True},
    )
    #: firewalld's policy ``docker-forwarding``: all to the bridges is accepted
    firewalld_policy = during("27", STILL, "27.5.1 beside firewalld; moby#47745")
    #: after a reload of firewalld, networks are not isolated, and DOCKER-USER comes after their rules
    reload_forgets = during(OLDEST, "27", "26.1.5 and 28.5.2 beside firewalld")
    #: /etc/hosts says fe00::0, not fe00::
    hosts_written_out = during(OLDEST, "27", "/etc/hosts of 26.1.5 and 28.5.2")
    #: a disconnect removes all of a container's own lines from /etc/hosts; otherwise only the network's
    disconnect_clears_hosts = during(OLDEST, "27", "26.1.5 and 28.5.2; moby#48857")
    #: resolv.conf says how it was generated
    explains_resolv_conf = during("26", STILL, "20.10.24 and 26.1.5")
    #: ... also if there is no server to query
    warns_without_nameservers = during("28.1.1", STILL, "release notes of 28.1.1, moby#49827")
    #: Docker's own DNS server asks Google's where the host has no resolver
    default_nameservers = during(OLDEST, "27", "26.1.5 and 28.5.2; moby#48290")
    #: ``fixed-cidr`` alone is docker0's subnet; otherwise a range within docker0's usual subnet
    fixed_cidr_is_subnet = during("26", STILL, "20.10.24 and 26.1.5")
    #: an interface that is gone leaves its number to the next one
    reuses_names = during("28", STILL, "26.1.5 and 28.5.2")
    #: ports that the daemon chooses are not in net.ipv4.ip_local_reserved_ports
    spares_reserved_ports = during("29.6", STILL, "moby#52818")
    #: a static address may be requested on a network without a configured subnet
    static_without_subnet = during("29.0.4", STILL, "28.5.2 refuses it; release notes of 29.0.4, moby#51583")
    #: the subnets 0.0.0.0/26 and ::/96 are one of that size from the pools
    sized_subnets = during("29", STILL, "28.5.2 takes it as it is; release notes of 29.0, moby#50114")
    #: an internal network without an address on its bridge (inhibit_ipv4) keeps none for a gateway
    inhibit_spares_gateway = during("28", STILL, "26.1.5 and 28.5.2; release notes of 28.0, moby#49261")
    #: ``host_ipv4`` is written into the IPv6 rules too, which ip6tables refuses
    host_ipv4_in_both = during("20.10", "24", "20.10.24 and 26.1.5")
    #: the default route of each family follows the gateway priority; before, a network with both has both
    gateway_by_family = during("29.4.1", STILL, "moby#51999, moby#52327")
    #: where loopback0 is Windows' own (WSL2, mirrored mode), packets from there are left to the proxy
    minds_wsl2_mirrored = during("27.3.0", STILL, "release notes of 27.3.0, moby#48514; iptabler/wsl2.go")
    #: DOCKER_INSECURE_NO_IPTABLES_RAW=1 in its environment keeps rules out of iptables' raw table
    reads_no_iptables_raw = during("28.0.2", STILL, "release notes of 28.0.2, moby#49621")
    #: which network a container that was made on several joins first, as eth0, is left to a Go map
    joins_by_chance = during("25", STILL, "24.0.9 and 25.0.6: both orders in two runs; API 1.44")
    #: see :data:`UdpFlush`
    udp_flush = changes(
        "20.10.24, 23.0.18, 25.0.6, 26.1.5, 28.5.2; moby#44742, moby#52423, moby#52640, moby#53384",
        _UDP_FLUSH,
    )
