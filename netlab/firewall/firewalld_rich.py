"""Rich rules: ``rule family="ipv4" source address="198.51.100.3" port port="80" protocol="tcp" reject``.

The language is that of firewalld.richlanguage(5). Reproduced: family, priority, source and destination
addresses, one of service, port, protocol and source-port, log, and accept, reject or drop with a limit.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from netlab.model.errors import UsageError
from netlab.model.family import FAMILIES, Family

#: The elements of a rule and the attributes that each may have.
_ELEMENTS = {
    "rule": {"family", "priority"},
    "source": {"address"},
    "destination": {"address"},
    "service": {"name"},
    "port": {"port", "protocol"},
    "source-port": {"port", "protocol"},
    "protocol": {"value"},
    "log": {"prefix", "level"},
    "accept": set[str](),
    "reject": {"type"},
    "drop": set[str](),
    "limit": {"value"},
}
#: What a reject may say: firewalld's words, and nft's.
REJECTS = {
    "icmp-host-prohibited": "icmp host-prohibited",
    "icmp-net-prohibited": "icmp net-prohibited",
    "icmp-admin-prohibited": "icmp admin-prohibited",
    "icmp-net-unreachable": "icmp net-unreachable",
    "icmp-host-unreachable": "icmp host-unreachable",
    "icmp-port-unreachable": "icmp port-unreachable",
    "icmp6-adm-prohibited": "icmpv6 admin-prohibited",
    "icmp6-port-unreachable": "icmpv6 port-unreachable",
    "icmp6-addr-unreachable": "icmpv6 addr-unreachable",
    "icmp6-no-route": "icmpv6 no-route",
    "tcp-reset": "tcp reset",
}
#: Syslog's names, as firewalld takes them; audit, the machine's own log, is another element there.
LEVELS = ("emerg", "alert", "crit", "error", "err", "warning", "warn", "notice", "info", "debug")
_MATCHED = ("service", "port", "source-port", "protocol")
_ACTIONS = ("accept", "reject", "drop")
_LIMIT = re.compile(r"(\d+)/(s|second|m|minute|h|hour|d|day)\Z")
_UNITS = {"s": "sec", "m": "min", "h": "hour", "d": "day"}


@dataclass(frozen=True, slots=True)
class Address:
    """A source or destination, possibly inverted."""

    text: str
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class RichRule:
    """One rich rule."""

    text: str  #: as written
    family: Family | None = None
    priority: int = 0
    source: Address | None = None
    destination: Address | None = None
    element: str = ""  #: service, port, source-port, protocol, or nothing
    attributes: Mapping[str, str] = field(default_factory=dict)
    action: str = ""  #: accept, reject, drop, or nothing (then it only logs)
    reject: str = ""  #: what a reject says
    limit: str = ""  #: of the action, as the iptables match prints it: ``3/min``
    log: Mapping[str, str] | None = None
    log_limit: str = ""

    @property
    def families(self) -> tuple[Family, ...]:
        """The families that it is written for: the one it names, or both."""
        return FAMILIES if self.family is None else (self.family,)

    @classmethod
    def parse(cls, text: str) -> RichRule:
        """Read a rule; raises UsageError if it is wrong, or not reproduced."""
        found: dict[str, dict[str, str]] = {}
        inverted: set[str] = set()
        limits: dict[str, str] = {}
        current = ""
        for word in _split(text):
            name, equals, value = word.partition("=")
            if equals:
                if name not in _ELEMENTS.get(current, ()):
                    raise _wrong(text, f"{name} of {current or 'nothing'} is not reproduced")
                if current == "limit":
                    limits[[key for key in found if key != "limit"][-1]] = _limit(text, value)
                else:
                    found[current][name] = value
            elif word.upper() == "NOT" and current in ("source", "destination"):
                inverted.add(current)
            elif word in _ELEMENTS:
                if word in found and word != "limit":
                    raise _wrong(text, f"{word} occurs twice")
                found[word], current = {}, word
            else:
                raise _wrong(text, f"{word!r} is not reproduced")
        return cls._made(text, found, inverted, limits)

    @classmethod
    def _made(
        cls, text: str, found: dict[str, dict[str, str]], inverted: set[str], limits: dict[str, str]
    ) -> RichRule:
        if next(iter(found), "") != "rule":
            raise _wrong(text, "it does not begin with the word rule")
        elements = [name for name in _MATCHED if name in found]
        actions = [name for name in _ACTIONS if name in found]
        if len(elements) > 1 or len(actions) > 1:
            raise _wrong(
                text, f"{' and '.join(elements if len(elements) > 1 else actions)} cannot be combined"
            )
        if not actions and "log" not in found:
            raise _wrong(text, "it has neither an action nor a log")
        if "reject" in found and found["reject"].get("type", next(iter(REJECTS))) not in REJECTS:
            raise _wrong(text, f"reject type {found['reject']['type']!r} is not reproduced")
        _check_log(text, found.get("log", {}))
        families = {family.word: family for family in FAMILIES}
        wanted = found["rule"].get("family")
        if wanted is not None and wanted not in families:
            raise _wrong(text, f"{wanted!r} is not a family")
        if wanted is None and any(name in found for name in ("source", "destination")):
            raise _wrong(text, "MISSING_FAMILY: a rule with an address names its family")
        if wanted is None and found.get("reject"):
            raise _wrong(text, "a reject with a type needs the rule's family")
        if not actions and not elements:
            raise _wrong(text, "it has neither an element nor an action")
        for element in elements:
            if set(found[element]) != _ELEMENTS[element]:
                raise _wrong(text, f"{element} needs {' and '.join(sorted(_ELEMENTS[element]))}")
        action = actions[0] if actions else ""
        return cls(
            text=text,
            family=families[wanted] if wanted is not None else None,
            priority=_number(text, found["rule"].get("priority", "0")),
            source=_address(text, found, "source", inverted),
            destination=_address(text, found, "destination", inverted),
            element=elements[0] if elements else "",
            attributes=found[elements[0]] if elements else {},
            action=action,
            reject=found.get("reject", {}).get("type", ""),
            limit=limits.get(action, ""),
            log=found.get("log"),
            log_limit=limits.get("log", ""),
        )


def _check_log(text: str, log: Mapping[str, str]) -> None:
    if log.get("level", LEVELS[0]) not in LEVELS:
        raise _wrong(text, f"{log['level']!r} is none of the log levels {', '.join(LEVELS)}")
    if not re.match(r'[^"\\]{0,127}\Z', log.get("prefix", "")) or not log.get("prefix", "").isprintable():
        raise _wrong(text, f"{log['prefix']!r} is not a prefix: up to 127 letters, without quotes")


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise _wrong(text, str(error)) from None


def _address(
    text: str, found: Mapping[str, Mapping[str, str]], element: str, inverted: set[str]
) -> Address | None:
    if element not in found:
        return None
    if "address" not in found[element]:
        raise _wrong(text, f"{element} needs an address")
    return Address(found[element]["address"], element in inverted)


def _number(text: str, value: str) -> int:
    if not re.match(r"-?\d+\Z", value):
        raise _wrong(text, f"{value!r} is not a priority")
    return int(value)


def _limit(text: str, value: str) -> str:
    match = _LIMIT.match(value)
    if not match:
        raise _wrong(text, f"{value!r} is not a limit: write 3/m")
    return f"{match[1]}/{_UNITS[match[2][0]]}"


def _wrong(text: str, what: str) -> UsageError:
    return UsageError(f"firewall: firewalld: rich rule {text!r}: {what}")
