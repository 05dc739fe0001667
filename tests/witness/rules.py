"""Random rules, hostile and ordinary: how each is put in, how it goes, and how often it was hit."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from netlab.kernel import netns

_COUNTER = re.compile(r"counter packets (\d+)")
_SAVED = re.compile(r"^\[(\d+):\d+\] -A .*--comment (\S+)", re.MULTILINE)


class CommandFailed(Exception):
    """A tool refused a rule: then there is nothing to compare."""


def run(namespace: int, argv: list[str], text: str = "") -> str:
    """The output of a tool in a namespace; raises CommandFailed."""
    with netns.entered(namespace):
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailed(f"{' '.join(argv)} {text}: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True)
class Planted:
    """One rule (or route, or setting) in one node. ``ends``: a packet that it hits goes no further."""

    node: str
    name: str
    words: str
    add: tuple[tuple[list[str], str], ...]
    remove: tuple[tuple[list[str], str], ...]
    count: tuple[str, ...] = ()  #: the tool and its arguments that show the rule with its counter
    ends: bool = False
    ordinary: bool = False  #: such as an administrator would write: nothing that hides from a trace

    def put_in(self, namespaces: Mapping[str, int]) -> None:
        """Raises CommandFailed."""
        for argv, text in self.add:
            run(namespaces[self.node], argv, text)

    def take_out(self, namespaces: Mapping[str, int]) -> None:
        """Raises CommandFailed."""
        for argv, text in self.remove:
            run(namespaces[self.node], argv, text)

    def hits(self, namespaces: Mapping[str, int]) -> int:
        """How many packets it has seen; 0 for what has no counter."""
        if not self.count:
            return 0
        shown = run(namespaces[self.node], list(self.count))
        if self.count[0] == "nft":
            return sum(int(number) for number in _COUNTER.findall(shown))
        return sum(int(found[1]) for found in _SAVED.finditer(shown) if found[2].strip('"') == self.name)

    @property
    def copies(self) -> bool:
        """Whether packets are copied: then a rule may have been hit by a copy, which decides nothing."""
        return " TEE " in self.words

    @property
    def limits_errors(self) -> bool:
        """Whether ICMP errors come or not as the kernel's limit has it: by time, not by the packet."""
        return "ratelimit" in self.words


@dataclass(frozen=True)
class Place:
    """What rules may be about: the lab's nodes, and the port and protocol of a flow to hit."""

    host: str
    containers: tuple[str, ...]  #: of that host
    addresses: Mapping[str, str]  #: container → its IPv4 address
    chains: tuple[str, ...]  #: filter chains of the host in which users put rules
    devices: tuple[str, ...]  #: interfaces of the host
    protocol: str
    ports: tuple[int, ...]  #: as asked, and as the server has it
    family: int
    origin: str
    target: str


def _native_match(rng: random.Random, place: Place) -> str:
    """The same for nft."""
    if place.protocol == "icmp":
        kind = rng.choice(["echo-request", "echo-request", "echo-reply"])
        return f"{'icmpv6' if place.family == 6 else 'icmp'} type {kind}"
    return f"{place.protocol} dport {rng.choice(place.ports)}"


Kind = Callable[[random.Random, str, Place], Planted]


def _match(rng: random.Random, place: Place) -> str:
    if place.protocol == "icmp":
        kind = rng.choice(["echo-request", "echo-request", "echo-reply"])
        return f"-p ipv6-icmp --icmpv6-type {kind}" if place.family == 6 else f"-p icmp --icmp-type {kind}"
    return (
        f"-p {place.protocol} --{rng.choice(['dport', 'dport', 'dport', 'sport'])} {rng.choice(place.ports)}"
    )


def _iptables(
    node: str, name: str, place: Place, table: str, chain: str, rest: str, *, legacy: bool = False
) -> Planted:
    tool = ("ip6tables" if place.family == 6 else "iptables") + ("-legacy" if legacy else "")
    rule = [chain, *rest.partition(" -j ")[0].split(), "-m", "comment", "--comment", name]
    rule += ["-j", *rest.partition(" -j ")[2].split()]
    words = [tool, "-w", "-t", table]
    ends = any(target in rest for target in ("-j DROP", "-j REJECT", "-j NFQUEUE", "-j TPROXY"))
    return Planted(
        node, name, f"{tool} -t {table} -I {chain} {rest}",
        ((([*words, "-I", *rule]), ""),), ((([*words, "-D", *rule]), ""),),
        (f"{tool}-save", "-c", "-t", table), ends,
    )  # fmt: skip


