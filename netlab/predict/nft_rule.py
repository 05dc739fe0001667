"""One nftables rule as conditions and actions, from the words that nft lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from netlab.predict.nft_targets import statement
from netlab.predict.nft_tokens import Tokens
from netlab.predict.nft_values import BITS, FIB_TYPES, Selector, selector, value
from netlab.predict.rules import (
    AddressType,
    AnyBit,
    Condition,
    Depends,
    In,
    Lookup,
    Masked,
    Named,
    ReversePath,
    Step,
    Verdict,
    VerdictMap,
)

_OPERATORS = ("==", "!=", "<", ">", "<=", ">=", "eq", "ne")
_ALL = (1 << 128) - 1


@dataclass(slots=True)
class NamedSet:
    """A set or map of a table. ``dynamic``: rules add to it, so that its elements are not known."""

    fields: list[Selector] = field(default_factory=list)
    elements: list[tuple[Named | In, ...]] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    mapped: bool = False
    dynamic: bool = False


Sets = Mapping[str, NamedSet]


def read_steps(tokens: Tokens, sets: Sets, family: str) -> Iterator[Step]:
    """The steps of a rule; raises ScenarioError for what nft does not write."""
    while tokens:
        if tokens.taken("comment"):
            tokens.take()
        elif tokens.next == "fib":
            yield from _fib(tokens)
        elif tokens.next == "meta" and tokens.ahead in ("mark", "priority", "nftrace") and _is_set(tokens):
            yield statement(tokens, family)
        elif (found := selector(tokens)) is not None:
            yield from _match(found, tokens, sets)
        else:
            yield statement(tokens, family)


def _is_set(tokens: Tokens) -> bool:
    start = tokens.at
    tokens.at += 2
    found = tokens.next == "set"
    tokens.at = start
    return found


def _match(first: Selector, tokens: Tokens, sets: Sets) -> Iterator[Step]:
    """One or more selectors, joined by dots, and what is asked of them."""
    parts = [first]
    while tokens.taken("."):
        more = selector(tokens)
        if more is None:
            tokens.wrong(f"expected a field of the packet, found {tokens.next!r}")
        parts.append(more)
    for part in parts:
        yield from part.needs
    if tokens.taken("vmap"):
        yield _verdict_map(parts, tokens, sets)
        return
    if tokens.next == "&":
        yield _masked(first, tokens)
        return
    operator = tokens.take() if tokens.next in _OPERATORS else ""
    found = _condition(parts, operator, tokens, sets)
    unknown = next((part.what for part in parts if not part.field), "")
    yield Depends(unknown) if unknown else found


def _condition(parts: list[Selector], operator: str, tokens: Tokens, sets: Sets) -> Condition:
    negated = operator in ("!=", "ne")
    fields = tuple(part.field for part in parts)
    if tokens.next == "{" or tokens.next.startswith("@"):
        return _in_set(parts, fields, negated, tokens, sets)
    if len(parts) > 1:
        return Lookup(fields, (_element(parts, tokens),), negated)
    part = parts[0]
    if part.field in BITS and operator in ("", "!=") and not _is_number(tokens.next):
        return _bits(part, negated, operator, tokens)
    found = value(part.kind, part.family, tokens)
    if isinstance(found, Named):
        return Named(part.field, found.name, found.prefix, negated)
    low, high = found
    ranges = {"<": (0, low - 1), "<=": (0, low), ">": (high + 1, _ALL), ">=": (high, _ALL)}
    return In(part.field, (ranges.get(operator, (low, high)),), negated)


def _is_number(text: str) -> bool:
    return text[:1].isdecimal()


def _bits(part: Selector, negated: bool, operator: str, tokens: Tokens) -> Condition:
    """``ct state established,related``: any of the bits; ``tcp flags syn / syn,ack``: exactly these."""
    bits = _bit_list(part, tokens)
    if tokens.taken("/"):
        return Masked(part.field, _bit_list(part, tokens), bits, negated)
    if negated and operator == "!=":
        return Masked(part.field, _ALL, bits, True)
    return AnyBit(part.field, bits, negated)


def _bit_list(part: Selector, tokens: Tokens) -> int:
    names = BITS[part.field]
    bits = 0
    while True:
        found = value(part.kind, part.family, tokens)
        assert not isinstance(found, Named)
        bits |= found[0]
        more = tokens.next in (",", "|")
        if not more or tokens.ahead not in names:
            return bits
        tokens.take()


def _masked(part: Selector, tokens: Tokens) -> Condition:
    """``tcp flags & (fin | syn) == syn``, ``meta mark & 0xff == 0x1``."""
    tokens.take("&")
    mask = _group(part, tokens)
    operator = tokens.take()
    if operator not in ("==", "!="):
        tokens.wrong(f"expected == or != after a mask, found {operator!r}")
    return Masked(part.field, mask, _group(part, tokens), operator == "!=")


def _group(part: Selector, tokens: Tokens) -> int:
    inside = tokens.taken("(")
    if part.field in BITS and not _is_number(tokens.next):
        number = _bit_list(part, tokens)
    else:
        found = value(part.kind, part.family, tokens)
        assert not isinstance(found, Named)
        number = found[0]
    if inside:
        tokens.take(")")
    return number


def _element(parts: list[Selector], tokens: Tokens) -> tuple[Named | In, ...]:
    """One element of a set: a value for each field."""
    found: list[Named | In] = []
    for number, part in enumerate(parts):
        if number:
            tokens.take(".")
        if tokens.taken("*"):
            found.append(
                Named(part.field, "", prefix=True) if part.kind == "name" else In(part.field, ((0, _ALL),))
            )
            continue
        one = value(part.kind, part.family, tokens)
        if isinstance(one, Named):
            found.append(Named(part.field, one.name, one.prefix))
        else:
            found.append(In(part.field, (one,)))
    return tuple(found)


def elements_of(
    parts: list[Selector], tokens: Tokens
) -> Iterator[tuple[tuple[Named | In, ...], Verdict | None]]:
    """The elements of a set or a map in braces, each with its verdict if it has one."""
    inner = Tokens(tokens.block(), tokens.where)
    while inner:
        inner.skip_lines()
        if not inner:
            return
        element = _element(parts, inner)
        _skip_options(inner)
        verdict = None
        if inner.taken(":"):
            verdict = verdict_of(inner)
        yield element, verdict
        inner.skip_lines()
        if inner:
            inner.take(",")


def _skip_options(tokens: Tokens) -> None:
    """An element's own counter, timeout and comment."""
    while tokens.next in ("counter", "timeout", "expires", "comment", "packets", "bytes", "last", "used"):
        word = tokens.take()
        if word != "counter" and tokens.next not in (",", ":", ""):
            tokens.take()


