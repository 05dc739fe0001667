"""Random rules over what predictions read: iptables and nft, as an administrator types them on a host."""

from __future__ import annotations

import random
from collections.abc import Iterator

#: addresses and networks that rules and packets are about, by family
ADDRESSES = {
    4: ("198.51.100.2", "198.51.100.3", "198.51.100.1", "172.18.0.2", "172.18.0.3", "203.0.113.9"),
    6: ("2001:db8:1::2", "2001:db8:1::3", "2001:db8:1::1", "2001:db8:9::9"),
}
NETWORKS = {
    4: ("198.51.100.0/24", "198.51.100.2/31", "172.16.0.0/12", "0.0.0.0/0", "203.0.113.0/28"),
    6: ("2001:db8:1::/64", "2001:db8:1::2/127", "::/0", "2001:db8:9::/48"),
}
PORTS = (22, 53, 80, 81, 443, 8080, 9000)
CHAINS = (
    ("filter", "INPUT"), ("filter", "FORWARD"), ("filter", "OUTPUT"), ("filter", "DOCKER-USER"),
    ("raw", "PREROUTING"), ("raw", "OUTPUT"), ("mangle", "PREROUTING"), ("mangle", "INPUT"),
    ("mangle", "FORWARD"), ("mangle", "OUTPUT"), ("mangle", "POSTROUTING"),
)  # fmt: skip
STATES = ("NEW", "ESTABLISHED", "NEW,ESTABLISHED", "RELATED,ESTABLISHED", "INVALID", "UNTRACKED")
TYPES = {4: ("LOCAL", "UNICAST", "BROADCAST"), 6: ("LOCAL", "UNICAST")}


def rules(chance: random.Random, count: int) -> list[list[str]]:
    """Groups of commands; those of a group belong together."""
    return [_iptables(chance, n) if chance.random() < 0.6 else _nft(chance, n) for n in range(count)]


def _iptables(chance: random.Random, number: int) -> list[str]:
    family = chance.choice((4, 4, 6))
    tool = "iptables" if family == 4 else "ip6tables"
    if chance.random() < 0.2:
        return [f"{tool} -t nat {_nat(chance, family)}"]
    table, chain = chance.choice(CHAINS)
    if chain == "DOCKER-USER" and family == 6:
        chain = "FORWARD"
    match = _match(chance, family, table, chain)
    if chance.random() < 0.25:
        own = f"OWN{number}"
        add = f"{tool} -t {table} -A {own}"
        inner = [
            f"{add} {_match(chance, family, table, chain)} -j {_target(chance, table)}"
            for _ in range(chance.randint(1, 3))
        ]
        jump = chance.choice(("-j", "-j", "-g"))
        return [f"{tool} -t {table} -N {own}", *inner, f"{tool} -t {table} -I {chain} {match} {jump} {own}"]
    return [f"{tool} -t {table} -I {chain} {match} -j {_target(chance, table)}"]


def _target(chance: random.Random, table: str) -> str:
    targets = ["DROP", "ACCEPT", "RETURN", "ACCEPT", "RETURN"]
    if table == "filter":
        targets += ["REJECT", "DROP"]
    if table == "mangle":
        targets += ["MARK --set-xmark 0x1/0xff", "MARK --set-xmark 0x2/0x2", "CONNMARK --set-xmark 0x7/0xff"]
    if table == "raw":
        targets += ["CT --notrack"]
    return chance.choice(targets)


def _nat(chance: random.Random, family: int) -> str:
    port = f"-p {chance.choice(('tcp', 'udp'))} --dport {chance.choice(PORTS)}"
    low = chance.choice(ADDRESSES[family])
    to = f"{low if family == 4 else f'[{low}]'}:{chance.choice(PORTS)}"
    kinds = [
        f"-I PREROUTING {port} -j DNAT --to-destination {to}",
        f"-I OUTPUT {port} -j DNAT --to-destination {to}",
        f"-I PREROUTING {port} -j REDIRECT --to-ports {chance.choice(PORTS)}",
        f"-I POSTROUTING {port} -j MASQUERADE",
        f"-I PREROUTING {port} -j ACCEPT",
        f"-I POSTROUTING -d {chance.choice(NETWORKS[family])} -j RETURN",
    ]
    return chance.choice(kinds)


def _match(chance: random.Random, family: int, table: str, chain: str) -> str:
    found = list(_matches(chance, family, table, chain))
    return " ".join(chance.sample(found, chance.randint(0, min(3, len(found)))) or ["-m comment --comment x"])


