"""The grammar of an iptables command: which options there are, in what order, and what their values may be.

Read as iptables reads it (iptables/xshared.c, ``do_parse``): ``-m`` and ``-j`` make the options of that
extension known, ``-p tcp`` makes those of the match of that name known where one is met, and a long option
may be shortened to what begins no other one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from netlab.scenario.tree import hint, shown
from netlab.scenario.xt_options import ExtensionShape, OptionShape, only_family, owners, shape
from netlab.scenario.xt_values import wrong_value

#: iptables' own options: (short, long names, values, further values that may follow)
_OWN = (
    ("A", ("append",), 1, 0),
    ("C", ("check",), 1, 0),
    ("D", ("delete",), 1, 1),
    ("I", ("insert",), 1, 1),
    ("R", ("replace",), 1, 1),
    ("L", ("list",), 0, 2),
    ("S", ("list-rules",), 0, 2),
    ("F", ("flush",), 0, 1),
    ("Z", ("zero",), 0, 2),
    ("N", ("new-chain",), 1, 0),
    ("X", ("delete-chain",), 0, 1),
    ("E", ("rename-chain",), 2, 0),
    ("P", ("policy",), 2, 0),
    ("p", ("protocol", "proto"), 1, 0),
    ("s", ("source", "src"), 1, 0),
    ("d", ("destination", "dst"), 1, 0),
    ("j", ("jump",), 1, 0),
    ("g", ("goto",), 1, 0),
    ("m", ("match",), 1, 0),
    ("i", ("in-interface",), 1, 0),
    ("o", ("out-interface",), 1, 0),
    ("f", ("fragments",), 0, 0),
    ("t", ("table",), 1, 0),
    ("c", ("set-counters",), 1, 1),
    ("M", ("modprobe",), 1, 0),
    ("w", ("wait",), 0, 1),
    ("W", ("wait-interval",), 1, 0),
    ("n", ("numeric",), 0, 0),
    ("v", ("verbose",), 0, 0),
    ("x", ("exact",), 0, 0),
    ("V", ("version",), 0, 0),
    ("h", ("help",), 0, 1),
    ("4", ("ipv4",), 0, 0),
    ("6", ("ipv6",), 0, 0),
    ("0", ("line-numbers",), 0, 0),
)
_SHORT = {short: (short, values, more) for short, _, values, more in _OWN if short != "0"}
_LONG = {name: (short, values, more) for short, names, values, more in _OWN for name in names}
_NEGATABLE = frozenset("psdiof")
#: the match that a protocol makes known
_OF_PROTOCOL = {
    "6": "tcp", "17": "udp", "1": "icmp", "58": "icmp6", "ipv6-icmp": "icmp6", "icmpv6": "icmp6",
    "132": "sctp", "33": "dccp", "50": "esp", "51": "ah", "135": "mh", "ipv6-mh": "mh",
    "mobility-header": "mh",
    "tcp": "tcp", "udp": "udp", "icmp": "icmp", "sctp": "sctp", "dccp": "dccp", "esp": "esp", "ah": "ah",
    "136": "udplite", "udplite": "udplite", "mh": "mh",
}  # fmt: skip
#: the protocols of which a match asks one (the kernel refuses the rule else)
_ASKS = {
    "tcp": ("tcp",),
    "udp": ("udp",),
    "udplite": ("udplite",),
    "sctp": ("sctp",),
    "dccp": ("dccp",),
    "icmp": ("icmp",),
    "icmp6": ("icmp6",),
    "icmpv6": ("icmp6",),
    "ipv6-icmp": ("icmp6",),
    "ah": ("ah",),
    "esp": ("esp",),
    "mh": ("mh",),
    "tcpmss": ("tcp",),
    "multiport": ("tcp", "udp", "udplite", "sctp", "dccp"),
    "TPROXY": ("tcp", "udp"),
    "TCPMSS": ("tcp",),
    "TCPOPTSTRIP": ("tcp",),
    "SYNPROXY": ("tcp",),
}
#: extensions that need one of these options, not just one of all
_NEEDS = {
    "recent": ("set", "rcheck", "update", "remove"),
    "addrtype": ("src-type", "dst-type"),
    "hashlimit": ("hashlimit-upto", "hashlimit-above", "hashlimit"),
    "policy": ("dir",),
    "CONNMARK": ("set-xmark", "set-mark", "and-mark", "or-mark", "xor-mark", "save-mark", "restore-mark"),
    "statistic": ("probability", "every"),
    "string": ("string", "hex-string"),
    "DSCP": ("set-dscp", "set-dscp-class"),
    "owner": ("uid-owner", "gid-owner", "socket-exists"),
}
#: the protocols with which a target of NAT takes ports
_PORTS = ("tcp", "udp", "sctp", "dccp", "icmp", "icmp6")


@dataclass(slots=True)
class _Loaded:
    """An extension whose options are known, and those that were given."""

    name: str
    at: int
    shape: ExtensionShape
    given: dict[str, int] = field(default_factory=dict)


#: an option of iptables' own, or an extension and its option
_Meaning = tuple[tuple[str, int, int] | None, _Loaded | None, OptionShape | None]


class _WrongError(Exception):
    """iptables would refuse the word of this index."""

    def __init__(self, at: int, what: str) -> None:
        super().__init__(what)
        self.at = at


def wrong_words(arguments: Sequence[str], family: int) -> tuple[int, str] | None:
    """(index of a word, what is wrong with it) of the first that iptables (4), ip6tables (6) would refuse."""
    try:
        _Grammar(arguments, family).read()
    except _WrongError as error:
        return error.at, str(error)
    return None


class _Grammar:
    """Goes through the words once."""

    def __init__(self, arguments: Sequence[str], family: int) -> None:
        self.words = arguments
        self.family = family
        self.at = 0
        self.loaded: list[_Loaded] = []
        self.protocol = ""
        self.negated_protocol = False

    def read(self) -> None:
        """Raise _WrongError for the first word that is wrong."""
        negated = -1
        while self.at < len(self.words):
            word = self.words[self.at]
            if word == "!":
                if negated >= 0:
                    raise _WrongError(self.at, 'one "!" is enough')
                negated = self.at
                self.at += 1
                continue
            if word == "--" or not word.startswith("-") or word == "-":
                raise _WrongError(self.at, f"{shown(word)} belongs to no option")
            if word.startswith("--"):
                self._long(word, negated)
            else:
                self._short(word, negated)
            negated = -1
        for one in self.loaded:
            self._complete(one)

    # ── options ──────────────────────────────────────────────────────────────────────────────────────────

    def _short(self, word: str, negated: int) -> None:
        at = self.at
        for number, letter in enumerate(word[1:], 2):
            if letter not in _SHORT:
                raise _WrongError(at, f"iptables has no option {shown(f'-{letter}')}")
            _, values, _ = own = _SHORT[letter]
            if values and word[number:]:
                self.at += 1
                self._own(own, [(word[number:], at)], at, negated)
                return
            if values or number == len(word):
                self.at += 1
                self._own(own, [], at, negated)
                return
            self._own((letter, 0, 0), [], at, negated)

    def _long(self, word: str, negated: int) -> None:
        at = self.at
        name, sign, value = word[2:].partition("=")
        own, extension, option = self._find(name)
        self.at += 1
        first = [(value, at)] if sign else []
        if own is not None:
            if first and not own[1] and not own[2]:
                raise _WrongError(at, f"{shown(f'--{name}')} takes no value")
            self._own(own, first, at, negated)
        elif extension is not None and option is not None:
            self._of_extension(extension, option, first, at, negated)

    def _find(self, name: str) -> _Meaning:
        """What a long option means: one of iptables' own, or one of a loaded extension."""
        if name in _LONG:
            return _LONG[name], None, None
        for loaded in reversed(self.loaded):
            if name in loaded.shape.options:
                return None, loaded, loaded.shape.options[name]
        beginnings: list[_Meaning] = [
            (own, None, None) for own in {own for long, own in _LONG.items() if long.startswith(name)}
        ]
        for loaded in self.loaded:
            beginnings += [
                (None, loaded, option)
                for option in loaded.shape.options.values()
                if option.name.startswith(name)
            ]
        if len(beginnings) == 1 and name:
            return beginnings[0]
        if len(beginnings) > 1:
            raise _WrongError(self.at, f"{shown(f'--{name}')} is the beginning of more than one option")
        matched = _OF_PROTOCOL.get(self.protocol.casefold(), "")
        if matched and not any(one.name == matched for one in self.loaded):
            self._load(matched, self.at)
            return self._find(name)
        raise _WrongError(self.at, self._unknown(name))

    def _unknown(self, name: str) -> str:
        written = shown(f"--{name}")
        theirs = sorted(set(owners(name)))
        if theirs:
            return f"{written} belongs to {' or '.join(theirs)}, which the rule does not name before it"
        known = [*_LONG, *(option for one in self.loaded for option in one.shape.options)]
        return f"there is no option {written}{hint(f'--{name}', (f'--{one}' for one in known))}"

    def _values(self, least: int, more: int, first: list[tuple[str, int]], at: int) -> list[tuple[str, int]]:
        """The words after an option that are its values; the optional ones if they are no options."""
        found = list(first)
        while len(found) < least:
            if self.at >= len(self.words):
                raise _WrongError(at, f"{shown(self.words[at])} needs a value")
            found.append((self.words[self.at], self.at))
            self.at += 1
        while more and self.at < len(self.words) and not self.words[self.at].startswith(("-", "!")):
            found.append((self.words[self.at], self.at))
            self.at += 1
            more -= 1
        return found

    def _own(self, own: tuple[str, int, int], first: list[tuple[str, int]], at: int, negated: int) -> None:
        letter, least, more = own
        if negated >= 0 and letter not in _NEGATABLE:
            raise _WrongError(negated, f'there is no "!" before {shown(self.words[at])}')
        values = self._values(least, more, first, at)
        if letter == "p":
            value, where = values[0]
            self._check("PROTOCOL", "-p", value, where)
            self.protocol, self.negated_protocol = value, negated >= 0
            if negated >= 0 and value in ("0", "all"):
                raise _WrongError(where, "the rule would match nothing")
        elif letter in "sd":
            self._check_addresses(*values[0], several=negated < 0)
        elif letter in "io" and "{" not in values[0][0]:
            if not 0 < len(values[0][0]) < 16:
                raise _WrongError(values[0][1], "an interface has a name of 1 to 15 bytes")
        elif letter in "jm":
            self._load(*values[0])
        elif letter == "c":
            self._check_counters(values)
        elif letter in "IRD" and len(values) > 1:
            number, where = values[1]
            if not number.isascii() or not number.isdecimal() or int(number) == 0:
                raise _WrongError(where, f"{shown(number)} is no number of a rule")
        elif letter == "P" and values[1][0] not in ("ACCEPT", "DROP"):
            raise _WrongError(values[1][1], f"{shown(values[1][0])} is no policy: it is ACCEPT or DROP")

    def _check_counters(self, values: list[tuple[str, int]]) -> None:
        numbers = [part for value, _ in values for part in value.split(",")]
        if len(numbers) != 2 or not all(number.isascii() and number.isdecimal() for number in numbers):
            raise _WrongError(values[0][1], "-c takes two numbers: packets and bytes")

    def _check_addresses(self, value: str, at: int, *, several: bool) -> None:
        if "," in value and not several:
            raise _WrongError(at, 'there is no "!" before several addresses')
        if "{" in value:
            return
        for part in value.split(","):
            address, _, mask = part.strip().partition("/")
            wrong = (":" in address) != (self.family == 6)
            if wrong or (mask.isdecimal() and int(mask) > (32 if self.family == 4 else 128)):
                raise _WrongError(at, f"{shown(part)} is no IPv{self.family} address, or network")

    # ── extensions ───────────────────────────────────────────────────────────────────────────────────────

    def _load(self, name: str, at: int) -> None:
        found = shape(name, self.family)
        only = only_family(name)
        if found is None and only not in (None, self.family):
            raise _WrongError(
                at, f"{shown(name)} is an extension of {'iptables' if only == 4 else 'ip6tables'}"
            )
        if found is not None:
            self.loaded.append(_Loaded(name, at, found))

    def _of_extension(
        self, extension: _Loaded, option: OptionShape, first: list[tuple[str, int]], at: int, negated: int
    ) -> None:
        written = f"--{option.name}"
        if negated >= 0 and not option.negatable:
            raise _WrongError(negated, f'there is no "!" before {written}')
        if option.name in extension.given and not option.repeatable:
            raise _WrongError(at, f"{written} can be given once")
        for other in extension.given:
            if other in option.excludes or option.name in extension.shape.options[other].excludes:
                raise _WrongError(at, f"{written} cannot stand beside --{other}")
        if first and not option.kinds:
            raise _WrongError(at, f"{written} takes no value")
        optional = bool(option.kinds) and option.kinds[0].endswith("?")
        least, more = (0, 1) if optional else (len(option.kinds), 0)
        values = self._values(least, more, first, at)
        extension.given[option.name] = at
        for kind, (value, where) in zip(option.kinds, values, strict=False):
            self._check(kind, written, value, where)

    def _check(self, kind: str, option: str, value: str, at: int) -> None:
        if "{" in value:  # {bridge:NETWORK}, which becomes a name
            return
        said = wrong_value(kind, value, self.family)
        if said:
            raise _WrongError(at, f"{shown(value)} is no value of {option}: it is {said}")

    def _complete(self, one: _Loaded) -> None:
        """Whether an extension has what it needs."""
        for option in one.shape.options.values():
            if option.needed and option.name not in one.given:
                raise _WrongError(one.at, f"{one.name} needs --{option.name}")
            for other in option.needs if option.name in one.given else ():
                if other not in one.given:
                    raise _WrongError(one.given[option.name], f"--{option.name} needs --{other}")
        some = _NEEDS.get(one.name, tuple(one.shape.options) if one.shape.some else ())
        if some and not any(name in one.given for name in some):
            raise _WrongError(one.at, f"{one.name} needs an option: --{', --'.join(some)}")
        asked = _ASKS.get(one.name, ())
        if one.name in ("DNAT", "SNAT", "MASQUERADE", "REDIRECT") and self._names_ports(one):
            asked = _PORTS
        elif one.name == "REJECT" and self._value(one, "reject-with").startswith("tcp-r"):
            asked = ("tcp",)
        protocol = self.protocol.casefold()
        if asked and (self.negated_protocol or _OF_PROTOCOL.get(protocol, protocol) not in asked):
            raise _WrongError(one.at, f"{one.name} needs -p {' or -p '.join(asked)}")

    def _value(self, one: _Loaded, option: str) -> str:
        """The value that was given for an option, or nothing."""
        at = one.given.get(option)
        if at is None:
            return ""
        return self.words[at].partition("=")[2] or "".join(self.words[at + 1 : at + 2])

    def _names_ports(self, one: _Loaded) -> bool:
        """Whether a target of NAT is given ports, with or without an address."""
        if "to-ports" in one.given:
            return True
        value = self._value(one, "to-destination") or self._value(one, "to-source")
        address = value.rpartition("]")[2] if value.startswith("[") else value
        return ":" in address and (address != value or value.count(":") == 1)
