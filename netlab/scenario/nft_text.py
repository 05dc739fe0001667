"""What nft's own language may say in a scenario, in a line of ``rules`` or in a whole file.

Split into words as nft's scanner does it (nftables, src/scanner.l): a comment ends with its line, a backslash
at the end of a line continues it, and what stands in double quotes is one word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netlab.scenario.tree import hint, shown

#: keywords that are refused wherever they stand: nft allows none of them as the name of something
REFUSED = {
    "include": "reads another file",
    "monitor": "never ends",
    "secmark": "sets the machine's security labels",
    "cgroupv2": "looks into the machine's control groups",
}
#: log levels (nftables, src/statement.c); what is missing here is ``audit``, the machine's audit log
LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug")
_TOKEN = re.compile(r'\\\r?\n|#[^\n]*|"([^"]*)"|\n|[^\s"#\\{}(),;=<>!&|^]+|[^\s]')
#: a host name: where an address is possible, nft also allows numbers, sets, variables and expressions
_NAME = re.compile(r"(?=.*\.)(?=.*[G-Zg-z_-])[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|localhost", re.ASCII)
_ADDRESS_TYPES = {"ipv4_addr", "ipv6_addr"}
#: what may stand between ``saddr`` or ``to`` and an address
_BETWEEN = {"ip", "ip6", "!", "=", "==", "eq", "ne", "!="}


@dataclass(frozen=True, slots=True)
class Token:
    """A word, one other character, or the end of a line; ``at`` is its offset in the text."""

    text: str
    at: int
    quoted: bool = False


def tokens(text: str) -> list[Token]:
    """The words of a text."""
    found = []
    for match in _TOKEN.finditer(text):
        if match[1] is not None:
            found.append(Token(match[1], match.start(), quoted=True))
        elif not match[0].startswith(("#", "\\\n", "\\\r")):
            found.append(Token(match[0], match.start()))
    return found


def wrong_nft(text: str) -> Iterator[tuple[int, str]]:
    """(offset, what is wrong there) of everything that is not allowed."""
    words = tokens(text)
    for number, word in enumerate(words):
        following = words[number + 1] if number + 1 < len(words) else None
        if word.text in REFUSED and not word.quoted:
            yield word.at, f"{shown(word.text)} is not allowed here: it {REFUSED[word.text]}"
        elif word.text == "level" and not word.quoted and following is not None:
            if following.text == "audit":
                yield following.at, '"level audit" is not allowed here: it writes to the machine\'s audit log'
            elif _follows(words, number, "log") and following.text not in LEVELS:
                more = hint(following.text, LEVELS) or f": it is one of {', '.join(LEVELS)}"
                yield following.at, f"{shown(following.text)} is no log level{more}"
        elif word.text == "xt" and not word.quoted and _is(following, "target", "match"):
            yield (
                word.at,
                "nft cannot load rules of iptables' extensions: save them with iptables-save, and name "
                "that file under iptables",
            )
    yield from ((at, _not_an_address(name)) for name, at in _names(words))


def _is(word: Token | None, *texts: str) -> bool:
    return word is not None and word.text in texts


def _follows(words: Sequence[Token], number: int, statement: str) -> bool:
    """Whether a word of the same line before ``number`` is ``statement``."""
    for at in range(number - 1, -1, -1):
        word = words[at]
        if word.text in ("\n", ";") and not word.quoted:
            return False
        if word.text == statement and not word.quoted:
            return True
    return False


def _not_an_address(name: str) -> str:
    return f"{shown(name)} is not an address: names are not looked up: write the address or number"


def _names(words: Sequence[Token]) -> Iterator[tuple[str, int]]:
    """Host names in the place of addresses: after saddr, daddr and "to", and among a set's elements."""
    types: set[str] = set()
    for number, word in enumerate(words):
        if word.quoted:
            continue
        if word.text in ("saddr", "daddr", "to"):
            at = number + 1
            while at < len(words) and words[at].text in _BETWEEN and not words[at].quoted:
                at += 1
            yield from _listed(words, at)
        elif word.text == "type":
            types = {one.text for one in _line(words, number + 1)}
        elif word.text == "elements" and types & _ADDRESS_TYPES and "ifname" not in types:
            yield from _listed(words, number + 2)


def _line(words: Sequence[Token], start: int) -> Iterator[Token]:
    for at in range(start, len(words)):
        word = words[at]
        if word.text in ("\n", ";", "}") and not word.quoted:
            return
        yield word


def _listed(words: Sequence[Token], start: int) -> Iterator[tuple[str, int]]:
    """The host names in a value, or in a list in braces, but not those in ``eth0.1 . 10.0.0.1``."""
    depth = 0
    for number in range(start, len(words)):
        word = words[number]
        if word.text in ("{", "}") and not word.quoted:
            depth += 1 if word.text == "{" else -1
        elif not any(near.text in (".", "comment") for near in _beside(words, number)):
            name = word.text if word.text.count(":") != 1 else word.text.partition(":")[0]
            if _NAME.fullmatch(name):
                yield name, word.at
        if depth <= 0:
            return


def _beside(words: Sequence[Token], number: int) -> Iterator[Token]:
    """The words before and after, unless they are quoted."""
    yield from (
        word for word in (*words[number - 1 : number], *words[number + 1 : number + 2]) if not word.quoted
    )
