"""The shape of ``x-netlab``: what Compose cannot say. The published JSON schema is made from it."""

from __future__ import annotations

import re
from dataclasses import replace

from netlab.model.engine_names import PATTERN, check_engine
from netlab.model.expectation_words import OUTCOMES, PATHS
from netlab.scenario.addresses import wrong_interface
from netlab.scenario.compose_shapes import NAME
from netlab.scenario.containers_conf import CONTAINERS_CONF
from netlab.scenario.daemon import ADDRESS, DAEMON, INTERFACE_ADDRESS, SUBNET
from netlab.scenario.shape import (
    Atom,
    Choice,
    Either,
    Field,
    Flag,
    ListOf,
    MapOf,
    Nothing,
    Record,
    Shape,
    Text,
    Whole,
)
from netlab.scenario.tree import Report, Value, hint, shown


class EngineName(Text):
    """The name of an engine."""

    def __init__(self) -> None:
        super().__init__("the name of an engine", None, PATTERN)

    def _inside(self, value: Value, path: str, report: Report) -> Value | None:
        wrong = wrong_engine(value.text)
        if wrong:
            report.add(value.at, f"{path} cannot be {wrong}", path)
            return None
        return value


def wrong_engine(text: str) -> str | None:
    """An unknown engine name in quotes, with a suggestion; None for a known one."""
    try:
        check_engine(text)
    except ValueError as error:
        return f"{shown(text)}{error}"
    return None


FIREWALLS = ("none", "ufw", "firewalld")
#: variables that an engine's daemon reads
ENVIRONMENT = ("DOCKER_INSECURE_NO_IPTABLES_RAW", "DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER")
#: node and segment names become parts of file names
NODE_NAME = r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}\Z"
SYSCTL = r"\Anet[./][A-Za-z0-9_./@:-]+\Z"


def _record(fields: dict[str, tuple[Shape, str]], *required: str) -> Record:
    return Record({key: Field(shape, about, key in required) for key, (shape, about) in fields.items()})


_ADDRESSES = ListOf(INTERFACE_ADDRESS, "a list of addresses with their prefix length")
_PORT = Either(Whole(1, 65535), Text(expects="a port"))
PROGRAM = r"\A[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,31}\Z"
_LISTEN = ListOf(
    Either(
        _PORT,
        _record(
            {
                "port": (_PORT, "the port: 22, 53/udp, 8000-8010"),
                "program": (Text("the name of a program", None, PROGRAM), "what the server calls itself"),
            },
            "port",
        ),
    ),
    "a list of ports",
)
_UDP_SOURCE = (
    Choice(("asked", "routed")),
    "where its answers to datagrams come from: the address that was asked, or the one that the routing table"
    " picks, as with most servers",
)
_SYSCTLS = MapOf(Atom(), SYSCTL, "a sysctl below net.")
_LINK = r"\A[^/:%\s]{1,15}\Z"
_SEGMENT = Text("the name of a segment", None, NODE_NAME)
#: as the trace shows it, with a comment perhaps that has anything in it
_DECIDED = Text("a chain or a part of a rule", free=True)
_RULES = ListOf(Text("a command line", free=True), "a list of command lines")


def _wrong_proxy(text: str) -> str | None:
    if text in ("shared", "per-port") or re.match(r"/[^\0]+\Z", text):
        return None
    return f'{shown(text)} is neither "shared", "per-port" nor the absolute path of a docker-proxy'


