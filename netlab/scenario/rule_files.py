"""Files of firewall rules: each rule in them is held to what a line of ``rules`` may do.

A file of iptables-save's is read as iptables-restore reads it (iptables, iptables/xshared.c), not as a shell
would: only double quotes group words, and only within them a backslash escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from netlab.model.ipset_save import saved_sets
from netlab.model.iptables_save import SavedLine, saved_lines
from netlab.model.rules import BASE_CHAINS
from netlab.scenario.nft_text import wrong_nft
from netlab.scenario.tree import Mark, Report, hint, shown
from netlab.scenario.xtables import REACHING, ExtensionError, check_iptables, is_extension, jumps

#: iptables-restore reads a longer line as two
_LONGEST = 10239
#: the tool would end the text or a word there, or netlab a line
_CONTROL = re.compile(r"[\0-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")
_CHAIN = re.compile(r"^\s*:(\S+)", re.MULTILINE)
#: a word that a quote ends, one without quotes, or a quote that has no end
_WORD = re.compile(r'([^\s"]*)"([^"\\]*(?:\\.[^"\\]*)*)"|[^\s"]+|"', re.DOTALL)
#: an IPv4 network, as iptables-save prints it
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_NETWORK = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}(/(?:3[0-2]|[12]?[0-9]))\Z")
_COMMENT = ["-m", "comment", "--comment"]
#: how many problems of one file come with a suggestion
_HINTS = 20
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def chains_of(text: str) -> frozenset[str]:
    """The chains that a file of iptables-save's creates."""
    return frozenset(_CHAIN.findall(text))


def check_iptables_file(name: str, text: str, report: Report, others: str = "", family: int = 4) -> None:
    """Report everything in a file of iptables-save's that is not allowed, or that is no line of one.

    ``others``: the beginning of the names of chains that exist without the file (ufw's). ``family``: 4 for a
    file of iptables, 6 for one of ip6tables.
    """
    if _unprintable(name, text, report):
        return
    reader = _Reader(name, report, others, family)
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if len(line.encode("utf-8", "surrogateescape")) > _LONGEST:
            what = f"the line is too long for iptables-restore: {_LONGEST} bytes at most"
            report.add((name, number, 1), what)
    for saved in saved_lines(text):
        reader.read(saved, lines[saved.number - 1].index(saved.line))


def check_nft_file(name: str, text: str, report: Report) -> None:
    """Report everything in a file of nft's that is not allowed."""
    if not _unprintable(name, text, report):
        for offset, wrong in wrong_nft(text):
            report.add(_mark(name, text, offset), wrong)


def check_ipset_file(name: str, text: str, report: Report) -> None:
    """Report the first thing in a file of ``ipset save``'s that netlab cannot make."""
    try:
        _, refused = saved_sets(text)
    except ValueError as error:
        report.add((name, 1, 1), str(error))
        return
    for one, why in refused.items():
        report.add((name, 1, 1), f"{shown(one)}: {why}")


def _unprintable(name: str, text: str, report: Report) -> bool:
    """Whether a character would be taken for another thing by the tool than by netlab, which is reported."""
    found = _CONTROL.search(text)
    if found is not None:
        what = f"the character {shown(found[0])} is not allowed in a file of rules"
        report.add(_mark(name, text, found.start()), what)
    return found is not None


def _mark(name: str, text: str, offset: int) -> Mark:
    return name, text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


