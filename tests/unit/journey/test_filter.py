"""The words by which ``netlab trace`` selects journeys."""

from __future__ import annotations

import pytest

from netlab.journey.filter import parse_filter
from netlab.model.errors import UsageError
from netlab.model.journey import DecidedBy, Journey, JourneyFlow


def journey(**changes: object) -> Journey:
    flow = JourneyFlow("client", "host:80/tcp", "ipv6", "[2001:db8:1::2]:40001", "[2001:db8:1::1]:80")
    given = {
        "flow": flow,
        "outcome": "timeout",
        "path": "local",
        "decided_by": DecidedBy("rule", family="ip6", table="filter", chain="INPUT", rule="-A INPUT -j DROP"),
    }
    return Journey(**{**given, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("", True),
        ("tcp", True),
        ("udp", False),
        ("not udp", True),
        ("ipv6 and port 80", True),
        ("ipv6 port 40001", True),
        ("port 81", False),
        ("port 8", False),
        ("from client", True),
        ("not from client", False),
        ("src 2001:db8:1::2 dst [2001:db8:1::1]", True),
        ("src 2001:db8:1:0::2", True),
        ("host 2001:db8:1::1", True),
        ("host 192.0.2.1", False),
        ("timeout by INPUT", True),
        ("by DROP", False),
        ("by ip6 filter INPUT timeout", True),
        ("by ip filter INPUT", False),
        ("ok or refused or local", True),
        ("ok or udp and local", False),
    ],
)
def test_taken(text: str, taken: bool) -> None:
    assert parse_filter(text)(journey()) is taken


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tpc", "unknown word 'tpc' (did you mean tcp?)"),
        ("port", "'port' needs a value"),
        ("port http", "'http' is not a port"),
        ("src client", "'client' is not an address"),
        ("not", "'not' needs a test after it"),
        ("tcp or", "'or' belongs between two tests"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_filter(text)
    assert message in str(caught.value)