def _matches(chance: random.Random, family: int, table: str, chain: str) -> Iterator[str]:
    no = chance.choice(("", "", "! "))
    yield f"{no}-s {chance.choice((*ADDRESSES[family], *NETWORKS[family][:3]))}"
    yield f"{no}-d {chance.choice((*ADDRESSES[family], *NETWORKS[family][:3]))}"
    if chain in ("INPUT", "FORWARD", "PREROUTING", "DOCKER-USER"):
        yield f"{no}-i {chance.choice(('ext0', 'lo', 'br-+', 'ext+', 'docker0'))}"
    elif chain in ("OUTPUT", "POSTROUTING"):
        yield f"{no}-o {chance.choice(('ext0', 'lo', 'br-+'))}"
    icmp = "icmp -m icmp --icmp-type 8" if family == 4 else "ipv6-icmp -m icmp6 --icmpv6-type 128"
    port, other = sorted(chance.sample(PORTS, 2))
    yield chance.choice(
        (
            f"-p tcp -m tcp {no}--dport {port}:{other}",
            f"-p udp -m udp {no}--dport {port}",
            f"-p tcp -m multiport --dports {port},{other}",
            "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN",
            f"-p {icmp}",
            f"{no}-p tcp",
        )
    )
    if table != "raw":
        yield f"-m conntrack {no}--ctstate {chance.choice(STATES)}"
        yield f"-m conntrack --ctorigdstport {port}"
        yield f"-m connmark {no}--mark 0x7/0xff"
    yield f"-m addrtype {no}--{chance.choice(('src', 'dst'))}-type {chance.choice(TYPES[family])}"
    yield f"-m mark {no}--mark 0x1/0xf"
    if family == 4:
        yield "-m iprange --src-range 198.51.100.2-198.51.100.3"


HOOKS = ("prerouting", "input", "forward", "output", "postrouting")


def _nft(chance: random.Random, number: int) -> list[str]:
    table, hook = f"own{number}", chance.choice(HOOKS)
    priority = chance.choice((-400, -310, -250, -150, -50, 0, 5, 50, 150, 301))
    policy = chance.choice(("accept", "accept", "accept", "drop"))
    where = f"inet {table}"
    found = [f"nft add table {where}"]
    used = chance.choice(("none", "set", "interval", "concatenation", "vmap", "chain"))
    port, other = sorted(chance.sample(PORTS, 2))
    verdict = chance.choice(("accept", "drop", "accept", "continue", "return"))
    if hook in ("input", "forward", "output"):
        verdict = chance.choice((verdict, "reject"))
    body = f"{_expression(chance, hook)} {verdict}"
    if used == "set":
        found.append(
            f"nft add set {where} ports '{{ type inet_service; elements = {{ {port}, {other} }}; }}'"
        )
        body = f"tcp dport {chance.choice(('', '!= '))}@ports {verdict}"
    elif used == "interval":
        body = f"ip saddr {{ 198.51.100.0/31, 198.51.100.3 }} udp dport {{ {port}-{other} }} {verdict}"
    elif used == "concatenation":
        body = f"ip saddr . tcp dport {{ 198.51.100.2 . {port}, 198.51.100.3 . {other} }} {verdict}"
    elif used == "vmap":
        body = f"tcp dport vmap {{ {port} : {verdict if verdict != 'reject' else 'drop'}, {other} : drop }}"
    elif used == "chain":
        found.append(f"nft add chain {where} more")
        found.append(f"nft add rule {where} more {_expression(chance, hook)} {verdict}")
        body = f"{_expression(chance, hook)} {chance.choice(('jump', 'goto'))} more"
    kind = f"filter hook {hook} priority {priority}"
    chain = f"nft add chain {where} base '{{ type {kind}; policy {policy}; }}'"
    found += [chain, f"nft add rule {where} base {body}"]
    if policy == "drop":
        found.append(
            f"nft add rule {where} base {chance.choice(('meta l4proto tcp', 'meta nfproto ipv6'))} accept"
        )
    return found


def _expression(chance: random.Random, hook: str) -> str:
    port = chance.choice(PORTS)
    known = [
        f"tcp dport {port}", f"udp dport != {port}", f"meta l4proto {chance.choice(('tcp', 'udp', 'icmp'))}",
        f"th dport {port}", "ip saddr 198.51.100.2", "ip6 daddr 2001:db8:1::1", "ip daddr != 172.18.0.2",
        "ct state new", "ct state established,related", f"ct original proto-dst {port}",
        "fib daddr type local", "meta mark 0x1", "tcp flags syn / fin,syn,rst,ack", "icmp type echo-request",
        "ct status dnat", "meta nfproto ipv4",
    ]  # fmt: skip
    if hook in ("prerouting", "input", "forward"):
        known.append('iifname "ext0"')
    return " ".join(chance.sample(known, chance.choice((1, 1, 2))))
