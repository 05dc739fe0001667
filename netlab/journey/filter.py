"""Which journeys are wanted, in words: ``tcp and port 80 and not from client or timeout``.  Pure.

::

    filter = terms { "or" terms }        terms = term { ["and"] term }        term = ["not"] test
    test   = "tcp" | "udp" | "sctp" | "icmp" | "ipv4" | "ipv6" | OUTCOME | PATH
           | "port" N | "from" NODE | "src" ADDRESS | "dst" ADDRESS | "host" ADDRESS
           | "by" [FAMILY TABLE] CHAIN
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import get_args

from netlab.journey.expect import names_chain
from netlab.model.errors import UsageError
from netlab.model.family import split_endpoint
from netlab.model.flow import FlowProtocol
from netlab.model.journey import Journey
from netlab.model.near import nearest
from netlab.model.outcome import OutcomeName, PathName

Test = Callable[[Journey], bool]

_PROTOCOLS = get_args(FlowProtocol)
_OUTCOMES = get_args(OutcomeName)
_PATHS = get_args(PathName)
#: nftables' families: with one of them a chain is named by three words, as messages do
_FAMILIES = ("ip", "ip6", "inet", "arp", "bridge", "netdev")
_WITH_VALUE = ("port", "from", "src", "dst", "host", "by")
WORDS = (*_PROTOCOLS, "ipv4", "ipv6", *_OUTCOMES, *_PATHS, *_WITH_VALUE, "and", "or", "not")


def parse_filter(text: str) -> Test:
    """The test that ``text`` means; the empty text takes all. Raises UsageError with a suggestion."""
    words = text.split()
    alternatives: list[list[Test]] = [[]]
    while words:
        word = words.pop(0)
        if word == "or":
            alternatives.append([])
            continue
        if word == "and":
            continue
        wanted = word != "not"
        if not wanted:
            if not words:
                raise UsageError("filter: 'not' needs a test after it")
            word = words.pop(0)
        test = _test(word, words)
        alternatives[-1].append(test if wanted else _negated(test))
    if len(alternatives) > 1 and not all(alternatives):
        raise UsageError("filter: 'or' belongs between two tests")
    return lambda journey: any(all(test(journey) for test in tests) for tests in alternatives)


def _negated(test: Test) -> Test:
    return lambda journey: not test(journey)


def _test(word: str, words: list[str]) -> Test:
    if word in _PROTOCOLS:
        return lambda journey: journey.flow.to.endswith(f"/{word}")
    if word in ("ipv4", "ipv6"):
        return lambda journey: journey.flow.family == word
    if word in _OUTCOMES:
        return lambda journey: journey.outcome == word
    if word in _PATHS:
        return lambda journey: journey.path == word
    if word in _WITH_VALUE:
        if not words:
            raise UsageError(f"filter: {word!r} needs a value")
        value = words.pop(0)
        if word == "by" and value in _FAMILIES and len(words) > 1:
            value = " ".join((value, words.pop(0), words.pop(0)))
        return _valued(word, value)
    near = nearest(word, WORDS)
    hint = f" (did you mean {near}?)" if near else ""
    raise UsageError(f"filter: unknown word {word!r}{hint}")


def _valued(word: str, value: str) -> Test:
    if word == "port":
        if not value.isdecimal():
            raise UsageError(f"filter: {value!r} is not a port")
        return lambda journey: value in {port for _, port in _ends(journey)}
    if word == "from":
        return lambda journey: journey.flow.origin == value
    if word == "by":
        return lambda journey: names_chain(value, journey.decided_by)
    try:
        address = str(ipaddress.ip_address(value.strip("[]")))
    except ValueError:
        raise UsageError(f"filter: {value!r} is not an address") from None
    if word == "src":
        return lambda journey: _ends(journey)[0][0] == address
    if word == "dst":
        return lambda journey: _ends(journey)[1][0] == address
    return lambda journey: address in {end for end, _ in _ends(journey)}


def _ends(journey: Journey) -> tuple[tuple[str, str], tuple[str, str]]:
    """Address and port of the source and of the destination."""
    return split_endpoint(journey.flow.src or ""), split_endpoint(journey.flow.dst)
