"""Words of a ruleset's text, the values in them, and what is wrong with one, by file, line and column."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from netlab.model.family import Family
from netlab.model.near import nearest
from netlab.model.problem import Position, Problem, ScenarioError
from netlab.model.services import SERVICES
from netlab.predict.rules import In, Masked

#: /etc/protocols, as far as rules name them
PROTOCOLS = {
    "icmp": 1, "igmp": 2, "ipencap": 4, "ipip": 4, "tcp": 6, "egp": 8, "udp": 17, "dccp": 33, "ipv6": 41,
    "gre": 47, "esp": 50, "ipsec-esp": 50, "ah": 51, "ipsec-ah": 51, "ipv6-icmp": 58, "icmpv6": 58,
    "icmp6": 58,
    "ospf": 89, "ospfigp": 89, "pim": 103, "ipcomp": 108, "comp": 108, "vrrp": 112, "l2tp": 115, "sctp": 132,
    "mh": 135, "mobility-header": 135, "udplite": 136, "mpls-in-ip": 137, "hopopt": 0, "ip": 0,
}  # fmt: skip
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a line; ``column`` counts from 1."""

    text: str
    column: int
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Where:
    """A line of a ruleset: what error messages point at."""

    file: str
    line: int
    family: Family = Family.IPV4

    def wrong(self, message: str, column: int = 1) -> NoReturn:
        """Raise ScenarioError at a column of this line."""
        raise ScenarioError([Problem(Position(self.file, self.line, column), message)])

    def number(self, text: str, what: str, column: int, most: int = (1 << 32) - 1) -> int:
        """A decimal or hexadecimal number; raises ScenarioError."""
        try:
            found = int(text, 0) if not text.isdecimal() else int(text)
        except ValueError:
            self.wrong(f"{text!r} is not {what}", column)
        if not 0 <= found <= most:
            self.wrong(f"{text} is not {what}: it must be between 0 and {most}", column)
        return found

    def port(self, text: str, column: int) -> int:
        """A port by its number or its service's name; raises ScenarioError."""
        known = SERVICES.get(text)
        return known if known is not None else self.number(text, "a port", column, 65535)

    def choice(self, text: str, choices: Mapping[str, int] | Iterable[str], what: str, column: int) -> str:
        """The word itself, if it is one of these; raises ScenarioError with the nearest one."""
        names = list(choices)
        if text not in names:
            near = nearest(text, names)
            hint = f" (did you mean {near}?)" if near else f"; expected one of {', '.join(sorted(names))}"
            self.wrong(f"{text!r} is not {what}{hint}", column)
        return text

    def protocol(self, text: str, column: int) -> int:
        """A protocol's number; raises ScenarioError."""
        known = PROTOCOLS.get(text.lower())
        return known if known is not None else self.number(text, "a protocol", column, 255)

    def address(self, text: str, column: int) -> int:
        """One address of this family as a number; raises ScenarioError."""
        try:
            found = ipaddress.ip_address(text)
        except ValueError:
            self.wrong(f"{text!r} is not an address", column)
        if found.version != self.family.value:
            self.wrong(f"{text} is not an {self.family.word} address", column)
        return int(found)

    def network(self, field: str, text: str, column: int, *, negated: bool = False) -> In | Masked:
        """The condition that an address is in a network (``10.0.0.0/8``, ``10.0.0.1/255.0.0.255``)."""
        address, slash, mask = text.partition("/")
        start, bits = self.address(address, column), self.family.bits
        if not slash or mask.isdecimal():
            length = int(mask) if slash else bits
            if length > bits:
                self.wrong(f"/{length} is longer than an {self.family.word} address", column)
            size = 1 << (bits - length)
            return In(field, ((start // size * size, start // size * size + size - 1),), negated)
        number = self.address(mask, column)
        return Masked(field, number, start & number, negated)


def words_of(line: str, first: int = 1) -> list[Word]:
    """The words of a line, as iptables-save quotes them; ``first`` is the column of its first character."""
    found = []
    for match in _WORD.finditer(line):
        quoted, plain = match.groups()
        text = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
        found.append(Word(text, match.start() + first, quoted is not None))
    return found
