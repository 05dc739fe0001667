"""iptables arguments as people type them, in the words of ``iptables-save``."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

from netlab.model.errors import UsageError
from netlab.model.family import Family

_LONG = {
    "--source": "-s",
    "--src": "-s",
    "--destination": "-d",
    "--dst": "-d",
    "--in-interface": "-i",
    "--out-interface": "-o",
    "--protocol": "-p",
    "--proto": "-p",
    "--match": "-m",
    "--jump": "-j",
    "--goto": "-g",
    "--destination-port": "--dport",
    "--source-port": "--sport",
    "--destination-ports": "--dports",
    "--source-ports": "--sports",
}
#: Options that belong to the protocol's own match, which ``-p`` loads.
_OF_PROTOCOL = ("--dport", "--sport", "--syn", "--tcp-flags", "--tcp-option", "--icmp-type", "--icmpv6-type")
#: The match of a protocol, if it has a different name.
_MATCHES = {"ipv6-icmp": "icmp6", "icmpv6": "icmp6"}
#: The order in which libxt_conntrack prints states.
_STATES = ("INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT")
_HEAD = ("-s", "-d", "-i", "-o", "-p")
#: The default answer of REJECT.
REJECT_PORT = {Family.IPV4: "icmp-port-unreachable", Family.IPV6: "icmp6-port-unreachable"}


def canonical(family: Family, words: Sequence[str]) -> str:
    """The rule as ``iptables-save`` prints it after ``-A CHAIN``.

    Addresses with their prefix length, the protocol's match named, states in the kernel's order, the head of
    the rule before its matches and the target last. Raises UsageError for arguments that are incomplete or do
    not belong to a rule.
    """
    head: dict[str, str] = {}
    matches: list[str] = []
    target: list[str] = []
    loaded: set[str] = set()
    negated, matching = "", True
    rest = iter(words)
    for word in rest:
        option = _LONG.get(word, word)
        if option == "!":
            negated = "! "
            continue
        if option in _HEAD:
            head[option] = f"{negated}{option} {_value(family, option, _next(rest, word))}"
        elif option in ("-j", "-g"):
            target, matching = [f"{option} {_next(rest, word)}"], False
        elif option == "-m":
            matching = True
            loaded.add(name := _next(rest, word))
            matches.append(f"-m {name}")
        elif target and option not in _OF_PROTOCOL and not matching:
            target.append(negated + _word(option))
        else:
            _load_protocol(option, head, matches, loaded)
            matches.append(negated + _argument(option, rest))
        negated = ""
    if not target:
        raise UsageError(f"firewall: {' '.join(words)!r} has no -j")
    if target == ["-j REJECT"]:
        target.append(f"--reject-with {REJECT_PORT[family]}")
    return " ".join([*(head[o] for o in _HEAD if o in head), *matches, *target])


def _next(rest: Iterable[str], option: str) -> str:
    for word in rest:
        return word
    raise UsageError(f"firewall: {option} needs a value")


def _value(family: Family, option: str, value: str) -> str:
    if option == "-p":
        return "ipv6-icmp" if value == "icmpv6" else value.lower()
    if option in ("-s", "-d"):
        return network(family, value)
    return value


def network(family: Family, value: str) -> str:
    """An address with its prefix length; raises UsageError for one of another family or none at all."""
    try:
        found = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise UsageError(f"firewall: {value!r} is not an address") from None
    if found.version != family.value:
        raise UsageError(f"firewall: {value} is not an {family.word} address")
    return str(found)


def _word(text: str) -> str:
    return quoted(text) if re.search(r"[\s\"]", text) else text


def quoted(text: str) -> str:
    """A word as ``iptables-save`` prints it: in quotes if it contains anything except letters and digits."""
    if re.fullmatch(r"[A-Za-z0-9_.:/-]+", text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _load_protocol(option: str, head: dict[str, str], matches: list[str], loaded: set[str]) -> None:
    protocol = head.get("-p", "").rpartition(" ")[2]
    name = _MATCHES.get(protocol, protocol)
    if option in _OF_PROTOCOL and name and name not in loaded and "multiport" not in loaded:
        loaded.add(name)
        matches.append(f"-m {name}")


def _argument(option: str, rest: Iterable[str]) -> str:
    """An option of a match; its values are the words up to the next option."""
    if option == "--syn":
        return "--tcp-flags FIN,SYN,RST,ACK SYN"
    if not option.startswith("-"):
        return option
    value = _next(rest, option)
    if option == "--tcp-flags":
        return f"{option} {value} {_next(rest, option)}"
    if option in ("--ctstate", "--state"):
        states = value.split(",")
        value = ",".join(sorted(states, key=lambda s: _STATES.index(s) if s in _STATES else len(_STATES)))
    return f"{option} {_word(value)}"
