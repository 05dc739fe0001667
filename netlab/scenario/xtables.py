"""Which extensions of iptables a line may use, and where it may name an address.

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

from netlab.scenario.tree import hint, shown

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
#: the built-in chains of all tables, and the engine's chain DOCKER
_CHAINS = frozenset(("INPUT", "FORWARD", "OUTPUT", "PREROUTING", "POSTROUTING", "DOCKER"))
#: the short options of iptables(8) without an argument; others take the rest of the word, or the next
_ALONE = frozenset("Vfbvnx46")
#: long options whose value is resolved as a host name (XTTYPE_HOST, XTTYPE_HOSTMASK in xtables.h)
_HOSTS = (
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
)
_NEW_CHAIN = "new-chain"
#: "10" and "192.168", which iptables takes for 10.0.0.0 and 192.168.0.0
_SHORT = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){0,2}", re.ASCII)


class ExtensionError(ValueError):
    """A line uses something that is not allowed; the text is for the user."""


def options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(option, value) of iptables' arguments: short ones by their letter, long ones as written.

    A long option may take no value; the pair then has the next word nevertheless.
    """
    words = iter(range(len(arguments)))
    for at in words:
        word = arguments[at]
        following = _value(arguments, at + 1)
        if word.startswith("--"):
            name, sign, value = word[2:].partition("=")
            yield name, value if sign else following
        elif word.startswith("-") and len(word) > 1:
            for number, letter in enumerate(word[1:], 2):
                if letter not in _ALONE:
                    yield letter, word[number:] or following
                    if letter in "jgmsd" and not word[number:]:
                        next(words, None)
                    break


def _value(arguments: Sequence[str], at: int) -> str:
    """The word at an index, or the one after a ``!``."""
    rest = [word for word in arguments[at : at + 2] if word != "!"]
    return rest[0] if rest else ""


def new_chains(arguments: Sequence[str]) -> frozenset[str]:
    """The chains that a line makes."""
    return frozenset(
        value for option, value in options(arguments) if option == "N" or means(option, _NEW_CHAIN, 3)
    )


def means(option: str, whole: str, least: int) -> bool:
    """Whether a long option is this one, which getopt_long(3) lets one shorten."""
    return len(option) >= least and whole.startswith(option)


def check_iptables(arguments: Sequence[str], chains: Container[str]) -> None:
    """Raise ExtensionError for a target, match or address that is not allowed; ``chains`` are the user's."""
    for option, value in options(arguments):
        if option in ("j", "g") or means(option, "jump", 2) or means(option, "goto", 2):
            _jump(value, chains)
        elif option == "m" or means(option, "match", 3):
            if value not in MATCHES:
                more = hint(value, MATCHES) or f"; matches are {', '.join(sorted(MATCHES))}"
                raise ExtensionError(f"the match {shown(value)} is not allowed here{more}")
        elif option in ("s", "d") or any(means(option, host, 2) for host in _HOSTS):
            _addresses(value)


def _jump(value: str, chains: Container[str]) -> None:
    """A target or a chain; a word of capitals may be an extension's name unless it is a known chain's."""
    if value in TARGETS or value in VERDICTS or value in _CHAINS or value in chains:
        return
    if not (value.isascii() and value.isalnum() and value == value.upper()):
        return
    more = hint(value, TARGETS | VERDICTS)
    raise ExtensionError(
        f"{shown(value)} is neither a target that is allowed here nor a chain from a line above{more}"
    )


def _addresses(text: str) -> None:
    for part in text.split(","):
        address, _, mask = part.strip().partition("/")
        if _SHORT.fullmatch(address):
            continue
        try:
            ipaddress.ip_address(address)
            if mask and not mask.isdecimal():
                ipaddress.ip_address(mask)
        except ValueError:
            raise ExtensionError(
                f"{shown(part)} is not an address: names are not looked up: write the address or number"
            ) from None
