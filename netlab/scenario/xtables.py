"""Which extensions of iptables a rule may use, and where it may name an address.

One check for every rule, wherever it is written: a line of ``rules``, a ``run`` event, a file of the host's
firewall, a direct rule of firewalld's.

An extension runs in the kernel, so only those are allowed whose effect stays within the network namespace:
``tests/data/extension_rules.txt`` has a line for each, and a test loads it in a throw-away namespace and
watches the machine's /sys. Left out: IDLETIMER and LED (they write there), AUDIT (the machine's audit log),
SECMARK and CONNSECMARK (its security labels), cgroup (its control groups). A host name instead of an address
is refused: the tool would query a name server that the node cannot reach.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

from netlab.model.rules import BASE_CHAINS
from netlab.scenario.tree import hint, shown
from netlab.scenario.xt_grammar import wrong_words

VERDICTS = frozenset(("ACCEPT", "DROP", "QUEUE", "RETURN"))
_TARGETS = """
    CHECKSUM CLASSIFY CLUSTERIP CONNMARK CT DNAT DNPT DSCP ECN HL HMARK LOG MARK MASQUERADE
    NETMAP NFLOG NFQUEUE NOTRACK RATEEST REDIRECT REJECT SET SNAT SNPT SYNPROXY TCPMSS TCPOPTSTRIP
    TEE TOS TPROXY TRACE TTL
"""
TARGETS = frozenset(_TARGETS.split())
_MATCHES = """
    addrtype ah bpf cluster comment connbytes connlabel connlimit connmark conntrack cpu dccp
    devgroup dscp dst ecn esp eui64 frag hashlimit hbh helper hl icmp icmp6 icmpv6 ipcomp iprange
    ipv6-icmp ipv6header ipvs length limit mac mark mh multiport nfacct osf owner physdev pkttype
    policy quota rateest realm recent rpfilter rt sctp set socket srh standard state statistic
    string tcp tcpmss time tos ttl u32 udp udplite
