"""Random rules of iptables and ip6tables."""

from __future__ import annotations

import random
from collections.abc import Iterator

from agree.values import ADDRESSES, INTERFACES, NETWORKS, PORTS

_CHAINS = (
    ("filter", "INPUT"), ("filter", "FORWARD"), ("filter", "OUTPUT"), ("filter", "FORWARD"),
    ("raw", "PREROUTING"), ("raw", "OUTPUT"), ("mangle", "PREROUTING"), ("mangle", "INPUT"),
    ("mangle", "FORWARD"), ("mangle", "OUTPUT"), ("mangle", "POSTROUTING"),
)  # fmt: skip
_STATES = ("NEW", "ESTABLISHED", "NEW,ESTABLISHED", "RELATED,ESTABLISHED", "INVALID", "UNTRACKED", "DNAT")
_TYPES = {4: ("LOCAL", "UNICAST", "BROADCAST"), 6: ("LOCAL", "UNICAST")}
_REJECTS = {
    4: ("", " --reject-with icmp-host-prohibited", " --reject-with icmp-net-unreachable"),
    6: ("", " --reject-with icmp6-adm-prohibited", " --reject-with icmp6-no-route"),
}
_MARKS = (
    "MARK --set-xmark 0x1/0xff", "MARK --set-xmark 0x2/0x2", "CONNMARK --set-xmark 0x7/0xff",
    "CONNMARK --save-mark", "CONNMARK --restore-mark",
)  # fmt: skip


def rule(chance: random.Random, number: int) -> tuple[int, list[str]]:
    """The IP version, and lines of iptables without the tool's name that belong together."""
    family = chance.choice((4, 4, 6))
    if chance.random() < 0.2:
        return family, [f"-t nat {_nat(chance, family)}"]
    table, chain = chance.choice(_CHAINS)
    match = _match(chance, family, table, chain)
    if chance.random() < 0.25:
        own = f"OWN{number}"
        add = f"-t {table} -A {own}"
        inner = [
            f"{add} {_match(chance, family, table, chain)} -j {_target(chance, family, table)}"
            for _ in range(chance.randint(1, 3))
        ]
        jump = chance.choice(("-j", "-j", "-g"))
        return family, [f"-t {table} -N {own}", *inner, f"-t {table} -I {chain} {match} {jump} {own}"]
    return family, [f"-t {table} -I {chain} {match} -j {_target(chance, family, table)}"]


def _target(chance: random.Random, family: int, table: str) -> str:
    targets = ["DROP", "ACCEPT", "RETURN", "ACCEPT", "RETURN", "LOG --log-prefix x", "NFLOG --nflog-group 3"]
    if table == "filter":
        targets += [f"REJECT{chance.choice(_REJECTS[family])}", "DROP"]
    if table == "mangle":
        targets += _MARKS
    if table == "raw":
        targets += ["CT --notrack", "NOTRACK"]
    return chance.choice(targets)


def _nat(chance: random.Random, family: int) -> str:
    port = f"-p {chance.choice(('tcp', 'udp'))} --dport {chance.choice(PORTS)}"
    low = chance.choice(ADDRESSES[family])
    to = f"{low if family == 4 else f'[{low}]'}:{chance.choice(PORTS)}"
    kinds = [
        f"-I PREROUTING {port} -j DNAT --to-destination {to}",
        f"-I PREROUTING {port} -j DNAT --to-destination {low}",
        f"-I OUTPUT {port} -j DNAT --to-destination {to}",
        f"-I PREROUTING {port} -j REDIRECT --to-ports {chance.choice(PORTS)}",
        f"-I OUTPUT {port} -j REDIRECT --to-ports {chance.choice(PORTS)}",
        f"-I POSTROUTING {port} -j MASQUERADE",
        f"-I POSTROUTING {port} -j SNAT --to-source {chance.choice(ADDRESSES[family])}",
        f"-I PREROUTING {port} -j ACCEPT",
        f"-I POSTROUTING -d {chance.choice(NETWORKS[family])} -j RETURN",
        f"-I PREROUTING -d {chance.choice(NETWORKS[family][:2])} {port} -j NETMAP --to {NETWORKS[family][0]}",
    ]
    return chance.choice(kinds)


def _match(chance: random.Random, family: int, table: str, chain: str) -> str:
    found = list(_matches(chance, family, table, chain))
    return " ".join(chance.sample(found, chance.randint(0, min(3, len(found)))) or ["-m comment --comment x"])


def _matches(chance: random.Random, family: int, table: str, chain: str) -> Iterator[str]:
    no = chance.choice(("", "", "! "))
    yield f"{no}-s {chance.choice((*ADDRESSES[family], *NETWORKS[family][:3]))}"
    yield f"{no}-d {chance.choice((*ADDRESSES[family], *NETWORKS[family][:3]))}"
    if chain in ("INPUT", "FORWARD", "PREROUTING"):
        yield f"{no}-i {chance.choice(INTERFACES)}"
    if chain in ("OUTPUT", "POSTROUTING", "FORWARD"):
        yield f"{no}-o {chance.choice(INTERFACES)}"
    icmp = "icmp -m icmp --icmp-type 8" if family == 4 else "ipv6-icmp -m icmp6 --icmpv6-type 128"
    port, other = sorted(chance.sample(PORTS, 2))
    yield chance.choice(
        (
            f"-p tcp -m tcp {no}--dport {port}:{other}",
            f"-p udp -m udp {no}--dport {port}",
            f"-p tcp -m multiport {no}--dports {port},{other}",
            f"-p udp -m multiport --ports {port}:{other}",
            "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN",
            f"-p tcp -m tcp {no}--syn",
            f"-p tcp -m tcp --sport {chance.choice(('1024:', ':1023'))}",
            f"-p {icmp}",
            f"{no}-p tcp",
        )
    )
    if table != "raw":
        yield f"-m conntrack {no}--ctstate {chance.choice(_STATES)}"
        yield f"-m state --state {chance.choice(_STATES[:5])}"
        yield f"-m conntrack --ctorigdstport {port}"
        yield f"-m conntrack {no}--ctorigdst {chance.choice(ADDRESSES[family])}"
        yield f"-m conntrack --ctdir {chance.choice(('ORIGINAL', 'REPLY'))}"
        yield f"-m connmark {no}--mark 0x7/0xff"
    yield f"-m addrtype {no}--{chance.choice(('src', 'dst'))}-type {chance.choice(_TYPES[family])}"
    yield f"-m mark {no}--mark 0x1/0xf"
    if chain in ("FORWARD", "POSTROUTING"):
        yield f"-m physdev {no}--physdev-is-bridged"
    if chain == "FORWARD":
        yield f"-m physdev {no}--physdev-in veth+"
    if family == 4:
        yield f"-m iprange {no}--src-range 198.51.100.2-198.51.100.3"
    else:
        yield f"-m iprange {no}--dst-range 2001:db8:1::1-2001:db8:1::2"
    if chance.random() < 0.05:
        yield "-m limit --limit 1/sec"
