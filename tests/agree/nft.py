"""Random tables of nftables: of several families, hooks and priorities, with sets, maps and own chains."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from agree.values import ADDRESSES, PORTS

_HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
_PRIORITIES = (-400, -310, -250, -150, -50, 0, 5, 50, 150, 301)
_FAMILIES = ("inet", "inet", "inet", "ip", "ip6", "bridge")


@dataclass
class Table:
    """A table: its named sets, and its chains with the text of their hooks and their rules."""

    family: str
    name: str
    sets: dict[str, tuple[str, str, str]] = field(default_factory=dict)  #: name: (set or map, type, elements)
    chains: dict[str, tuple[str, list[str]]] = field(default_factory=dict)

    def commands(self) -> list[str]:
        """As an administrator types it."""
        where = f"{self.family} {self.name}"
        found = [f"nft add table {where}"]
        for number, (name, (kind, type_, elements)) in enumerate(self.sets.items()):
            if number % 2:
                found.append(f"nft add {kind} {where} {name} '{{ {type_}; elements = {elements}; }}'")
            else:
                found.append(f"nft add {kind} {where} {name} '{{ {type_}; }}'")
                found.append(f"nft add element {where} {name} '{elements}'")
        for name, (hook, _) in self.chains.items():
            found.append(f"nft add chain {where} {name}" + (f" '{{ {hook} }}'" if hook else ""))
        for name, (_, rules) in self.chains.items():
            found += [f"nft add rule {where} {name} {rule}" for rule in rules]
        return found

    def text(self) -> list[str]:
        """As a file has it."""
        found = [f"table {self.family} {self.name} {{"]
        for name, (kind, type_, elements) in self.sets.items():
            found.append(f"\t{kind} {name} {{ {type_}; elements = {elements}; }}")
        for name, (hook, rules) in self.chains.items():
            lines = "".join(f"\t\t{line}\n" for line in ([hook] if hook else []) + rules)
            found.append(f"\tchain {name} {{\n{lines}\t}}")
        return [*found, "}"]


def table(chance: random.Random, number: int) -> Table:
    """A random one."""
    made = Table(chance.choice(_FAMILIES), f"own{number}")
    for each in range(chance.choice((1, 1, 2))):
        _base(chance, made, f"base{each}")
    return made


def _base(chance: random.Random, made: Table, name: str) -> None:
    hook = chance.choice(_HOOKS)
    policy = chance.choice(("accept", "accept", "accept", "drop"))
    where = f"hook {hook} priority {chance.choice(_PRIORITIES)}; policy {policy};"
    rules = [_rule(chance, made, hook) for _ in range(chance.choice((1, 1, 2)))]
    if policy == "drop":
        rules.append(f"{chance.choice(('meta l4proto tcp', _of_family(made, 6)))} accept")
    if made.family != "bridge" and chance.random() < 0.15:
        _nat(chance, made, name)
        return
    made.chains[name] = f"type filter {where}", rules


def _nat(chance: random.Random, made: Table, name: str) -> None:
    hook = chance.choice(("prerouting", "postrouting"))
    family = 6 if made.family == "ip6" else 4
    word = f" {'ip6' if family == 6 else 'ip'}" if made.family == "inet" else ""
    address, port = chance.choice(ADDRESSES[family]), chance.choice(PORTS)
    to = f"[{address}]:{port}" if family == 6 else f"{address}:{port}"
    match = f"{chance.choice(('tcp', 'udp'))} dport {chance.choice(PORTS)}"
    kinds = [f"{match} dnat{word} to {to}", f"{match} redirect to :{port}"]
    if hook == "postrouting":
        kinds = [f"{match} masquerade", f"{match} snat{word} to {address}"]
    priority = chance.choice((-101, -99)) if hook == "prerouting" else chance.choice((99, 101))
    made.chains[name] = f"type nat hook {hook} priority {priority}; policy accept;", [chance.choice(kinds)]


def _of_family(made: Table, family: int) -> str:
    if made.family == "inet":
        return f"meta nfproto ipv{family}"
    return f"ether type {'ip6' if family == 6 else 'ip'}" if made.family == "bridge" else "meta l4proto udp"


def _verdict(chance: random.Random, made: Table, hook: str) -> str:
    verdicts = ["accept", "drop", "accept", "continue", "return"]
    if hook in ("input", "forward", "output") and made.family != "bridge":
        verdicts += ["reject", chance.choice(("reject", "meta l4proto tcp reject with tcp reset"))]
    return chance.choice(verdicts)


def _rule(chance: random.Random, made: Table, hook: str) -> str:
    verdict = _verdict(chance, made, hook)
    ended = verdict if verdict in ("accept", "drop", "return", "continue") else "drop"
    used = chance.choice(
        (
            "none",
            "none",
            "set",
            "interval",
            "concatenation",
            "vmap",
            "named vmap",
            "named concatenation",
            "chain",
        )
    )
    port, other = sorted(chance.sample(PORTS, 2))
    number = len(made.sets)
    if used == "set":
        made.sets[f"ports{number}"] = "set", "type inet_service", f"{{ {port}, {other} }}"
        return f"tcp dport {chance.choice(('', '!= '))}@ports{number} {verdict}"
    if used == "vmap":
        return f"tcp dport vmap {{ {port} : {ended}, {other} : drop }}"
    if used == "named vmap":
        made.sets[f"fates{number}"] = (
            "map",
            "type inet_service : verdict",
            f"{{ {port} : {ended}, {other} : accept }}",
        )
        return f"{chance.choice(('tcp', 'udp'))} dport vmap @fates{number}"
    if used == "chain":
        more = f"more{len(made.chains)}"
        while more in made.chains:
            more += "x"
        made.chains[more] = "", [f"{_expression(chance, made, hook)} {verdict}"]
        return f"{_expression(chance, made, hook)} {chance.choice(('jump', 'goto'))} {more}"
    if made.family != "ip6":
        if used == "interval":
            return f"ip saddr {{ 198.51.100.0/31, 198.51.100.3 }} udp dport {{ {port}-{other} }} {verdict}"
        if used == "concatenation":
            return f"ip saddr . tcp dport {{ 198.51.100.2 . {port}, 198.51.100.3 . {other} }} {verdict}"
        if used == "named concatenation":
            made.sets[f"pairs{number}"] = (
                "set", "type ipv4_addr . inet_service; flags interval",
                f"{{ 198.51.100.0/30 . {port}-{other}, 172.18.0.0/16 . {port} }}",
            )  # fmt: skip
            return f"ip daddr . {chance.choice(('tcp', 'udp'))} dport @pairs{number} {verdict}"
    return f"{_expression(chance, made, hook)} {verdict}"


def _expression(chance: random.Random, made: Table, hook: str) -> str:
    port, other = sorted(chance.sample(PORTS, 2))
    known = [
        f"tcp dport {port}", f"udp dport != {port}", f"meta l4proto {chance.choice(('tcp', 'udp', 'icmp'))}",
        f"th dport {port}", "meta mark 0x1", "tcp flags syn / fin,syn,rst,ack", f"tcp dport {port}-{other}",
        f"meta l4proto {{ tcp, udp }} th dport {{ {port}, {other} }}",
    ]  # fmt: skip
    if made.family != "ip6":
        known += [
            "ip saddr 198.51.100.2",
            "ip daddr != 172.18.0.2",
            "icmp type echo-request",
            "ip protocol udp",
        ]
    if made.family != "ip":
        known += ["ip6 daddr 2001:db8:1::1", "icmpv6 type echo-request", "ip6 saddr fd00:9::/64"]
    if made.family != "bridge":
        known += [
            "ct state new", "ct state established,related", f"meta l4proto tcp ct original proto-dst {port}",
            "ct status dnat", "fib daddr type local",
            "ct state vmap { new : continue, established : accept }",
            "ct mark 0x7",
        ]  # fmt: skip
        if hook in ("prerouting", "input", "forward"):
            known += ['iifname "ext0"', 'iifname != "br-*"', "fib saddr . iif oif missing"]
        if hook in ("forward", "output", "postrouting"):
            known += ['oifname { "ext0", "lo" }']
    return " ".join(chance.sample(known, chance.choice((1, 1, 2))))