def _nft(
    node: str, name: str, family: str, kind: str, hook: str, priority: int, rule: str, device: str = ""
) -> Planted:
    where = f'device "{device}" ' if device else ""
    head, _, verdict = rule.rpartition(" do ")
    body = f"type {kind} hook {hook} {where}priority {priority}; policy accept;\n{head} counter {verdict}\n"
    return Planted(
        node, name, f"nft {family} {hook} {priority} {device}: {rule}",
        ((["nft", "-f", "-"], f"table {family} {name} {{ chain {name} {{ {body} }}\n}}\n"),),
        ((["nft", "delete", "table", family, name], ""),),
        ("nft", "list", "table", family, name),
        verdict.startswith(("drop", "reject")),
    )  # fmt: skip


def filters(rng: random.Random, name: str, place: Place) -> Planted:
    """A rule of filter, raw or mangle on the host."""
    table, chain = rng.choice(
        [*(("filter", chain) for chain in place.chains), ("raw", "PREROUTING"), ("mangle", "FORWARD"),
         ("mangle", "PREROUTING"), ("mangle", "POSTROUTING"), ("raw", "OUTPUT")]
    )  # fmt: skip
    targets = ["DROP", "ACCEPT", "RETURN"]
    if table == "filter":
        targets += ["REJECT", "REJECT --reject-with tcp-reset" if place.protocol == "tcp" else "REJECT"]
    rule = _iptables(place.host, name, place, table, chain, f"{_match(rng, place)} -j {rng.choice(targets)}")
    return replace(rule, ordinary=True)


def own_filters(rng: random.Random, name: str, place: Place) -> Planted:
    """A rule in a node that is no host."""
    node = rng.choice([place.origin, place.target])
    chain = rng.choice(["INPUT", "OUTPUT"])
    target = rng.choice(["DROP", "REJECT", "ACCEPT"])
    rule = _iptables(node, name, place, "filter", chain, f"{_match(rng, place)} -j {target}")
    return replace(rule, ordinary=True)


def native(rng: random.Random, name: str, place: Place) -> Planted:
    """A base chain anywhere, at any priority."""
    priority = rng.choice([-(1 << 31), -400, -310, -150, -99, 0, 10, 225, 301, (1 << 31) - 1])
    hook = rng.choice(["prerouting", "input", "forward", "output", "postrouting"])
    verdicts = ["drop", "drop", "accept", "return", "meta nftrace set 0", "meta mark set 0x77"]
    if hook in ("input", "forward", "output"):
        verdicts.append("reject")
    node = rng.choice([place.host, place.host, place.host, place.origin, place.target])
    match = _native_match(rng, place)
    return _nft(node, name, "inet", "filter", hook, priority, f"{match} do {rng.choice(verdicts)}")


def bridge(rng: random.Random, name: str, place: Place) -> Planted:
    """A drop of the bridge family."""
    hook = rng.choice(["prerouting", "input", "forward", "output", "postrouting"])
    rule = f"{_native_match(rng, place)} do drop"
    return _nft(place.host, name, "bridge", "filter", hook, rng.choice([-200, 0, 100]), rule)


def device(rng: random.Random, name: str, place: Place) -> Planted:
    """A drop at a device."""
    hook = rng.choice(["ingress", "egress"])
    rule = f"{_native_match(rng, place)} do drop"
    if rng.random() < 0.3:
        return _nft(place.target, name, "netdev", "filter", hook, 0, rule, "eth0")
    return _nft(place.host, name, "netdev", "filter", hook, 0, rule, rng.choice(place.devices))


def rewriting(rng: random.Random, name: str, place: Place) -> Planted:
    """A node that rewrites its own packets, or those that come in."""
    if rng.random() < 0.5:
        rest = f"-p {place.protocol} -j MASQUERADE --to-ports {rng.randrange(2000, 9000)}-9999"
        return _iptables(place.origin, name, place, "nat", "POSTROUTING", rest)
    to = rng.choice([place.ports[-1], 9000])
    rest = f"-p {place.protocol} --dport {place.ports[-1]} -j REDIRECT --to-ports {to}"
    return _iptables(place.target, name, place, "nat", "PREROUTING", rest)


def data(rng: random.Random, name: str, place: Place) -> Planted:
    """A rule that hits a connection's later packets."""
    match = rng.choice(
        [
            "-p tcp -m string --string GET --algo bm",
            "-m conntrack --ctstate ESTABLISHED",
            "-p tcp -m length --length 90:65535",
        ]
    )
    node = rng.choice([place.host, place.host, place.target, place.origin])
    chain = rng.choice([*place.chains]) if node == place.host else rng.choice(["INPUT", "OUTPUT"])
    return _iptables(node, name, place, "filter", chain, f"{match} -j {rng.choice(['DROP', 'REJECT'])}")