_UFW_POLICY = Choice(("allow", "deny", "reject"))
_UFW = _record(
    {
        "allow": (ListOf(Atom()), "ports and services that are let in, as ufw allow takes them"),
        "route_allow": (ListOf(Atom()), "what ufw route allow lets through"),
        "rules": (
            ListOf(Text("a rule", free=True)),
            "rules as ufw takes them, after those: deny 80/tcp, limit 22, deny out 25",
        ),
        "default": (
            _record(
                {
                    "incoming": (_UFW_POLICY, "what becomes of incoming packets (deny)"),
                    "outgoing": (_UFW_POLICY, "of outgoing ones (allow)"),
                    "routed": (_UFW_POLICY, "of forwarded ones (deny)"),
                }
            ),
            "ufw default, for each direction",
        ),
        "after_rules": (Text("a file"), "lines for /etc/ufw/after.rules"),
        "after6_rules": (Text("a file"), "lines for /etc/ufw/after6.rules"),
        "run": (Choice(("real",)), "run the tool itself, kept inside the lab"),
    }
)
_WORDS = ListOf(Atom(), "a list of words")
_ZONE = _record(
    {
        "target": (Choice(("default", "ACCEPT", "DROP", "REJECT")), "what becomes of all else"),
        "interfaces": (_WORDS, "interfaces of the host's that are in it"),
        "sources": (_WORDS, "addresses and subnets that are in it"),
        "services": (_WORDS, "firewalld's services that it lets in"),
        "ports": (_WORDS, "ports that it lets in: 80/tcp, 8000-8010/udp"),
        "protocols": (_WORDS, "protocols that it lets in"),
        "source_ports": (_WORDS, "source ports that it lets in"),
        "rich_rules": (_WORDS, "rules of firewalld's rich language"),
        "masquerade": (Flag(), "what leaves by it takes the host's address"),
        "forward": (Flag(), "packets may pass between its own interfaces"),
    }
)
_FIREWALLD = _record(
    {
        "backend": (Choice(("iptables", "nftables")), "FirewallBackend of firewalld.conf"),
        "default_zone": (Text("a zone"), "the zone of every interface that no other has (public)"),
        "zones": (MapOf(Either(Nothing(), _ZONE), r"\A[A-Za-z0-9_/-]{1,17}\Z", "a zone"), "zones by name"),
        "direct": (
            ListOf(Text("a direct rule")),
            "direct rules: ipv6 filter INPUT 0 -p tcp --dport 80 -j ACCEPT",
        ),
        "layout": (Choice(("centos7",)), "the classic chains of an iptables-backend host"),
        "run": (Choice(("real",)), "run the tool itself, kept inside the lab"),
    }
)
FIREWALL = Either(
    Choice(FIREWALLS),
    _record(
        {
            "ufw": (Either(Nothing(), _UFW), "ufw, deny incoming"),
            "firewalld": (Either(Nothing(), _FIREWALLD), "firewalld"),
            "iptables": (Text("a file"), "an administrator's own ruleset, as iptables-save writes it"),
            "ip6tables": (Text("a file"), "the same for IPv6"),
            "nftables": (Text("a file"), "an administrator's own ruleset, as nft -f reads it"),
            "ipsets": (Text("a file"), "the sets that rules of iptables match, as ipset save writes them"),
        }
    ),
)

_MTU = Whole(68, 65535)
_INTERFACE = _record(
    {
        "addresses": (_ADDRESSES, "its addresses"),
        "segment": (_SEGMENT, "the segment that it is plugged into (ext)"),
        "mtu": (_MTU, "the largest packet that it sends and takes (1500)"),
    }
)
_INTERFACES = MapOf(Either(Nothing(), _INTERFACE), _LINK, "the name of an interface", check=wrong_interface)

_FOUND = _record(
    {
        "iptables": (Text("a file"), "all rules of IPv4, as iptables-save writes them"),
        "ip6tables": (Text("a file"), "all rules of IPv6, as ip6tables-save writes them"),
        "nftables": (Text("a file"), "all other tables, as nft list ruleset writes them"),
        "ipsets": (Text("a file"), "the sets that rules of iptables match, as ipset save writes them"),
        "sysctls": (_SYSCTLS, "settings, whatever the engine would have set"),
    }
)