def verdict_of(tokens: Tokens) -> Verdict | None:
    """A verdict; what else a map leads to is read past."""
    word = tokens.take()
    if word in ("accept", "drop", "return", "continue"):
        return Verdict(word)  # type: ignore[arg-type]
    if word in ("jump", "goto"):
        return Verdict(word, tokens.take())  # type: ignore[arg-type]
    while tokens and tokens.next not in (",", "\n"):
        tokens.take()
    return None


def _in_set(
    parts: list[Selector], fields: tuple[str, ...], negated: bool, tokens: Tokens, sets: Sets
) -> Condition:
    if tokens.next == "{":
        elements = tuple(element for element, _ in elements_of(parts, tokens))
    else:
        name = tokens.take().removeprefix("@")
        known = sets.get(name)
        if known is None:
            tokens.wrong(f"there is no set {name!r} in this table")
        if known.dynamic:
            return Depends(f"@{name}")
        elements = tuple(_renamed(element, fields) for element in known.elements)
    if len(fields) == 1 and all(isinstance(element[0], In) for element in elements):
        ranges = tuple(part.ranges[0] for element in elements for part in element if isinstance(part, In))
        return In(fields[0], ranges, negated)
    return Lookup(fields, elements, negated)


def _renamed(element: tuple[Named | In, ...], fields: tuple[str, ...]) -> tuple[Named | In, ...]:
    """A set's element for the fields that are looked up in it."""
    return tuple(
        Named(to, part.name, part.prefix) if isinstance(part, Named) else In(to, part.ranges)
        for part, to in zip(element, fields, strict=True)
    )


def _verdict_map(parts: list[Selector], tokens: Tokens, sets: Sets) -> Step:
    fields = tuple(part.field for part in parts)
    if tokens.next == "{":
        pairs = [(element, verdict) for element, verdict in elements_of(parts, tokens)]
    else:
        name = tokens.take().removeprefix("@")
        known = sets.get(name)
        if known is None:
            tokens.wrong(f"there is no map {name!r} in this table")
        pairs = [(_renamed(one, fields), to) for one, to in zip(known.elements, known.verdicts, strict=True)]
    unknown = next((part.what for part in parts if not part.field), "")
    if unknown:
        return Depends(unknown)
    return VerdictMap(fields, tuple((one, to) for one, to in pairs if to is not None))


def _fib(tokens: Tokens) -> Iterator[Step]:
    """``fib daddr type local``, ``fib saddr . mark . iif oif missing``."""
    tokens.take("fib")
    keys = [tokens.take()]
    while tokens.taken("."):
        keys.append(tokens.take())
    result = tokens.take()
    operator = tokens.take() if tokens.next in _OPERATORS else ""
    negated = operator in ("!=", "ne")
    side = "src" if "saddr" in keys else "dst"
    if result == "type":
        types = _fib_types(tokens)
        interface = "in" if "iif" in keys else "out" if "oif" in keys else ""
        yield AddressType(side, types, negated, interface)  # type: ignore[arg-type]
        return
    text = tokens.take()
    if side == "src" and text in ("missing", "exists", "0") and result in ("oif", "oifname"):
        found = ReversePath(loose="iif" not in keys, local=False, mark="mark" in keys)
        missing = (text != "exists") != negated
        yield ReversePath(found.loose, found.local, found.mark, negated=missing)
    else:
        yield Depends(f"fib {' . '.join(keys)} {result}")


def _fib_types(tokens: Tokens) -> frozenset[str]:
    if tokens.next != "{":
        return frozenset((_fib_type(tokens),))
    inner = Tokens(tokens.block(), tokens.where)
    found = set()
    while inner:
        inner.skip_lines()
        found.add(_fib_type(inner))
        inner.skip_lines()
        inner.taken(",")
    return frozenset(found)


def _fib_type(tokens: Tokens) -> str:
    word = tokens.take()
    if word not in FIB_TYPES:
        tokens.at -= 1
        tokens.wrong(f"{word!r} is not a type of address: expected one of {', '.join(FIB_TYPES)}")
    return word