class _Reader:
    """Goes through the lines, and knows the tables and chains so far."""

    def __init__(self, name: str, report: Report, others: str, family: int) -> None:
        self.name = name
        self.report = report
        self.others = others
        self.family = family
        self.table = ""
        #: whether the file has named a table, even one that does not exist
        self.begun = False
        self.chains: dict[str, set[str]] = {}
        #: what is wrong with each spelling of a rule; by table, chain, number of chains, and words
        self.looked_at: dict[tuple[str, ...], ExtensionError | None] = {}

    def read(self, saved: SavedLine, start: int) -> None:
        """Check one line, which begins at the offset ``start``."""
        at = (self.name, saved.number, start + 1)
        if saved.kind == "table":
            self._begin(saved.table, at)
        elif not self.begun:
            self.report.add(at, f"{shown(saved.line)} comes before any *table line")
        elif saved.kind == "chain":
            self._chain(saved, at)
        elif saved.kind == "rule":
            self._rule(saved, start)
        else:
            self.report.add(at, f"{shown(saved.line)} is not a line of an iptables-save file")

    def _begin(self, table: str, at: Mark) -> None:
        self.begun, self.table = True, table
        if table not in BASE_CHAINS:
            more = hint(table, BASE_CHAINS) or f": the tables are {', '.join(BASE_CHAINS)}"
            self.report.add(at, f"there is no table {shown(table)}{more}")
        self.chains.setdefault(table, set(BASE_CHAINS.get(table, ())))

    def _chain(self, saved: SavedLine, at: Mark) -> None:
        chain, policy = saved.chain, saved.text
        if chain in REACHING:
            self.report.add(at, f"no chain can be called {shown(chain)}: iptables has a target of that name")
        base = chain in BASE_CHAINS.get(self.table, ())
        if self.table in BASE_CHAINS and policy not in (("ACCEPT", "DROP", "-") if base else ("-",)):
            which = "ACCEPT or DROP" if base else '"-", since only built-in chains have one'
            self.report.add(at, f"{shown(policy)} is no policy of the chain {shown(chain)}: it is {which}")
        self.chains[self.table].add(chain)

    def _rule(self, saved: SavedLine, start: int) -> None:
        try:
            words = list(words_of(saved.line))
        except OpenQuoteError as error:
            at = (self.name, saved.number, start + error.at + 1)
            self.report.add(at, "the quote that begins here has no end")
            return

        def say(index: int, what: str) -> None:
            offset = words[index][1] if index < len(words) else 0
            self.report.add((self.name, saved.number, start + offset + 1), what)

        chain = words[1][0] if len(words) > 1 else ""
        here = self.chains[self.table]
        theirs = bool(self.others) and chain.startswith(self.others)
        if chain not in here and not theirs and self.table in BASE_CHAINS:
            say(1, f"there is no chain {shown(chain)} in the table {self.table}{self._hint(chain, here)}")
        arguments = [word for word, _ in words[2:]]
        if saved.inserted and arguments and arguments[0].isdigit():
            say(2, "a number after -I is not taken: put the lines in their order, each with -A")
            return
        wrong = self._wrong(chain, arguments)
        if wrong is not None:
            say(2 + wrong.at, str(wrong))
            return
        for jump in jumps(arguments):
            theirs = bool(self.others) and jump.value.startswith(self.others)
            if jump.value not in here and not theirs and not is_extension(jump.value):
                what = f"there is no chain {shown(jump.value)} in the table {self.table}"
                say(2 + jump.at, what + self._hint(jump.value, here))

    def _wrong(self, chain: str, arguments: list[str]) -> ExtensionError | None:
        """What is wrong with a rule's words; each spelling is looked at once."""
        here, spelt = self.chains[self.table], _spelling(arguments)
        key: tuple[str, ...] = (self.table, chain, str(len(here)), *spelt)
        if key in self.looked_at:
            return self.looked_at[key]
        try:
            check_iptables(arguments, here, self.family, (self.table, chain))
        except ExtensionError as error:
            if spelt[error.at : error.at + 1] == tuple(arguments[error.at : error.at + 1]):
                self.looked_at[key] = error.with_traceback(None)
            return error
        self.looked_at[key] = None
        return None

    def _hint(self, chain: str, known: set[str]) -> str:
        """A suggestion, only for the first problems: it looks at each of the chains."""
        return hint(chain, known) if len(self.report.problems) < _HINTS else ""


def _spelling(arguments: list[str]) -> tuple[str, ...]:
    """The words of a rule without what many rules differ by and no check depends on.

    That is the IPv4 network behind ``-s`` and ``-d`` at its beginning, and a comment.
    """
    words = list(arguments)
    for at in range(0, min(4, len(words) - 1), 2):
        if words[at] not in ("-s", "-d"):
            break
        words[at + 1] = _NETWORK.sub(r"0.0.0.0\1", words[at + 1])
    for at in range(3, len(words)):
        if words[at - 3 : at] == _COMMENT and words[at][:1] not in "-!":
            words[at] = "x"
    return tuple(words)


class OpenQuoteError(ValueError):
    """A quote has no end; ``at`` is its offset in the line."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


def words_of(line: str) -> Iterator[tuple[str, int]]:
    """(word, its offset in the line): as iptables-restore splits a line, where a quote ends its word.

    Raises OpenQuoteError.
    """
    for found in _WORD.finditer(line):
        if found[0] == '"':
            raise OpenQuoteError(found.start())
        quoted = found[2]
        if quoted is None:
            yield found[0], found.start()
        else:
            yield found[1] + (_ESCAPED.sub(r"\1", quoted) if "\\" in quoted else quoted), found.start()