HOST = _record(
    {
        "engine": (EngineName(), "whose behaviour is reproduced: a generation, or a version of it"),
        "engines": (
            ListOf(EngineName()),
            "Docker and Podman on one host, in place of engine; services that name neither are of the first",
        ),
        "daemon": (DAEMON, "daemon.json, its keys and spelling"),
        "containers_conf": (CONTAINERS_CONF, "[network] of Podman's containers.conf, its keys and spelling"),
        "compose": (
            Choice(("docker-compose", "podman-compose")),
            "what brings the project up: names of containers, and isolation of Podman's networks",
        ),
        "firewall": (FIREWALL, "the host's own firewall beside the engine's rules"),
        "found": (
            _FOUND,
            "the rules that the host has, in place of those that its engine and firewall would write; left"
            " out where an option chooses another engine, firewall or daemon.json",
        ),
        "addresses": (_ADDRESSES, "the addresses of ext0 (198.51.100.1/24 and 2001:db8:1::1/64)"),
        "interfaces": (
            _INTERFACES,
            "the host's interfaces on external segments, in place of ext0",
        ),
        "bridges": (
            MapOf(
                Either(Nothing(), _record({"addresses": (_ADDRESSES, "its addresses")})),
                _LINK,
                "the name of a bridge",
                check=wrong_interface,
            ),
            "other tenants' bridges, there before the engine starts",
        ),
        "sysctls": (_SYSCTLS, "the state before the engine starts"),
        "routes": (
            ListOf(Text("a route: 10.8.0.0/16 via 198.51.100.9", free=True)),
            "routes that are there before the engine starts",
        ),
        "rootless": (
            Flag(),
            "an ordinary user runs the engine: Podman with network_mode pasta or slirp4netns, or Docker by "
            "rootlesskit; no rules on the host, no ports below 1024",
        ),
        "wsl2": (
            Choice(("mirrored",)),
            "the host is a WSL2 guest whose Windows sends to 127.0.0.1 by an interface loopback0",
        ),
        "choice": (
            Whole(1, 2**63 - 1),
            "which of the ways it is in which what the engine leaves to chance can come out (1)",
        ),
        "environment": (
            MapOf(
                Atom(), "|".join(rf"\A{name}\Z" for name in ENVIRONMENT), f"one of {', '.join(ENVIRONMENT)}"
            ),
            "what of the engine's environment shapes the network",
        ),
        "routing_policy": (
            ListOf(Text('a rule: "from 172.18.0.0/16 table 100"', free=True)),
            "which table routes a packet: what ip rule add takes",
        ),
        "listen": (_LISTEN, "ports on which the host itself answers"),
        "udp_source": _UDP_SOURCE,
        "rules": (_RULES, "typed by the administrator once everything is up"),
        "proxy": (
            Text("shared, per-port or a path", _wrong_proxy),
            "one process for all listeners (shared), per-port, or the path of a real docker-proxy",
        ),
    }
)

_ROUTE = Either(
    Text('a route: "10.0.0.0/8 via 198.51.100.1"'),
    _record(
        {"to": (Text("a subnet"), "a subnet, or default"), "via": (ADDRESS, "the next hop")}, "to", "via"
    ),
)
OUTSIDE = _record(
    {
        "addresses": (_ADDRESSES, "its addresses"),
        "segment": (_SEGMENT, "the segment, or the other tenant's bridge, that it is plugged into (ext)"),
        "routes": (
            Either(Choice(("host", "none")), ListOf(_ROUTE)),
            "default routes through the host, none, or a list of routes",
        ),
        "listen": (_LISTEN, "ports on which it answers (7000/tcp and 7000/udp)"),
        "udp_source": _UDP_SOURCE,
        "interfaces": (_INTERFACES, "several interfaces, in place of addresses and segment"),
        "mtu": (_MTU, "the largest packet that its interface sends and takes (1500)"),
        "forward": (Flag(), "a router: it forwards between its interfaces"),
        "rules": (_RULES, "typed on it once everything is up"),
    }
)

SERVICE = _record(
    {
        "host": (Text("the name of a host"), "the host on which it runs"),
        "engine": (Text("docker or podman"), "whose container it is, on a host with two engines"),
        "udp_source": _UDP_SOURCE,
        "listen": (_LISTEN, "ports on which it answers, in place of those that its image declares"),
        "rules": (_RULES, "typed in its namespace once everything is up"),
        "command": (
            Either(Text("a command line", free=True), ListOf(Atom(free=True), least=1)),
            "a real program that runs in the responder's place",
        ),
    }
)

EXTERNAL = _record(
    {
        "driver_opts": (MapOf(Atom()), "driver options"),
        "ipam": (
            _record(
                {
                    "config": (
                        ListOf(
                            _record(
                                {
                                    "subnet": (SUBNET, "the subnet"),
                                    "ip_range": (SUBNET, "the part that addresses are taken from"),
                                    "gateway": (ADDRESS, "the bridge's own address"),
                                    "aux_addresses": (MapOf(ADDRESS), "addresses that are not given out"),
                                },
                                "subnet",
                            )
                        ),
                        "address pools",
                    )
                }
            ),
            "address management",
        ),
        "internal": (Flag(), "no way out"),
        "enable_ipv4": (Flag(), "IPv4 on or off"),
        "enable_ipv6": (Flag(), "IPv6 on or off"),
    }
)