"""
MATCHES = frozenset(_MATCHES.split())
#: What the kernel asks of some targets: a table, and a base chain of it if there is a second word. A test
#: tries each target in each base chain.
PLACES: dict[str, tuple[str, ...]] = {
    "CHECKSUM": ("mangle",),
    "CT": ("raw",),
    "DNAT": ("nat", "PREROUTING", "OUTPUT"),
    "DNPT": ("mangle", "PREROUTING", "OUTPUT"),
    "DSCP": ("mangle",),
    "ECN": ("mangle",),
    "HL": ("mangle",),
    "MASQUERADE": ("nat", "POSTROUTING"),
    "NETMAP": ("nat",),
    "NOTRACK": ("raw",),
    "REDIRECT": ("nat", "PREROUTING", "OUTPUT"),
    "REJECT": ("filter",),
    "SNAT": ("nat", "INPUT", "POSTROUTING"),
    "SNPT": ("mangle", "INPUT", "POSTROUTING"),
    "TCPOPTSTRIP": ("mangle",),
    "TOS": ("mangle",),
    "TPROXY": ("mangle", "PREROUTING"),
    "TTL": ("mangle",),
}
#: Options of iptables that say what to do with a rule, and where; a line of iptables-restore's has one.
_COMMANDS = frozenset("ACDEFILNPRSXZt")
_LONG_COMMANDS = frozenset(
    ("append", "check", "delete", "delete-chain", "flush", "insert", "list", "list-rules", "new-chain",
     "rename-chain", "replace", "table", "zero")
)  # fmt: skip
#: A chain that the engine makes, which a line may name as if it were an extension.
_CHAINS = frozenset(("DOCKER",))
#: Targets that affect the machine, or that would if it had them (xtables-addons, ULOG). To iptables the name
#: is the target's even where a chain has it, so no chain may.
REACHING = frozenset(("ACCOUNT", "AUDIT", "CONNSECMARK", "IDLETIMER", "LED", "SECMARK", "SYSRQ", "ULOG"))
#: the short options of iptables(8) without an argument; others take the rest of the word, or the next
_ALONE = frozenset("Vfbvnx46")
#: Long options whose value is resolved as a host name (XTTYPE_HOST, XTTYPE_HOSTMASK); a test reads them from
#: the extensions' libraries.
HOSTS = (
    "source",
    "src",
    "destination",
    "dst",
    "ctorigsrc",
    "ctorigdst",
    "ctreplsrc",
    "ctrepldst",
    "tunnel-src",
    "tunnel-dst",
    "gateway",
    "on-ip",
    "vaddr",
    "src-pfx",
    "dst-pfx",
    "srh-psid",
    "srh-nsid",
    "srh-lsid",
)
#: the same of options that take other values in other extensions: (extension, option)
ITS_HOSTS = (("NETMAP", "to"), ("recent", "mask"))
#: a mask, or an address of inet_aton(3)
_NUMBER = re.compile(r"0x[0-9A-Fa-f]+", re.ASCII)
#: "10" and "192.168", which iptables takes for 10.0.0.0 and 192.168.0.0
_SHORT = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){0,2}", re.ASCII)


class ExtensionError(ValueError):
    """A rule uses something that is not allowed; the text is for the user. ``at``: the index of the word."""

    def __init__(self, message: str, at: int = 0) -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True, slots=True)
class ToolOption:
    """An option among iptables' arguments: a short one by its letter, a long one as written.

    ``at`` is the index of the word that holds the value.
    """

    name: str
    value: str
    at: int


def options(arguments: Sequence[str]) -> Iterator[ToolOption]:
    """The options among iptables' arguments.

    A long option may take no value; it then has the next word nevertheless.
    """
    words = iter(range(len(arguments)))
    for at in words:
        word = arguments[at]
        following = _value(arguments, at + 1)
        if word.startswith("--"):
            name, sign, value = word[2:].partition("=")
            yield ToolOption(name, value, at) if sign else ToolOption(name, *following)
        elif word.startswith("-") and len(word) > 1:
            for number, letter in enumerate(word[1:], 2):
                if letter not in _ALONE:
                    yield (
                        ToolOption(letter, word[number:], at)
                        if word[number:]
                        else ToolOption(letter, *following)
                    )
                    if letter in "jgmsd" and not word[number:]:
                        next(words, None)
                    break


def _value(arguments: Sequence[str], at: int) -> tuple[str, int]:
    """The word at an index, or the one after a ``!``, and its index."""
    for index in range(at, min(at + 2, len(arguments))):
        if arguments[index] != "!":
            return arguments[index], index
    return "", min(at, len(arguments) - 1)


def new_chains(arguments: Sequence[str]) -> frozenset[str]:
    """The chains that a line makes."""
    return frozenset(one.value for one in options(arguments) if _makes_chain(one.name))


def _makes_chain(option: str) -> bool:
    return option == "N" or means(option, "new-chain", 1)


def means(option: str, whole: str, least: int) -> bool:
    """Whether a long option is this one, which getopt_long(3) lets one shorten."""
    return len(option) >= least and whole.startswith(option)


def _jumps(option: str) -> bool:
    return option in ("j", "g") or means(option, "jump", 1) or means(option, "goto", 1)


def jumps(arguments: Sequence[str]) -> Iterator[ToolOption]:
    """The targets and chains that a rule names; there is one at most in a valid rule."""
    return (one for one in options(arguments) if _jumps(one.name))


def is_extension(target: str) -> bool:
    """Whether a target is no chain: a verdict, or an extension that is allowed."""
    return target in VERDICTS or target in TARGETS


def check_iptables(
    arguments: Sequence[str],
    chains: Container[str],
    family: int,
    place: tuple[str, str] | None = None,
) -> None:
    """Raise ExtensionError for what is not allowed, or what iptables would refuse; ``chains`` are the user's.

    ``place``: the table and chain of a rule that cannot name them itself, as in a file of iptables-save's.
    ``family``: 4 for iptables, 6 for ip6tables.
    """
    _check_negation(arguments)
    table, chain = place or _place(arguments)
    given = list(options(arguments))
    used = {one.value for one in given if _jumps(one.name) or _matches(one.name)}
    for one in given:
        name, value = one.name, one.value
        if place is not None and (name in _COMMANDS or name in _LONG_COMMANDS):
            _refuse(one, "is for a command, and this is a rule")
        if name == "M" or means(name, "modprobe", 2):
            _refuse(one, "names a program to run")
        elif means(name, "object-pinned", 2):  # of xt_bpf
            _refuse(one, "reads a file")
        elif _jumps(name):
            _check_place(one, table, chain)
            _jump(one, chains)
        elif _makes_chain(name) and value in REACHING:
            raise ExtensionError(
                f"no chain can be called {shown(value)}: iptables has a target of that name", one.at
            )
        elif _matches(name):
            if value not in MATCHES:
                more = hint(value, MATCHES) or f"; matches are {', '.join(sorted(MATCHES))}"
                raise ExtensionError(f"the match {shown(value)} is not allowed here{more}", one.at)
        elif (
            name in ("s", "d")
            or _names_hosts(name)
            or any(means(name, option, 2) and extension in used for extension, option in ITS_HOSTS)
        ):
            _addresses(one)
    wrong = wrong_words(arguments, family)
    if wrong is not None:
        raise ExtensionError(wrong[1], wrong[0])


@lru_cache(maxsize=1024)
def _names_hosts(option: str) -> bool:
    return any(means(option, host, 2) for host in HOSTS)


def _check_negation(arguments: Sequence[str]) -> None:
    for at, (option, word, value) in enumerate(zip(arguments, arguments[1:], arguments[2:], strict=False)):
        if word == "!" and option.startswith("-") and not value.startswith("-"):
            raise ExtensionError(f'"!" belongs before the option: ! {option} {value}', at + 1)


def _place(arguments: Sequence[str]) -> tuple[str, str]:
    """The table and the chain of a command."""
    table, chain = "filter", ""
    for one in options(arguments):
        if one.name == "t" or means(one.name, "table", 1):
            table = one.value
        elif one.name in ("A", "I", "R", "append", "insert", "replace"):
            chain = one.value
    return table, chain


def _check_place(one: ToolOption, table: str, chain: str) -> None:
    """Raise ExtensionError for a target that the kernel does not take there."""
    target, bases = one.value, BASE_CHAINS.get(table, ())
    if target in bases:
        raise ExtensionError(f"{target} is a base chain of the table {table}: no rule can jump to it", one.at)
    only, *base = PLACES.get(target, (table,))
    if table != only and bases:
        raise ExtensionError(f"{target} works only in the table {only}, not in {table}", one.at)
    if base and chain in bases and chain not in base:
        raise ExtensionError(f"{target} works only in {' and '.join(base)}, not in {chain}", one.at)


def _matches(option: str) -> bool:
    return option == "m" or means(option, "match", 2)


def _refuse(one: ToolOption, why: str) -> NoReturn:
    written = f"-{one.name}" if len(one.name) == 1 else f"--{one.name}"
    raise ExtensionError(f"{shown(written)} is not allowed here: it {why}", one.at)


def _jump(one: ToolOption, chains: Container[str]) -> None:
    """A target or a chain; a word of capitals may be an extension's name unless it is a known chain's."""
    value = one.value
    if value in TARGETS or value in VERDICTS or value in _CHAINS:
        return
    if value not in REACHING and value in chains:
        return
    if not (value.isascii() and value.isalnum() and value == value.upper()):
        return
    more = hint(value, TARGETS | VERDICTS)
    raise ExtensionError(
        f"{shown(value)} is neither a target that is allowed here nor a chain from a line above{more}", one.at
    )


def _addresses(one: ToolOption) -> None:
    for part in one.value.split(","):
        address, _, mask = part.strip().partition("/")
        if _SHORT.fullmatch(address) or _NUMBER.fullmatch(address):
            continue
        try:
            ipaddress.ip_address(address)
            if mask and not mask.isdecimal():
                ipaddress.ip_address(mask)
        except ValueError:
            raise ExtensionError(
                f"{shown(part)} is not an address: names are not looked up: write the address or number",
                one.at,
            ) from None
