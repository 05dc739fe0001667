"""Commands of the administrator: split into arguments, and checked against a list of harmless ones.

A scenario may come from a stranger, so a line may call only iptables, ip6tables, nft, ip or sysctl, without a
shell, and no argument may read a file, run a program or reach another namespace. This is the first line of
defence; the lab also runs the line in a sandbox.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Container, Sequence

from netlab.scenario.nft_text import wrong_nft
from netlab.scenario.sysctls import dotted, wrong_sysctl
from netlab.scenario.tree import hint, shown
from netlab.scenario.xtables import ExtensionError, check_iptables, new_chains

PROGRAMS = ("iptables", "ip6tables", "nft", "ip", "sysctl")
#: the beginning of ``{bridge:NETWORK}``, which is replaced by the name of the network's bridge
BRIDGE = "{bridge:"
_SHELL = frozenset(";|&<>()`\n\r")
#: ip(8) takes the first of these that the word begins (iproute2, ip/ip.c)
_IP_OBJECTS = (
    "address",
    "addrlabel",
    "maddress",
    "route",
    "rule",
    "neighbor",
    "neighbour",
    "ntable",
    "ntbl",
    "link",
    "l2tp",
    "fou",
    "ila",
    "macsec",
    "tunnel",
    "tunl",
    "tuntap",
    "tap",
    "token",
    "tcpmetrics",
    "tcp_metrics",
    "monitor",
    "xfrm",
    "mroute",
    "mrule",
    "netns",
    "netconf",
    "vrf",
    "sr",
    "nexthop",
    "mptcp",
    "ioam",
    "help",
    "stats",
)
_IP_REFUSED = {
    "netns": "reaches other namespaces",
    "vrf": "can run programs",
    "monitor": "never ends",
    "help": "does nothing",
}
_IP_WORDS = {
    "netns": "reaches other namespaces",
    "netn": "reaches other namespaces",
    "bpf": "loads a program from a file",
    "xdp": "loads a program from a file",
    "xdpgeneric": "loads a program from a file",
    "xdpdrv": "loads a program from a file",
    "xdpoffload": "loads a program from a file",
}
_NET_KEY = re.compile(r"net[./][A-Za-z0-9_./@:-]+", re.ASCII)


class RuleError(ValueError):
    """A line that will not be run; the text says why, for the user."""


def parse_rule(line: str, chains: Container[str] = ()) -> tuple[str, ...]:
    """The argument vector of ``line``, which may jump to ``chains`` of the user's own; raises RuleError."""
    wrong = _shell_character(line)
    if wrong:
        raise RuleError(f"commands run without a shell, so {shown(wrong)} has no meaning unless it is quoted")
    try:
        argv = tuple(shlex.split(line))
    except ValueError as error:
        raise RuleError(f"{shown(line)}: {str(error).lower()}") from None
    if not argv:
        raise RuleError("the line is empty")
    program = argv[0]
    if program not in PROGRAMS:
        more = hint(program, PROGRAMS) or f": only {', '.join(PROGRAMS)} can be called"
        raise RuleError(f"{shown(program)} cannot be called{more}")
    if program in ("iptables", "ip6tables"):
        _iptables(argv, chains)
    else:
        {"nft": _nft, "ip": _ip, "sysctl": _sysctl}[program](argv[1:])
    return argv


def made_chains(argv: Sequence[str]) -> frozenset[str]:
    """The chains that a line makes, to which later lines may jump."""
    return new_chains(argv[1:]) if argv[0] in ("iptables", "ip6tables") else frozenset()


def _shell_character(line: str) -> str | None:
    """The first character outside quotes that is special to a shell (``$`` and backticks also within "")."""
    quote = ""
    escaped = False
    for character in line:
        if escaped:
            escaped = False
        elif character == "\\" and quote != "'":
            escaped = True
        elif quote:
            if character == quote:
                quote = ""
            elif quote == '"' and character in "$`":
                return character
        elif character in "'\"":
            quote = character
        elif character in _SHELL or character == "$":
            return character
    return None


def _refuse(word: str, why: str) -> None:
    raise RuleError(f"{shown(word)} is not allowed here: it {why}")


def _iptables(argv: Sequence[str], chains: Container[str]) -> None:
    try:
        check_iptables(argv[1:], chains, 6 if argv[0] == "ip6tables" else 4)
    except ExtensionError as error:
        raise RuleError(str(error)) from None


def _nft(arguments: Sequence[str]) -> None:
    for word in arguments:
        if re.match(r"--(f|inc|int)", word) or re.match(r"-[A-Za-z]*[fiI]", word):
            _refuse(word, "reads commands or files from elsewhere")
        if re.match(r"--j", word) or re.match(r"-[A-Za-z]*j", word):
            _refuse(word, "takes rules as JSON; write them in nft's own language")
    for _, wrong in wrong_nft(" ".join(arguments)):
        raise RuleError(wrong)


def _ip(arguments: Sequence[str]) -> None:
    options = 0
    for word in arguments:
        if not word.startswith("-"):
            break
        options += 1
        option = word.lstrip("-")
        if option and "batch".startswith(option):
            _refuse(word, "reads commands from a file")
        if option and ("netns".startswith(option) or "all".startswith(option)):
            _refuse(word, "reaches other namespaces")
        if option and "family".startswith(option):
            _refuse(word, "takes a separate argument; write -4 or -6")
        if option and ("loops".startswith(option) or (option != "r" and "rcvbuf".startswith(option))):
            _refuse(word, "takes a separate argument, and has no use")
    words = arguments[options:]
    for name in _IP_OBJECTS:
        if words and name.startswith(words[0]):
            if name in _IP_REFUSED:
                _refuse(f"ip {words[0]}", _IP_REFUSED[name])
            break
    if words[1:] and words[1] and "monitor".startswith(words[1]):  # ip xfrm monitor
        _refuse(f"ip {words[0]} {words[1]}", "never ends")
    for word in words[1:]:
        if word in _IP_WORDS:
            _refuse(word, _IP_WORDS[word])


def _sysctl(arguments: Sequence[str]) -> None:
    for word in arguments:
        if word.startswith("-"):
            if word not in ("-w", "--write", "-q", "--quiet", "-e", "--ignore", "-n", "--values"):
                _refuse(word, "reads files or more than one key")
            continue
        key, sign, value = word.partition("=")
        key = key.strip()
        if not _NET_KEY.fullmatch(key) or ".." in key or "//" in key:
            raise RuleError(f"{shown(key)} is not a sysctl below net., and no other belongs to one namespace")
        wrong = wrong_sysctl(dotted(key), value if sign else None)
        if wrong:
            raise RuleError(wrong)