SIDE = Record(
    {
        "outcome": Field(Choice(OUTCOMES), "what came back"),
        "path": Field(Choice(PATHS), "how far the first packet got in the host's IP hooks"),
        "sees": Field(
            Text("a source address"),
            "the source address that the server saw: sender, a node's name, host, gateway or an address",
        ),
        "by": Field(
            Text("a chain or a part of a rule", free=True),
            "the chain (DOCKER-USER, raw PREROUTING, inet filter forward) or the part of a rule that decided",
        ),
        "not-by": Field(
            Text("a chain or a part of a rule", free=True), "a chain or a part of a rule that did not"
        ),
        "dnat": Field(Text("an endpoint, or none"), "where the destination was rewritten to, or none"),
    },
    filled=True,
)
SIDE_OR_WORDS = Either(SIDE, Text("words (ok forward, sees client)", free=True))
EXPECTATION = _record(
    {
        "flow": (Text("a flow", free=True), "client -> host:80/tcp, client:40000 -> host:53/udp"),
        "ipv4": (SIDE_OR_WORDS, "what is expected of IPv4"),
        "ipv6": (SIDE_OR_WORDS, "what is expected of IPv6"),
        "both": (SIDE_OR_WORDS, "what is expected of both families"),
    },
    "flow",
)
HAPPENING = _record(
    {"event": (Text("an event", free=True), "what happens before the next flow: restart httpd")}, "event"
)


EXPOSED = _record(
    {
        "exposure": (
            _record(
                {
                    "from": (Text("a place", free=True), "outside (default), a node, or a host's interface"),
                    "reaches": (
                        ListOf(Text("a target", free=True)),
                        "what somebody reaches: host:80/tcp, web:[80,443], host/icmp",
                    ),
                    "nothing-else": (Flag(), "that nobody reaches anything else"),
                }
            ),
            "what all packets from a place reach together",
        )
    },
    "exposure",
)


class _Entry(Either):
    """A flow, an event between two, or what all packets reach."""

    def __init__(self) -> None:
        known = (*EXPECTATION.fields, "event", "exposure")
        explained = replace(EXPECTATION, explain=lambda key: hint(key, known))
        super().__init__(explained, HAPPENING, EXPOSED)

    def _inside(self, value: Value, path: str, report: Report) -> Value | None:
        flow, event, exposed = self.shapes
        shape = event if "event" in value.map else exposed if "exposure" in value.map else flow
        return shape._inside(value, path, report)


_NAMED = "a name (letters, digits, . _ -)"


def _of_the_host(key: str) -> str | None:
    """A key of the host's is one level too high."""
    return f' (did you mean "host: {{{key}: …}}"?)' if key in HOST.fields else None


NETLAB = replace(
    _record(
        {
            "host": (HOST, "short for hosts with one named host"),
            "hosts": (MapOf(Either(Nothing(), HOST), NODE_NAME, _NAMED), "the emulated hosts"),
            "outside": (
                MapOf(Either(Nothing(), OUTSIDE), NODE_NAME, _NAMED),
                "nodes outside, in place of the default",
            ),
            "segments": (
                MapOf(
                    _record({"mtu": (_MTU, "of its interfaces that say nothing else (1500)")}), NAME, _NAMED
                ),
                "what the interfaces on a segment have in common",
            ),
            "networks": (MapOf(EXTERNAL, NAME, _NAMED), "what Compose's external networks are like"),
            "internet": (
                Flag(),
                "a router behind the host's default route, which answers for every other address",
            ),
            "services": (MapOf(SERVICE, NAME, _NAMED), "what Compose cannot say of a service"),
            "rules": (_RULES, "short for the host's rules"),
            "events": (ListOf(Text("an event", free=True)), "what happens once everything is up, in order"),
            "expect": (ListOf(_Entry()), "what the lab must measure, and what happens in between"),
        }
    ),
    explain=_of_the_host,
)
