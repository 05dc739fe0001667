"""Every way to be wrong that we could think of: the exact words, the exact place, and all of them at once."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest

CASES: list[tuple[str, list[str]]] = [
    (
        r"""
        services:
          web:
            image: nginx
            prots: ["80:80"]
        servces: {}
        volumes: 5
        """,
        [
            'f:4:5: unknown key "prots" in services.web (did you mean "ports"?)',
            'f:5:1: unknown key "servces" (did you mean "services"?)',
            'f:6:10: volumes must be a mapping, not a number ("5")',
        ],
    ),
    (
        r"""
        services: {web: {ports: ["80:80/tpc", "99999:80", "80-70:1", "8000-8001:80-82", "a:b"]}}
        """,
        [
            'f:1:26: services.web.ports: unknown protocol "tpc" (did you mean "tcp"?)',
            'f:1:39: services.web.ports: "99999": a port is a number from 1 to 65535',
            'f:1:51: services.web.ports: "80-70": the range runs backwards',
            'f:1:62: services.web.ports: "8000-8001:80-82": 3 container ports do not fit 2 host ports',
            'f:1:81: services.web.ports: "b" is not a port or a range of ports',
        ],
    ),
    (
        r"""
        services: {web: {ports: ["80:", ":80", "1.2.3:80:80", 0, 70000, "80/", "1-2-3:5", 80.5]}}
        """,
        [
            'f:1:26: services.web.ports: "80:" has no container port',
            'f:1:33: services.web.ports: ":80" has a colon but no host port',
            'f:1:40: services.web.ports: "1.2.3" is not an IP address of the host',
            'f:1:55: services.web.ports: "0": a port is a number from 1 to 65535',
            'f:1:58: services.web.ports: "70000": a port is a number from 1 to 65535',
            'f:1:65: services.web.ports: "80/" ends in a slash without a protocol',
            'f:1:72: services.web.ports: "1-2-3" is not a port or a range of ports',
            'f:1:83: services.web.ports[7] must be a whole number, a port or a mapping, not a number ("80.5")',
        ],
    ),
    (
        r"""
        services:
          web:
            ports:
              - {published: 80}
              - {target: 80, protocol: icmp}
              - {target: x}
              - {target: 80, host_ip: here}
              - {target: 80, publishd: 80}
        """,
        [
            'f:4:9: services.web.ports: a port in the long form needs "target", the container\'s port',
            'f:5:9: services.web.ports: unknown protocol "icmp": it is one of tcp, udp, sctp',
            'f:6:9: services.web.ports: "x" is not a port or a range of ports',
            'f:7:9: services.web.ports: "here" is not an IP address of the host',
            'f:8:22: unknown key "publishd" in services.web.ports[4] (did you mean "published"?)',
        ],
    ),
    (
        r"""
        services:
          web: {networks: [nw]}
          api: {networks: {fornt: {}}}
        networks: {nw2: {}, front: {}}
        """,
        [
            'f:2:20: services.web: there is no network "nw" (did you mean "nw2"?)',
            'f:3:20: services.api: there is no network "fornt" (did you mean "front"?)',
        ],
    ),
    (
        r"""
        services:
          web: {depends_on: [db, wbe]}
          db: {links: [web]}
          old: {depends_on: {debug: {condition: service_started}}}
          debug: {profiles: [debug]}
        """,
        [
            'f:2:26: services.web depends on "wbe", which is no service (did you mean "web"?)',
            "f:3:16: services depend on each other in a circle: web -> db -> web",
            'f:4:22: services.old depends on "debug", which is disabled without the profile debug',
        ],
    ),
    (
        r"""
        services:
          a: {network_mode: hots}
          b: {network_mode: host, networks: [default]}
          c: {network_mode: "service:a", ports: ["80:80"]}
          d: {network_mode: "service:aa"}
          e: {network_mode: "service:"}
          f: {network_mode: "container:nobody"}
          g: {network_mode: "container:a", external_links: [legacy, a]}
        """,
        [
            'f:2:21: services.a: network_mode cannot be "hots" (did you mean "host"?); it is bridge, host, none, service:NAME or container:NAME',
            "f:3:21: services.b: network_mode and networks exclude each other",
            "f:4:34: services.c: no port can be published with network_mode service:a",
            'f:5:21: services.d shares the network of "aa", which is no service (did you mean "a"?)',
            "f:6:21: services.e: network_mode service: needs the name of a service",
            'f:7:21: services.f shares the network of the container "nobody", which is not in the lab',
            'f:8:21: services.g shares the network of the container "a", which is not in the lab; write "service:a"',
            'f:8:53: services.g links to the container "legacy", which is not in the lab',
            'f:8:61: services.g links to the container "a", which is not in the lab; write links: [a]',
        ],
    ),
    (
        r"""
        services:
          a: {networks: [m, i, o, x, y]}
        networks:
          m: {driver: macvlan}
          i: {driver: ipvlan}
          o: {driver: overlay}
          x: {driver: brige}
          y: {driver: host}
          unused: {driver: overlay}
        """,
        [
            'f:4:15: networks.m: the driver "macvlan" is not supported, only bridge is',
            'f:5:15: networks.i: the driver "ipvlan" is not supported, only bridge is',
            'f:6:15: networks.o: the driver "overlay" is not supported, only bridge is',
            'f:7:15: networks.x: unknown driver "brige" (did you mean "bridge"?); only bridge is supported',
            'f:8:15: networks.y: the driver "host" is not supported, only bridge is (a service takes "network_mode: host")',
        ],
    ),
    (
        r"""
        services:
          a: {networks: {m: {ipv4_address: 10.0.1.5}}}
          b: {networks: {m: {ipv4_address: 10.0.0.5}}}
          c: {networks: {m: {ipv4_address: 10.0.0.5}}}
          d: {networks: {m: {ipv4_address: 10.0.0.1}}}
          e: {networks: {m: {ipv4_address: 10.0.0.255}}}
          f: {networks: {m: {ipv4_address: 10.0.0.9}}}
          g: {networks: {m: {ipv6_address: "fd00::1"}}}
          h: {networks: {m: {ipv4_address: "fd00::1"}}}
          i: {networks: {n: {ipv4_address: 10.0.0.7}}}
          j: {networks: {m: {ipv4_address: 10.0.0.8}}, scale: 2}
          k: {networks: {m: {ipv4_address: 10.0.0.300, mac_address: "01:00:5e:00:00:01", interface_name: much_too_long_name}}}
        networks:
          m: {ipam: {config: [{subnet: 10.0.0.0/24, aux_addresses: {printer: 10.0.0.9}}]}}
          n: {}
        """,
        [
            "f:2:36: services.a.networks.m: the address 10.0.1.5 is not within 10.0.0.0/24",
            "f:4:36: services.c.networks.m: the address 10.0.0.5 is services.b's already",
            "f:5:36: services.d.networks.m: the address 10.0.0.1 is the gateway's",
            "f:6:36: services.e.networks.m: the address 10.0.0.255 is the broadcast address",
            "f:7:36: services.f.networks.m: the address 10.0.0.9 is reserved by aux_addresses.printer",
            "f:8:36: services.g.networks.m: a static address needs a subnet: add networks.m.ipam.config with an IPv6 subnet",
            'f:9:36: services.h.networks.m: "fd00::1" is not an IPv4 address',
            "f:10:36: services.i.networks.n: a static address needs a subnet: add networks.n.ipam.config with an IPv4 subnet",
            "f:11:36: services.j.networks.m: 2 containers cannot share the address 10.0.0.8",
            'f:12:36: services.k.networks.m: "10.0.0.300" is not an IP address',
            'f:12:61: services.k.networks.m: "01:00:5e:00:00:01" is a multicast address, which no interface can have',
            'f:12:98: services.k.networks.m: "much_too_long_name" is longer than the 15 characters of an interface\'s name',
        ],
    ),
    (
        r"""
        services: {a: {networks: [a, b, c]}}
        networks:
          a: {ipam: {config: [{subnet: 10.0.0.0/16}, {subnet: "fd00::/48"}]}}
          b: {ipam: {config: [{subnet: 10.0.5.0/24}, {subnet: 172.17.3.0/24}, {subnet: "fd00:0:0:1::/64"}]}}
          c: {driver_opts: {com.docker.network.bridge.name: docker0}}
        """,
        [
            "f:4:32: networks.b: the subnet 10.0.5.0/24 overlaps 10.0.0.0/16 of networks.a",
            "f:4:55: networks.b: the subnet 172.17.3.0/24 overlaps 172.17.0.0/16 of docker0",
            "f:4:80: networks.b: the subnet fd00:0:0:1::/64 overlaps fd00::/48 of networks.a",
            'f:5:53: networks.c: the bridge name "docker0" is Docker\'s default bridge already',
        ],
    ),
    (
        r"""
        services: {a: {networks: [a]}}
        networks:
          a:
            ipam:
              driver: dhcp
              config:
                - {subnet: 10.0.0.5/24, gateway: 10.1.0.1}
                - {subnet: 10.0.0.0/33}
                - {subnet: 10.0.0.0}
                - {gateway: 10.2.0.1}
                - {subnet: 10.3.0.0/24, ip_range: 10.4.0.0/25, gateway: 10.3.0.255, aux_addresses: {x: y}}
                - {subnet: 10.5.0.0/24, gateway: "fd00::1", gatway: 10.5.0.1}
            driver_opts: {com.docker.network.bridge.name: much_too_long_for_linux}
            enable_ipv6: maybe
        """,
        [
            'f:5:15: networks.a.ipam: the driver "dhcp" is not supported, only default is',
            'f:7:20: networks.a.ipam: "10.0.0.5/24" has bits set behind the prefix (did you mean "10.0.0.0/24"?)',
            'f:8:20: networks.a.ipam: "10.0.0.0/33" is not a subnet in CIDR notation',
            'f:9:20: networks.a.ipam: "10.0.0.0" is not a subnet: the prefix length is missing',
            "f:10:11: networks.a.ipam: an entry of config needs a subnet",
            "f:11:43: networks.a.ipam: the ip_range 10.4.0.0/25 is not within the subnet 10.3.0.0/24",
            "f:11:65: networks.a.ipam: the gateway 10.3.0.255 is the network or broadcast address of 10.3.0.0/24",
            'f:11:96: networks.a.ipam.aux_addresses.x: "y" is not an IP address',
            "f:12:42: networks.a.ipam: the gateway fd00::1 is not within the subnet 10.5.0.0/24",
            'f:12:53: unknown key "gatway" in networks.a.ipam.config[5] (did you mean "gateway"?)',
            'f:13:51: networks.a: "much_too_long_for_linux" is longer than the 15 characters of an interface\'s name',
            'f:14:18: networks.a.enable_ipv6 must be true or false, not a string ("maybe")',
        ],
    ),
    (
        r"""
        services:
          a: {ports: ["80:80"]}
          b: {ports: ["127.0.0.1:80:8080", "81:81", "81:82"]}
          c: {ports: ["80:80/udp", "9000-9001:90"], deploy: {replicas: 3}}
          d: {ports: ["127.0.0.1:90:90", "127.0.0.2:90:90", "[::1]:90:90"]}
          e: {ports: ["0.0.0.0:90:90"]}
        """,
        [
            "f:3:15: services.b: the host port 80/tcp is published by services.a already (f:2:15)",
            "f:3:45: services.b: the host port 81/tcp is published twice (also at f:3:36)",
            "f:4:15: services.c: 3 containers cannot share the host port 80",
            "f:4:28: services.c: 3 containers cannot share the 2 host ports 9000-9001",
            "f:6:15: services.e: the host port 90/tcp is published by services.d already (f:5:15)",
        ],
    ),
    (
        r"""
        services:
          a: {container_name: proxy}
          b: {container_name: proxy}
          c: {container_name: cache, scale: 2}
          d: {scale: 2, deploy: {replicas: 3}}
          e: {container_name: a b}
          f: {networks: [one, two]}
        networks: {one: {name: same}, two: {name: same}}
        """,
        [
            'f:3:23: services.b: the container name "proxy" is services.a\'s already',
            "f:4:37: services.c: 2 containers cannot share one container_name",
            "f:5:14: services.d: scale and deploy.replicas say different numbers",
            'f:6:23: services.e: "a b" is not a valid container name',
            'f:8:31: networks.two: the name "same" is networks.one\'s already',
        ],
    ),
    (
        r"""
        services:
          a:
            cap_add: NET_ADMIN
            privileged: maybe
            dns: [x]
            extra_hosts: ["a", "b:c"]
            mac_address: "zz"
            sysctls: [a]
            expose: ["80:80", x]
            deploy: {replicas: -1}
            scale: x
            hostname: 5
            profiles: debug
        """,
        [
            'f:3:14: services.a.cap_add must be a list of strings, not a string ("NET_ADMIN")',
            'f:4:17: services.a.privileged must be true or false, not a string ("maybe")',
            'f:5:11: services.a.dns: "x" is not an IP address',
            'f:6:19: services.a.extra_hosts: "a" is not NAME=ADDRESS',
            'f:6:24: services.a.extra_hosts: "c" is not an IP address, nor host-gateway',
            'f:7:18: services.a: "zz" is not a MAC address',
            'f:8:15: services.a.sysctls: "a" is not KEY=VALUE',
            'f:9:14: services.a.expose: "80:80" names a host port; this is a list of the container\'s own ports',
            'f:9:23: services.a.expose: "x" is not a port or a range of ports',
            "f:10:24: services.a.deploy.replicas must be at least 0, not -1",
            'f:11:12: services.a.scale must be a whole number, not a string ("x")',
            'f:12:15: services.a.hostname must be a string, not a number ("5")',
            'f:13:15: services.a.profiles must be a list of strings, not a string ("debug")',
        ],
    ),
    (
        r"""
        services: {a: {networks: {n: {ipv4_address: 10.0.0.2}}}}
        networks: {n: {external: true, internal: true}}
        """,
        [
            "f:1:45: services.a.networks.n: a static address needs a subnet: add x-netlab.networks.n.ipam.config with an IPv4 subnet",
            'f:2:32: networks.n is external, so it cannot have "internal" here; say under x-netlab.networks.n what the network is like',
        ],
    ),
    (
        r"""
        services: [a]
        networks: 5
        """,
        [
            "f:1:11: services must be a mapping, not a list",
            'f:2:11: networks must be a mapping, not a number ("5")',
        ],
    ),
    (
        r"""
        just words
        """,
        [
            "f:1:1: a Compose file is a mapping, not a string",
        ],
    ),
    (
        r"""
        services: {"a b": {}, c: 5, d: }
        """,
        [
            'f:1:12: services: "a b" is not a service\'s name (letters, digits, . _ -)',
            'f:1:26: services.c must be a mapping, not a number ("5")',
            "f:1:32: services.d must be a mapping, not nothing",
        ],
    ),
    (
        r"""
        x-netlab:
          host: {engine: docker-21.10, frewall: ufw, firewall: ufv, proxy: docker-proxy}
          outsde: {}
        netlab: {}
        """,
        [
            'f:2:18: x-netlab.host.engine cannot be "docker-21.10" (did you mean "docker-20.10"?)',
            'f:2:32: unknown key "frewall" in x-netlab.host (did you mean "firewall"?)',
            'f:2:56: x-netlab.host.firewall cannot be "ufv" (did you mean "ufw"?)',
            'f:2:68: x-netlab.host.proxy: "docker-proxy" is neither "shared", "per-port" nor the absolute path of a docker-proxy',
            'f:3:3: unknown key "outsde" in x-netlab (did you mean "outside"?)',
            'f:4:1: unknown key "netlab" (did you mean "x-netlab"?)',
        ],
    ),
    (
        r"""
        x-netlab:
          host:
            daemon:
              userland_proxy: true
              ip6tabels: false
              bip: 1
              bip6: 10.0.0.1
              mtu: "1500"
              log-level: debug
              userland-proxy: "no"
              ip: localhost
              default-address-pools: [{base: 10.0.0.0/8}]
              firewall-backend: nft
              fixed-cidr: 10.0.0.1/24
        """,
        [
            'f:4:7: unknown key "userland_proxy" in x-netlab.host.daemon (did you mean "userland-proxy"?)',
            'f:5:7: unknown key "ip6tabels" in x-netlab.host.daemon (did you mean "ip6tables"?)',
            'f:6:12: x-netlab.host.daemon.bip must be an address with its prefix length, not a number ("1")',
            'f:7:13: x-netlab.host.daemon.bip6: "10.0.0.1": the prefix length is missing, as in 198.51.100.1/24',
            'f:8:12: x-netlab.host.daemon.mtu must be a whole number, not a string ("1500")',
            'f:10:23: x-netlab.host.daemon.userland-proxy must be true or false, not a string ("no")',
            'f:11:11: x-netlab.host.daemon.ip: "localhost" is not an IP address',
            'f:12:31: x-netlab.host.daemon.default-address-pools[0] needs the key "size"',
            'f:13:25: x-netlab.host.daemon.firewall-backend cannot be "nft": it is one of iptables, nftables',
            'f:14:19: x-netlab.host.daemon.fixed-cidr: "10.0.0.1/24" has bits set behind the prefix (did you mean "10.0.0.0/24"?)',
        ],
    ),
    (
        r"""
        x-netlab:
          rules:
            - iptables -A X; rm -rf /
            - rm -rf /
            - /sbin/iptables -L
            - ip netns exec x y
            - ip net exec x y
            - ip -n other link
            - ip -batch x
            - ip link set x netns 1
            - ip vrf exec x sh
            - ip monitor
            - nft -f x
            - nft 'include "x"'
            - nft monitor
            - iptables 'unfinished
            - ""
            - sysctl -p
            - sysctl kernel.x=1
            - ipables -L
            - iptables --modprobe=/bin/x -L
            - iptables -M /bin/x -L
            - iptables -A X -s $$HOME
            - iptables -A X -m comment --comment "`id`"
            - ip route add 10.0.0.0/8 encap bpf in obj x
        """,
        [
            'f:3:7: rules: there is no shell here, so ";" has no meaning unless it is quoted',
            'f:4:7: rules: "rm" cannot be called: only iptables, ip6tables, nft, ip, sysctl can be called',
            'f:5:7: rules: "/sbin/iptables" cannot be called (did you mean "iptables"?)',
            'f:6:7: rules: "ip netns" is not allowed here: it reaches other namespaces',
            'f:7:7: rules: "ip net" is not allowed here: it reaches other namespaces',
            'f:8:7: rules: "-n" is not allowed here: it reaches other namespaces',
            'f:9:7: rules: "-batch" is not allowed here: it reads commands from a file',
            'f:10:7: rules: "netns" is not allowed here: it reaches other namespaces',
            'f:11:7: rules: "ip vrf" is not allowed here: it can run programs',
            'f:12:7: rules: "ip monitor" is not allowed here: it never ends',
            'f:13:7: rules: "-f" is not allowed here: it reads commands or files from elsewhere',
            'f:14:7: rules: "include" is not allowed here: it reads a file',
            'f:15:7: rules: "monitor" is not allowed here: it never ends',
            'f:16:7: rules: "iptables \'unfinished": no closing quotation',
            "f:17:7: rules: the line is empty",
            'f:18:7: rules: "-p" is not allowed here: it reads files or more than one key',
            'f:19:7: rules: "kernel.x" is not a sysctl below net., and no other belongs to one namespace',
            'f:20:7: rules: "ipables" cannot be called (did you mean "iptables"?)',
            'f:21:7: rules: "--modprobe=/bin/x" is not allowed here: it names a program to run',
            'f:22:7: rules: "-M" is not allowed here: it names a program to run',
            'f:23:7: rules: there is no shell here, so "$" has no meaning unless it is quoted',
            'f:24:7: rules: there is no shell here, so "`" has no meaning unless it is quoted',
            'f:25:7: rules: "bpf" is not allowed here: it loads a program from a file',
        ],
    ),
    (
        r"""
        x-netlab:
          expect:
            - {flow: "clinet -> host:80", ipv4: {outcome: okay, path: fwd}}
            - {flow: "client -> hots@x:80 via y", ipv4: {outcome: ok, sees: nobody}}
            - {flow: "client -> 192.0.2.1:80", ipv6: {outcome: ok}, both: {outcome: ok}}
            - {flow: "client -> host:80"}
            - {flow: "client -> host:80", ipv4: {}}
            - {flow: "client -> host:80", ipv4: {outcome: timeout, sees: client, dnat: "192.168.0.1:99999"}}
            - {flow: "client -> host:80", ipv4: {sees: "fd00::1", dnat: "[fd00::1]:80"}}
            - {flow: "zz* -> host:80/tpc", both: {outcome: ok}}
            - {ipv4: {outcome: ok}}
            - {flow: "client -> host:80", ipv4: {outcome: unmeasured, seas: client}}
        """,
        [
            'f:3:14: flow: there is no node "clinet" (did you mean "client"?)',
            'f:3:51: x-netlab.expect[0].ipv4.outcome cannot be "okay" (did you mean "ok"?)',
            'f:3:63: x-netlab.expect[0].ipv4.path cannot be "fwd" (did you mean "forward"?)',
            'f:4:14: flow: there is no node "hots" (did you mean "host"?)',
            'f:4:14: flow: there is no network "x"',
            'f:4:14: flow: there is no node "y"',
            'f:4:69: sees: there is no node "nobody"; it is sender, host, gateway, a node or an address',
            "f:5:40: the target 192.0.2.1 is not an IPv6 address",
            "f:5:61: the target 192.0.2.1 is of one family: write ipv4",
            "f:6:7: the flow has no expectation: add ipv4, ipv6 or both",
            "f:7:41: x-netlab.expect[4].ipv4 is empty",
            "f:8:66: with the outcome timeout no server sees a source address",
            'f:8:80: dnat: "192.168.0.1:99999" is neither "none" nor an endpoint (192.0.2.1:80)',
            "f:9:48: sees: fd00::1 cannot be seen of an IPv4 flow",
            "f:9:65: dnat: [fd00::1]:80 is not an IPv4 endpoint",
            'f:10:30: flow: unknown protocol "tpc" (did you mean "tcp"?)',
            'f:11:7: x-netlab.expect[8] needs the key "flow"',
            'f:12:51: x-netlab.expect[9].ipv4.outcome cannot be "unmeasured": it is one of ok, refused, closed, unreachable, no-route, timeout',
            'f:12:63: unknown key "seas" in x-netlab.expect[9].ipv4 (did you mean "sees"?)',
        ],
    ),
    (
        r"""
        x-netlab:
          hosts: {a: , b: {addresses: [198.51.100.1/24]}}
          rules: [iptables -L]
          outside:
            c: {}
            d: {addresses: [198.51.100.1], segment: exxt}
            e: {addresses: [198.51.100.1/24], routes: [10.0.0.0/8 via x, "a b", "fd00::/8 via 10.0.0.1", {to: 10.0.0.1/8, via: 10.0.0.1}]}
            f: {addresses: [198.51.100.300/24], routes: hots, listen: [99999]}
        """,
        [
            "f:2:14: x-netlab.hosts.a needs addresses, since there are several hosts",
            "f:2:16: the host b has the address 198.51.100.1 of the host a on the segment ext",
            "f:3:3: x-netlab.rules: with several hosts, rules stand under one of them",
            "f:5:5: x-netlab.outside.c needs addresses",
            'f:6:5: x-netlab.outside.d: no host is on the segment "exxt" (did you mean "ext"?)',
            'f:6:21: x-netlab.outside.d.addresses[0]: "198.51.100.1": the prefix length is missing, as in 198.51.100.1/24',
            "f:7:5: the outside node e has the address 198.51.100.1 of the host a on the segment ext",
            'f:7:48: x-netlab.outside.e.routes: "x" is not an IP address',
            'f:7:66: x-netlab.outside.e.routes: "a b" is not DESTINATION via ADDRESS',
            "f:7:73: x-netlab.outside.e.routes: fd00::/8 and 10.0.0.1 are not of one family",
            'f:7:98: x-netlab.outside.e.routes: "10.0.0.1/8" has bits set behind the prefix (did you mean "10.0.0.0/8"?)',
            'f:8:21: x-netlab.outside.f.addresses[0]: "198.51.100.300/24" is not an address with a prefix length',
            'f:8:49: x-netlab.outside.f.routes cannot be "hots" (did you mean "host"?)',
            "f:8:64: x-netlab.outside.f.listen[0] must be between 1 and 65535, not 99999",
        ],
    ),
    (
        r"""
        x-netlab: {host: {addresses: [198.51.100.1/24], interfaces: {ext0: {addresses: [198.51.100.2/24]}}}, hosts: {}}
        """,
        [
            "f:1:12: x-netlab has host and hosts: host is short for a list of one",
            "f:1:30: x-netlab.host: addresses is short for interfaces.ext0.addresses, which is there too",
        ],
    ),
    (
        r"""
        x-netlab: {host: {firewall: {iptables: ../../etc/passwd, ip6tables: nothere}}}
        """,
        [
            'f:1:40: "../../etc/passwd" is outside the scenario\'s folder',
            "f:1:69: cannot read nothere: No such file or directory",
        ],
    ),
    (
        r"""
        x-netlab: {host: {firewall: {nftables: "", iptables: x}}}
        """,
        [
            "f:1:29: firewall: nftables and iptables exclude each other",
        ],
    ),
    (
        r"""
        x-netlab: {host: {firewall: {}}}
        """,
        [
            "f:1:29: firewall: it is empty",
        ],
    ),
    (
        r"""
        x-netlab: {host: {firewall: {ufw: {alow: [22]}, firewalld: {backend: nft}}}}
        """,
        [
            "f:1:29: firewall: ufw and firewalld exclude each other",
            'f:1:36: unknown key "alow" in x-netlab.host.firewall.ufw (did you mean "allow"?)',
            'f:1:70: x-netlab.host.firewall.firewalld.backend cannot be "nft": it is one of iptables, nftables',
        ],
    ),
    (
        r"""
        x-netlab:
          host:
            sysctls: {kernel.panic: 1, net.ipv4.ip_forward: 1}
            bridges: {toolonginterfacename: , lxdbr0: {addresses: [10.1.1.1]}}
            listen: [0, 80/tcp, x, "80:80"]
        """,
        [
            'f:3:15: x-netlab.host.sysctls: "kernel.panic" is not a sysctl below net.',
            'f:4:15: x-netlab.host.bridges: "toolonginterfacename" is not the name of a bridge',
            'f:4:60: x-netlab.host.bridges.lxdbr0.addresses[0]: "10.1.1.1": the prefix length is missing, as in 198.51.100.1/24',
            "f:5:14: x-netlab.host.listen[0] must be between 1 and 65535, not 0",
            'f:5:25: x-netlab.host.listen: "x" is not a port or a range of ports',
            'f:5:28: x-netlab.host.listen: "80:80" names a host port; this is a list of the container\'s own ports',
        ],
    ),
    (
        r"""
        services: {httpd: {}}
        x-netlab:
          services: {wbe: {}, httpd: {hots: x, host: other, command: [], listen: x}}
          networks: {nw: {}}
          events: [restart htpd, reload, explode x, connect a, disconnect httpd nwx, stop daemon nohost, reload firewall, "", start a b, create httpd]
        """,
        [
            'f:3:14: x-netlab.services: there is no service "wbe"',
            'f:3:31: unknown key "hots" in x-netlab.services.httpd (did you mean "host"?)',
            'f:3:46: services.httpd: there is no host "other"',
            "f:3:62: x-netlab.services.httpd.command is empty",
            'f:3:74: x-netlab.services.httpd.listen must be a list of ports, not a string ("x")',
            'f:4:14: x-netlab.networks: there is no network "nw"',
            'f:5:12: event: there is no container "htpd" (did you mean "httpd"?)',
            'f:5:26: event: reload takes "firewall"',
            'f:5:34: event: unknown event "explode" (did you mean "reload"?)',
            "f:5:45: event: write it as connect CONTAINER NETWORK",
            'f:5:56: event: there is no network "nwx"',
            'f:5:78: event: there is no host "nohost" (did you mean "host"?)',
            "f:5:115: event: the line is empty",
            "f:5:119: event: write it as start CONTAINER",
            'f:5:130: event: create takes "network", not "httpd"',
        ],
    ),
    (
        r"""
        services: {a: {image: "${X:?must be set}", hostname: "$1", links: ["${"], domainname: '${A!}', dns: "${Y?}"}}
        """,
        [
            "f:1:24: the variable X is required: must be set",
            'f:1:55: "$1" is not a variable; write $$ for a dollar sign',
            'f:1:69: "${" is not a variable; write $$ for a dollar sign',
            'f:1:88: "${A!}" is not a variable; write $$ for a dollar sign',
            "f:1:102: the variable Y is required and not set",
        ],
    ),
    (
        r"""
        services:
          a: {extends: b}
          b: {extends: a}
          c: {extends: zz}
          d: {extends: {file: nope.yaml, service: x}}
          e: {extends: {}}
          f: {extends: {file: 5, service: x}}
        """,
        [
            "f:2:16: services.a extends itself",
            'f:4:16: services.c extends "zz", which is no service',
            "f:5:23: cannot read nope.yaml: No such file or directory",
            "f:6:16: services.e.extends needs the name of a service",
            "f:7:23: services.f.extends.file must be a path, not a number",
        ],
    ),
    (
        r"""
        include: [nope.yaml, f, 5, {pth: x}, {path: []}]
        services: {}
        """,
        [
            "f:1:11: cannot read nope.yaml: No such file or directory",
            'f:1:22: "f" includes itself',
            "f:1:25: an entry of include is a path or a mapping, not a number",
            "f:1:28: an entry of include needs a path",
            'f:1:29: unknown key "pth" in include (did you mean "path"?)',
            "f:1:38: an entry of include needs a path",
        ],
    ),
    (
        r"""
        name: Bad_Name!
        services: {}
        """,
        [
            'f:1:7: the project name "Bad_Name!" must consist of lower-case letters, digits, - and _, and begin with a letter or a digit',
        ],
    ),
    (
        r"""
        a: 1
        a: 2
        b: {c: 1, c: 2}
        1: x
        """,
        [
            'f:2:1: the key "a" is already on line 1',
            'f:3:11: the key "c" is already on line 3',
            'f:4:1: a key must be a string, not a number: put "1" in quotes',
        ],
    ),
    (
        r"""
        services:
        	web: {}
        """,
        [
            "f:2:1: not YAML: a tab cannot be used to indent",
        ],
    ),
    (
        r"""
        services: {web: [}
        """,
        [
            "f:1:18: not YAML: while parsing a flow node, did not find expected node content",
        ],
    ),
    (
        r"""
        services: *nothing
        """,
        [
            "f:1:11: alias *nothing has no anchor before it",
        ],
    ),
    (
        r"""
        a: &a [*a]
        """,
        [
            "f:1:8: alias *a stands inside its own anchor",
        ],
    ),
    (
        r"""
        services: {}
        ---
        services: {}
        """,
        [
            "f:2:1: a second YAML document; a scenario is one document",
        ],
    ),
    (
        r"""
        services: {a: {image: !ruby/object x}}
        """,
        [
            'f:1:23: unknown YAML tag "!ruby/object"',
        ],
    ),
]


@pytest.mark.parametrize(("text", "expected"), CASES, ids=range(len(CASES)))
def test_problems(text: str, expected: list[str], problems: Callable[..., list[str]]) -> None:
    assert problems(dedent(text).lstrip("\n")) == expected