def copy(rng: random.Random, name: str, place: Place) -> Planted:
    """A copy of each packet to a container."""
    gateway = place.addresses[rng.choice(place.containers)]
    chain = rng.choice(["PREROUTING", "POSTROUTING", "FORWARD", "OUTPUT"])
    return _iptables(
        place.host, name, place, "mangle", chain, f"{_match(rng, place)} -j TEE --gateway {gateway}"
    )


def legacy(rng: random.Random, name: str, place: Place) -> Planted:
    """A rule of the other iptables."""
    node = rng.choice([place.host, place.host, place.target])
    chain = rng.choice(["INPUT", "FORWARD", "OUTPUT"])
    target = rng.choice(["DROP", "DROP", "REJECT", "ACCEPT"])
    return _iptables(node, name, place, "filter", chain, f"{_match(rng, place)} -j {target}", legacy=True)


def route(rng: random.Random, name: str, place: Place) -> Planted:
    """A route that leads nowhere."""
    kind = rng.choice(["blackhole", "unreachable", "prohibit"])
    address = place.addresses[rng.choice(place.containers)]
    words = ["ip", "route"]
    return Planted(
        place.host, name, f"ip route add {kind} {address}",
        ((([*words, "add", kind, address]), ""),), ((([*words, "del", kind, address]), ""),),
    )  # fmt: skip


def queue(rng: random.Random, name: str, place: Place) -> Planted:
    """A queue to which nobody listens."""
    chain = rng.choice(place.chains)
    return _iptables(
        place.host, name, place, "filter", chain, f"{_match(rng, place)} -j NFQUEUE --queue-num 7"
    )


def handed(rng: random.Random, name: str, place: Place) -> Planted:
    """Packets handed to a program that is not there."""
    rest = f"-p {place.protocol} --dport {rng.choice(place.ports)} -j TPROXY --on-port 9999"
    return _iptables(place.host, name, place, "mangle", "PREROUTING", rest)


def limited(rng: random.Random, name: str, place: Place) -> Planted:
    """The kernel's own limit of ICMP errors."""
    family = "ipv6.icmp." if place.family == 6 else "ipv4.icmp_"
    limit, mask = f"net.{family}ratelimit", f"net.{family}ratemask"
    on = ["sysctl", "-w", f"{limit}={rng.choice([1000, 60000])}"]
    on.append(f"{mask}={'0-1,3-127' if place.family == 6 else 6168}")
    off = ["sysctl", "-w", f"{mask}={'' if place.family == 6 else 0}"]
    return Planted(place.host, name, " ".join(on), ((on, ""),), ((off, ""),))


def addresses(rng: random.Random, name: str, place: Place) -> Planted:
    """A rule about who asks or is asked."""
    address = place.addresses[rng.choice(place.containers)]
    if place.family == 6:
        address = rng.choice(["2001:db8:1::2", "2001:db8:1::1", "::1"])
    chain = rng.choice(place.chains)
    target = rng.choice(["DROP", "REJECT", "ACCEPT"])
    rest = f"-{rng.choice('sd')} {address} -p {place.protocol} -j {target}"
    return replace(_iptables(place.host, name, place, "filter", chain, rest), ordinary=True)


def own_chain(rng: random.Random, name: str, place: Place) -> Planted:
    """A native table of the administrator's, at the usual priority: what /etc/nftables.conf has."""
    hook = rng.choice(["input", "forward", "output"])
    rule = f"{_native_match(rng, place)} do {rng.choice(['drop', 'reject', 'accept'])}"
    return replace(_nft(place.host, name, "inet", "filter", hook, 0, rule), ordinary=True)


#: what hosts ordinarily have
ORDINARY: tuple[Kind, ...] = (filters, filters, own_filters, addresses, own_chain)
KINDS: tuple[Kind, ...] = (
    filters, filters, own_filters, addresses, own_chain, native, native, native, bridge, device,
    rewriting, data, data, copy, legacy, route, queue, handed, limited,
)  # fmt: skip
#: of these, what can be about an echo request
PINGED: tuple[Kind, ...] = (
    filters,
    filters,
    own_filters,
    addresses,
    own_chain,
    native,
    native,
    bridge,
    device,
    legacy,
)
