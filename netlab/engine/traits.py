"""What sets one Docker generation apart, other than the layout of its rules."""

from __future__ import annotations

from dataclasses import dataclass, field

from netlab.engine.daemon_json import Dialect


@dataclass(frozen=True, slots=True)
class Traits:
    """The habits of one generation; each was measured on the daemon that the name stands for."""

    name: str
    dialect: Dialect = field(default_factory=Dialect)
    #: one socket for both families and one proxy for each port, always to the IPv4 address (19.03)
    dual_stack_proxy: bool = False
    #: no IPv6 socket where the host has IPv6 disabled (20.10.24)
    proxy_minds_disable_ipv6: bool = False
    #: ports of one container are programmed in ascending order (27)
    ports_ascending: bool = False
    #: a port out of a range is the same for both families (27)
    one_port_for_both: bool = False
    #: DOCKER-USER is made for IPv6 too (24), or even with iptables=false (19.03)
    user_chain_v6: bool = True
    user_chain_always: bool = False
    #: the IPv6 FORWARD policy is set to DROP as soon as the daemon starts (to 27)
    v6_drop_at_start: bool = True
    #: net.ipv4.ip_unprivileged_port_start=0 in containers (20.10)
    unprivileged_ports: bool = True
    #: disable_ipv6 in every place of an IPv4-only container, lo included (to 24), else on the interface only
    disables_ipv6_wholly: bool = False
    #: a container's own sysctls are written when its interfaces stand (to 27), else before there are any
    interfaces_first: bool = False
    #: a container whose own sysctls switch IPv6 off has no IPv6 lines in /etc/hosts (26)
    notices_ipv6_off: bool = True
    #: settings of a container's interface are an option of its endpoint, and refused elsewhere (28)
    interface_sysctls: bool = False
    #: what ``host-gateway`` in extra_hosts becomes: unknown (19.03), one address, or one a family (28)
    host_gateways: int = 1
    #: ``host-gateway-ip`` is written as an IPv4-mapped IPv6 address (28)
    maps_host_gateway: bool = False
    #: each family's ports are published on the network of its default route, a routed one's anyway (28)
    publishes_by_family: bool = False
    #: an internal network's IPv6 drops spare its containers' neighbour discovery (24)
    internal_discovery: bool = True
    #: containers on an internal network get a default route (to 24)
    internal_default_route: bool = False
    #: an empty bridge has the kernel's MTU whatever the option says (to 24)
    empty_bridge_mtu: bool = False
    #: bridges and containers get random hardware addresses, not 02:42 ones (28)
    random_macs: bool = False
    #: the container's end of a link is made in the container's namespace, and numbered there (28)
    index_in_container: bool = False
    #: fe80::1 on the bridge of an IPv6 network (to 26)
    bridge_link_local: bool = False
    #: a bridge that is taken up again gets a second route to its IPv6 subnet (to 26; the daemon's RouteAdd
    #: fails on a new bridge, which is down), and loses the link-local address that the kernel gave it (26)
    routes_ipv6_again: bool = False
    drops_link_local: bool = False
    #: bridge-nf-call-iptables=1 without the userland proxy (27)
    bridge_nf_without_proxy: bool = False
    #: the accept queue of the sockets that dockerd holds without the proxy
    dockerd_backlog: int = 4096
    #: dockerd binds, and passes the socket to docker-proxy (28)
    listen_fd: bool = False
    #: an IPv6 network without a subnet gets a unique local one (27)
    ula_pools: bool = False
    #: gateway modes that the bridge driver knows
    gateway_modes: tuple[str, ...] = ()
    #: a routed network's ports may name host ports, which are ignored (28)
    routed_ignores_host_ports: bool = False
    #: IPv4 may be switched off for a network (28)
    ipv6_only: bool = False
    #: the daemon turns forwarding on by itself; the nftables backend refuses to start where it is off
    enables_forwarding: bool = True
    #: bridges are put into firewalld's zone ``docker`` (20.10); internal networks' too (26)
    firewalld_zone: bool = True
    firewalld_internal: bool = True
    #: firewalld's policy ``docker-forwarding``: all to the bridges is accepted (27)
    firewalld_policy: bool = False
    #: after a reload of firewalld networks are not isolated, and DOCKER-USER is behind their rules (to 27)
    reload_forgets: bool = False
    #: /etc/hosts says fe00::0, not fe00:: (to 27)
    hosts_written_out: bool = True
    #: a disconnect takes all of a container's own lines out of /etc/hosts (to 27), else the network's
    disconnect_clears_hosts: bool = True
    #: resolv.conf tells how it came about (26)
    explains_resolv_conf: bool = False
    #: Docker's own DNS server asks Google's where the host has no resolver (to 27)
    default_nameservers: bool = True
    #: ``fixed-cidr`` alone is docker0's subnet (26), else a range of the subnet that docker0 always has
    fixed_cidr_is_subnet: bool = False
    #: an interface that is gone leaves its number to the next one (28)
    reuses_names: bool = False
