"""Words of nftables' text: what nft lists, and what people write in its files and commands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from netlab.model.family import Family
from netlab.predict.syntax import Where, Word

_TOKEN = re.compile(r'"([^"\n]*)"|(#[^\n]*)|(\\\n)|(\n)|([{},;()|&^]|[!=<>]+)|([^\s{},;()"|&=!<>^]+)')
#: priorities by name, per family's hooks (std_prio_lookup, src/rule.c of nftables); bridge has its own
_PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
_BRIDGE_PRIORITIES = {"dstnat": -300, "filter": -200, "out": 100, "srcnat": 300}


@dataclass(frozen=True, slots=True)
class Token(Word):
    """A word with its line; a line's end is a token of its own."""

    line: int = 1


def tokens_of(text: str, line: int = 1) -> list[Token]:
    """The words of a text; comments are left out, lines that end in a backslash are joined."""
    found: list[Token] = []
    start = 0
    for match in _TOKEN.finditer(text):
        quoted, comment, joined, end, sign, plain = match.groups()
        column = match.start() - start + 1
        if joined or end:
            start = match.end()
        if end:
            found.append(Token("\n", column, False, line))
        elif quoted is not None:
            found.append(Token(quoted, column, True, line))
        elif not comment and not joined:
            found.append(Token(sign or plain, column, False, line))
        line += bool(joined or end)
    return found


class Tokens:
    """Words one after the other, with the place of each for an error."""

    def __init__(self, tokens: Sequence[Token], where: Where) -> None:
        self._tokens = tokens
        self.where = where
        self.at = 0

    def __bool__(self) -> bool:
        return self.at < len(self._tokens)

    @property
    def next(self) -> str:
        """The next word, empty at the end."""
        return self._tokens[self.at].text if self else ""

    @property
    def ahead(self) -> str:
        """The word after the next one, empty at the end."""
        return self._tokens[self.at + 1].text if self.at + 1 < len(self._tokens) else ""

    @property
    def column(self) -> int:
        """The column of the next word."""
        return self._tokens[min(self.at, len(self._tokens) - 1)].column if self._tokens else 1

    @property
    def line(self) -> int:
        """The line of the next word."""
        if not self._tokens:
            return self.where.line
        return self._tokens[min(self.at, len(self._tokens) - 1)].line

    @property
    def quoted(self) -> bool:
        """Whether the next word is in quotes."""
        return bool(self) and self._tokens[self.at].quoted

    def take(self, expected: str = "") -> str:
        """The next word; raises ScenarioError if there is none, or it is not the expected one."""
        if not self:
            self.wrong(f"the line ends too early: expected {expected or 'more'}")
        found = self.next
        if expected and (found != expected or self.quoted):
            self.wrong(f"expected {expected!r}, found {found!r}")
        self.at += 1
        return found

    def taken(self, *words: str) -> bool:
        """Take the next words if they are these; whether they are."""
        texts = [token.text for token in self._tokens[self.at : self.at + len(words)]]
        if texts != list(words) or self.quoted:
            return False
        self.at += len(words)
        return True

    def skip_lines(self) -> None:
        """Go past line ends and semicolons."""
        while self and not self.quoted and self.next in ("\n", ";"):
            self.at += 1

    def block(self) -> list[Token]:
        """The words between the next ``{`` and its ``}``."""
        self.take("{")
        start, depth = self.at, 1
        while self:
            word = "" if self.quoted else self.next
            depth += (word == "{") - (word == "}")
            self.at += 1
            if not depth:
                return list(self._tokens[start : self.at - 1])
        self.wrong("the listing is cut short: a { has no }")

    def statement(self) -> list[Token]:
        """The words up to the line's end or a semicolon, blocks included."""
        start, depth = self.at, 0
        while self:
            word = "" if self.quoted else self.next
            depth += (word == "{") - (word == "}")
            if depth < 0 or (depth == 0 and word in ("\n", ";")):
                break
            self.at += 1
        return [token for token in self._tokens[start : self.at] if token.text != "\n" or token.quoted]

    def wrong(self, message: str) -> NoReturn:
        """Raise ScenarioError at the next word."""
        Where(self.where.file, self.line).wrong(message, self.column)


def priority_of(words: Iterable[str], family: str, tokens: Tokens) -> int:
    """``filter``, ``mangle + 10``, ``-90`` as a number; raises ScenarioError."""
    names = _BRIDGE_PRIORITIES if family == "bridge" else _PRIORITIES
    total, sign = 0, 1
    for word in words:
        if word in ("+", "-"):
            sign = 1 if word == "+" else -1
        elif word in names:
            total += names[word]
        elif re.fullmatch(r"[+-]?\d+", word):
            total += sign * int(word)
        else:
            tokens.wrong(f"{word!r} is not a priority: expected a number or one of {', '.join(names)}")
    return total


def family_of(word: str) -> Family:
    """The family whose addresses ``ip`` and ``ip6`` name."""
    return Family.IPV6 if word in ("ip6", "ipv6", "icmpv6") else Family.IPV4
