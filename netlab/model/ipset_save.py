"""What ``ipset save`` prints, as sets that rules match with ``-m set``.

Of the kinds of sets, those of addresses and of subnets are taken: ``hash:ip`` matches as a ``hash:net`` of
single addresses does. Counters, comments and timeouts of members do not change what matches, until one ends.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from netlab.model.family import Family
from netlab.model.rules import IpSet

#: the key of a file of them, beside iptables and ip6tables
IPSETS = "ipsets"
_KINDS = ("hash:ip", "hash:net")
_FAMILIES = {"inet": Family.IPV4, "inet6": Family.IPV6}


def saved_sets(text: str) -> tuple[tuple[IpSet, ...], dict[str, str]]:
    r"""The sets, and why others cannot be taken, by name; raises ValueError for a line that is none of its.

    >>> saved_sets("create bad hash:ip family inet\nadd bad 192.0.2.1\n")[0][0].members
    ('192.0.2.1/32',)
    """
    families: dict[str, Family] = {}
    members: dict[str, dict[str, None]] = {}
    refused: dict[str, str] = {}
    for number, words in _lines(text):
        match words:
            case ["create", name, kind, *options]:
                family = options[options.index("family") + 1] if "family" in options[:-1] else "inet"
                if kind not in _KINDS or "netmask" in options or family not in _FAMILIES:
                    refused[name] = f"netlab makes no ipset of the kind {kind}"
                families[name] = _FAMILIES.get(family, Family.IPV4)
                members[name] = {}
            case ["add", name, member, *options] if name in families:
                if "nomatch" in options:
                    refused[name] = "netlab makes no ipset with nomatch"
                elif name not in refused:
                    members[name][_network(member, families[name], number)] = None
            case _:
                raise ValueError(f"line {number}: {' '.join(words)[:60]} is not a line of ipset save")
    taken = (IpSet(n, family, tuple(members[n])) for n, family in families.items() if n not in refused)
    return tuple(taken), refused


def ipset_text(sets: Iterable[IpSet]) -> str:
    """The sets as ``ipset save`` prints them, without the sizes of their tables."""
    lines = []
    for one in sets:
        family = next(word for word, family in _FAMILIES.items() if family is one.family)
        lines.append(f"create {one.name} hash:net family {family}")
        lines += [f"add {one.name} {member}" for member in one.members]
    return "".join(f"{line}\n" for line in lines)


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if words:
            yield number, words


def _network(member: str, family: Family, number: int) -> str:
    try:
        found = ipaddress.ip_network(member, strict=False)
    except ValueError:
        raise ValueError(f"line {number}: {member[:60]} is no address") from None
    if found.version != int(family):
        raise ValueError(f"line {number}: {member[:60]} is no IPv{int(family)} address")
    return str(found)
