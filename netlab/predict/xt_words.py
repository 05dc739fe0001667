"""Read the words of an iptables rule: its head, its matches and its target, each with its options."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from netlab.predict.rules import In, Named, Never, Step
from netlab.predict.syntax import Where, Word
from netlab.scenario.xt_options import shape

_HEAD = {
    "--source": "-s", "--src": "-s", "--destination": "-d", "--dst": "-d", "--in-interface": "-i",
    "--out-interface": "-o", "--protocol": "-p", "--proto": "-p", "--match": "-m", "--jump": "-j",
    "--goto": "-g",
    "--fragment": "-f",
}  # fmt: skip
#: the match that a protocol loads by itself
_OF_PROTOCOL = {"ipv6-icmp": "icmp6", "icmpv6": "icmp6", "6": "tcp", "17": "udp", "1": "icmp", "58": "icmp6"}


@dataclass(slots=True)
class ExtensionOption:
    """An option with its values; ``negated`` if a ``!`` stood before it."""

    name: str
    values: list[Word]
    negated: bool
    column: int

    @property
    def value(self) -> str:
        """Its first value."""
        return self.values[0].text

    @property
    def at(self) -> int:
        """The column of its first value."""
        return self.values[0].column if self.values else self.column


@dataclass(slots=True)
class Extension:
    """A match or a target: its name, and its options in order."""

    name: str
    column: int
    options: list[ExtensionOption] = field(default_factory=list)

    def get(self, name: str) -> ExtensionOption | None:
        """The option of that name, or None."""
        return next((option for option in self.options if option.name == name), None)


@dataclass(slots=True)
class RuleWords:
    """An iptables rule, taken apart: ``steps`` are those of its head. ``goto``: the target was behind -g."""

    steps: list[Step] = field(default_factory=list)
    matches: list[Extension] = field(default_factory=list)
    target: Extension | None = None
    goto: bool = False


def take_apart(words: Sequence[Word], where: Where) -> RuleWords:
    """The parts of a rule, without ``-A CHAIN``; raises ScenarioError for a word in the wrong place."""
    rule = RuleWords()
    reader = _Reader(words, where)
    negated, protocol = False, ""
    for word in reader:
        name = _HEAD.get(word.text, word.text)
        if word.text == "!" and not word.quoted:
            negated = True
            continue
        if name in ("-s", "-d", "-i", "-o", "-p", "-f"):
            if name == "-p":
                protocol = reader.peek()
            rule.steps += _head(name, reader, word, where, negated)
        elif name == "-m":
            found = reader.value(word)
            rule.matches.append(Extension(found.text, found.column))
        elif name in ("-j", "-g"):
            found = reader.value(word)
            rule.target, rule.goto = Extension(found.text, found.column), name == "-g"
        elif name.startswith("-") and len(name) > 1:
            owner, name = _owner(rule, name, protocol, word, where)
            owner.options.append(ExtensionOption(name, list(reader.arguments()), negated, word.column))
        else:
            where.wrong(f"{word.text!r} does not belong here: expected an option", word.column)
        negated = False
    return rule


def _owner(rule: RuleWords, name: str, protocol: str, word: Word, where: Where) -> tuple[Extension, str]:
    """The extension that has an option, and the option in full; raises ScenarioError if none has it.

    As iptables finds it: an extension that was named before has it, or else the match of the protocol's name,
    which need not be named: ``-p tcp -m comment --comment x --dport 80``.
    """
    family = where.family.value
    named = [*([rule.target] if rule.target is not None else []), *reversed(rule.matches)]
    implied = _OF_PROTOCOL.get(protocol, protocol)
    if implied and not any(one.name == implied for one in named):
        named.append(Extension(implied, word.column))
    shapes = [(one, shape(one.name, family)) for one in named]
    for whole in (True, False):
        for one, found in shapes:
            for option in found.options if found is not None else ():
                if option == name[2:] if whole else option.startswith(name[2:]):
                    if one.name == implied and one not in rule.matches and one is not rule.target:
                        rule.matches.append(one)
                    return one, f"--{option}"
    if not named:
        where.wrong(f"{name} belongs to no match: expected -m NAME before it", word.column)
    return named[0], name


class _Reader:
    """The words one after the other."""

    def __init__(self, words: Sequence[Word], where: Where) -> None:
        self._words = words
        self._at = 0
        self._where = where

    def __iter__(self) -> Iterator[Word]:
        while self._at < len(self._words):
            self._at += 1
            yield self._words[self._at - 1]

    def peek(self) -> str:
        """The next word; empty at the end."""
        return self._words[self._at].text if self._at < len(self._words) else ""

    def value(self, option: Word) -> Word:
        """The value of an option."""
        if self._at >= len(self._words):
            self._where.wrong(f"{option.text} needs a value", option.column)
        self._at += 1
        return self._words[self._at - 1]

    def arguments(self) -> Iterator[Word]:
        """The words up to the next option."""
        while self._at < len(self._words):
            word = self._words[self._at]
            if not word.quoted and (word.text == "!" or _is_option(word.text)):
                return
            self._at += 1
            yield word


def _is_option(text: str) -> bool:
    """Whether a word is an option; ``-1`` and ``-`` are values."""
    return len(text) > 1 and text[0] == "-" and not text[1].isdecimal()


def _head(name: str, reader: _Reader, option: Word, where: Where, negated: bool) -> list[Step]:
    if name == "-f":
        return [Never("-f", negated)]
    word = reader.value(option)
    if word.text == "!" and not negated:
        where.wrong(
            f"write ! before {name}: iptables 1.4.3 and later refuse it after the option", word.column
        )
    if name in ("-s", "-d"):
        field_name = "saddr" if name == "-s" else "daddr"
        return [where.network(field_name, word.text, word.column, negated=negated)]
    if name in ("-i", "-o"):
        prefix = word.text.endswith("+")
        side = "iifname" if name == "-i" else "oifname"
        return [Named(side, word.text.removesuffix("+"), prefix, negated)]
    number = where.protocol(word.text, word.column) if word.text != "all" else 0
    return [In("l4proto", ((number, number),), negated)] if number else []
