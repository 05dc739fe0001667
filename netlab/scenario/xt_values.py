"""What iptables takes as the value of an option, by the kind that :mod:`netlab.scenario.xt_options` names.

A value that iptables would refuse is refused here, with what it may be. A user's name, which depends on the
machine, is left to iptables; of the names of services, those of :mod:`netlab.model.services` are known.
Facts: iptables 1.8.9, libxtables/xtoptions.c and the parsers of the extensions;
``tests/lab/kernel/test_xt_values.py`` compares with the tool.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence

from netlab.model.services import SERVICES
from netlab.scenario.xt_names import WORDS

_NUMBER = re.compile(r"\s*\+?(0[xX][0-9A-Fa-f]{1,40}|[0-9]{1,40})", re.ASCII)
_SIZES = {"8": 0xFF, "16": 0xFFFF, "32": 0xFFFFFFFF, "64": 0xFFFFFFFFFFFFFFFF}
_KIND = re.compile(r"([A-Z]+)([0-9]*)(RC)?(?:\[([0-9]*)\.\.([0-9]*)\])?\??", re.ASCII)
_NO_SERVICE = " (netlab knows no service of that name: write the number)"
#: a name of a service, a user or a group
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._/-]*", re.ASCII)
_HEX = re.compile(r"0x[0-9A-Fa-f]{1,8}", re.ASCII)
#: "10" and "192.168", which inet_aton(3) takes for 10.0.0.0 and 192.168.0.0
_SHORT = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){0,2}", re.ASCII)
_RATE_UNITS = ("second", "minute", "hour", "day")


def wrong_value(kind: str, value: str, family: int) -> str:
    """What a value of this kind may be if iptables would refuse this one; else nothing."""
    match = _KIND.fullmatch(kind)
    if match is None:
        raise ValueError(kind)
    word, size, ranged, least, most = match.groups()
    if kind in WORDS and kind not in _CHECKS:
        return _words(*WORDS[kind], value)
    if word == "UINT":
        low, high = int(least or 0), int(most or _SIZES[size])
        return _range(value, high) if ranged else _number(value, low, high)
    if word == "STRING":
        return "text" if least and not value else ""
    name = kind.rstrip("?")
    if name in _OF_A_FAMILY:
        return _OF_A_FAMILY[name](value, family)
    return _CHECKS[name.partition("[")[0]](value)


def integer(text: str) -> int | None:
    """A number as strtoul(3) reads it with base 0; None if the text is none."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    digits = match[1]
    if digits[:2] in ("0x", "0X"):
        return int(digits, 16)
    try:
        return int(digits, 8 if digits.startswith("0") and len(digits) > 1 else 10)
    except ValueError:
        return None


def _number(value: str, least: int, most: int) -> str:
    number = integer(value)
    return "" if number is not None and least <= number <= most else f"a number from {least} to {most}"


def _range(value: str, most: int) -> str:
    """``5``, ``5:9``, ``5:`` or ``:9``."""
    parts = value.split(":")
    wrong = len(parts) > 2 or any(part and (integer(part) or 0) > most for part in parts)
    if wrong or any(part and integer(part) is None for part in parts):
        return f"a number from 0 to {most}, or two with a colon between them"
    return ""


def _words(how: str, words: Sequence[str], value: str) -> str:
    one_of = f"one of {', '.join(words)}" if len(words) > 2 else " or ".join(words)
    if "," in how:
        one_of = f"{one_of}{'' if len(words) < 2 else ', or several with commas between them'}"
    for part in value.split(",") if "," in how else [value]:
        fold = str.casefold if "i" in how else str
        written, known = fold(part), [fold(word) for word in words]
        if not (
            written and any(word.startswith(written) for word in known) if "p" in how else written in known
        ):
            return one_of
    return ""


def _rate(value: str) -> str:
    """Iptables reads the digits that it begins with, and the unit."""
    number, slash, unit = value.partition("/")
    said = "a rate such as 5/second, 5/minute, 5/hour or 5/day"
    digits = re.match(r"[0-9]{1,20}", number, re.ASCII)
    parsed = int(digits[0]) if digits else 0
    if not parsed or (slash and not (unit and any(one.startswith(unit.casefold()) for one in _RATE_UNITS))):
        return said
    seconds = (1, 60, 3600, 86400)[next((i for i, one in enumerate(_RATE_UNITS) if one.startswith(unit)), 0)]
    return "" if parsed <= 10000 * seconds else "a rate of at most 10000/second"


def _hash_rate(value: str) -> str:
    if re.fullmatch(r"[0-9]+[kmg]?b/s", value, re.ASCII):
        return ""
    number, slash, unit = value.partition("/")
    known = not slash or (unit and any(one.startswith(unit.casefold()) for one in _RATE_UNITS))
    if not known or not re.match(r"0*[1-9]", number, re.ASCII):
        return "a rate such as 5/second or 100kb/s"
    return ""


def _port_number(text: str) -> int | None:
    """The number of a port, which may be the name of a service; None for neither."""
    number = int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else integer(text)
    if number is not None:
        return number if number <= 0xFFFF else None
    return SERVICES.get(text)


def _port(value: str) -> str:
    said = f"a port{_NO_SERVICE if _NAME.fullmatch(value) else ''}"
    return said if _port_number(value) is None else ""


def _port_range(value: str) -> str:
    parts = value.split(":")
    if len(parts) > 2 or not value or any(part and _port_number(part) is None for part in parts):
        return f"a port, or two with a colon between them{_NO_SERVICE if _NAME.fullmatch(value) else ''}"
    return ""


def _port_span(value: str) -> str:
    """Of tcp and sctp, which read it themselves: the second port is not smaller."""
    wrong = _port_range(value)
    low, _, high = value.partition(":")
    if not wrong and low and high and (_port_number(low) or 0) > (_port_number(high) or 0):
        return "a port, or two with a colon between them, the second not smaller"
    return wrong


def _ports(value: str) -> str:
    """Of multiport: up to 15, a range counts twice."""
    parts = value.split(",")
    if any(_port_range(part) or part.startswith(":") or part.endswith(":") for part in parts):
        return "ports, and ranges such as 80:90, with commas between them"
    for part in parts:
        low, sign, high = part.partition(":")
        if sign and low.isdecimal() and high.isdecimal() and int(low) >= int(high):
            return "ranges of which the second port is greater"
    return "15 ports at most, of which a range counts twice" if len(parts) + value.count(":") > 15 else ""


def _mark(value: str) -> str:
    number, slash, mask = value.partition("/")
    wrong = _number(number, 0, 0xFFFFFFFF) or (slash and _number(mask, 0, 0xFFFFFFFF))
    return "a number, or a number and a mask such as 0x1/0xff" if wrong else ""


def _tos(value: str) -> str:
    names = (
        "Minimize-Delay",
        "Maximize-Throughput",
        "Maximize-Reliability",
        "Minimize-Cost",
        "Normal-Service",
    )
    if value.casefold() in (name.casefold() for name in names):
        return ""
    number, slash, mask = value.partition("/")
    wrong = _number(number, 0, 0xFF) or (slash and _number(mask, 0, 0xFF))
    return f"a number of 8 bits with or without a mask, or one of {', '.join(names)}" if wrong else ""


def _level(value: str) -> str:
    if integer(value) is not None:
        return _number(value, 0, 7)
    return _words(*WORDS["LEVELS"], value)


def _protocol(value: str) -> str:
    if integer(value) is not None:
        return _number(value, 0, 255)
    return "" if value.casefold() in WORDS["PROTOCOLS"][1] else "a protocol's number or name"


def _bits(value: str, family: int) -> str:
    return _number(value, 0, 32 if family == 4 else 128)


def _mask(value: str, family: int) -> str:
    return "" if _is_address(value, family) else _bits(value, family)


def _mac(value: str) -> str:
    ok = re.fullmatch(r"[0-9A-Fa-f]{1,2}(:[0-9A-Fa-f]{1,2}){5}", value, re.ASCII)
    return "" if ok else "an address such as 02:00:00:00:00:01"


def _double(value: str) -> str:
    try:
        number = float(value) if "_" not in value else -1.0
    except ValueError:
        number = -1.0
    return "" if 0 <= number <= 1 else "a number from 0 to 1"


def _icmp(value: str, names: Sequence[str]) -> str:
    """A name, of which a beginning is enough if it is that of one; or ``TYPE``, ``TYPE/CODE``."""
    folded = value.casefold()
    if any(name.casefold() == folded for name in names):
        return ""
    found = [name for name in names if name.casefold().startswith(folded)]
    if len(found) == 1:
        return ""
    if len(found) > 1 and value:
        return f"more than that: it is the beginning of {' and '.join(found[:3])}"
    kind, slash, code = value.partition("/")
    if _number(kind, 0, 255) or (slash and _number(code, 0, 255)):
        return f"a type, a type and a code such as 3/1, or a name: {', '.join(names)}"
    return ""


def _host(value: str, family: int) -> str:
    """An address, which inet_aton(3) may have to complete."""
    return (
        "" if _is_address(value, family) or (family != 6 and _HEX.fullmatch(value)) else _an_address(family)
    )


def _network(value: str, family: int) -> str:
    address, slash, mask = value.partition("/")
    if _host(address, family) or (
        slash and not _is_address(mask, family, whole=True) and _bits(mask, family)
    ):
        return f"{_an_address(family)}, with or without a mask"
    return ""


def _is_address(text: str, family: int, *, whole: bool = False) -> bool:
    """``whole``: inet_pton(3) reads it, not inet_aton(3)."""
    if not whole and family != 6 and _SHORT.fullmatch(text):
        return "." not in text or all(int(part) < 256 for part in text.split("."))
    try:
        return ipaddress.ip_address(text).version == family
    except ValueError:
        return False


def _addresses(value: str, family: int) -> str:
    first, _, last = value.partition("-")
    said = f"{_an_address(family)}, or two with a hyphen between them"
    ok = _is_address(first, family, whole=True) and (
        "-" not in value or _is_address(last, family, whole=True)
    )
    return "" if ok else said


def _an_address(family: int) -> str:
    return f"an IPv{family} address"


def _translated(value: str, family: int) -> str:
    """``ADDRESS[-ADDRESS][:PORT[-PORT]]``; an IPv6 address before a port is in brackets."""
    said = f"{_an_address(family)}, a range of them, with or without a port: ADDRESS[-ADDRESS][:PORT[-PORT]]"
    addresses, ports = value, ""
    if family != 4 and value.startswith("["):
        inner, sign, rest = value[1:].partition("]")
        if not sign or (rest and not rest.startswith((":", "-"))):
            return said
        addresses, ports = inner, rest[1:] if rest.startswith(":") else ""
        if rest.startswith("-"):
            last, sign, ports = rest[1:].lstrip("[").partition("]")
            addresses, ports = f"{inner}-{last}", ports.removeprefix(":")
        elif rest and not ports:
            return said
    elif family == 4 or value.count(":") == 1:
        addresses, sign, ports = value.partition(":")
        if sign and not ports:
            return said
    for address in addresses.split("-") if addresses else ():
        if not _is_address(address, family, whole=True):
            return said
    if addresses.count("-") > 1 or (ports and _to_ports(ports)):
        return said
    return "" if addresses or ports else said


def _to_ports(value: str) -> str:
    parts = value.split("-")
    numbers = [integer(part) for part in parts]
    said = "a port, or two with a hyphen between them"
    if len(parts) > 2:
        return said
    if len(parts) == 1 or value in SERVICES:
        return "" if _port_number(value) is not None else said
    low, high = numbers
    return "" if low is not None and high is not None and low <= high <= 0xFFFF else said


def _destination(value: str, family: int) -> str:
    base, slash, shift = value.partition("/")
    if slash and (integer(shift) is None and not _NAME.fullmatch(shift)):
        return "ADDRESS[-ADDRESS][:PORT[-PORT[/PORT]]]"
    return _translated(base, family)


def _class(value: str) -> str:
    ok = re.match(r"\s*(0x)?[0-9A-Fa-f]+:\s*(0x)?[0-9A-Fa-f]+", value, re.ASCII)
    return "" if ok else "a class such as 1:10, in hexadecimal"


def _number_mask(value: str, name: str) -> str:
    """Of a table of iproute2's, with the one name that it has by itself."""
    number, slash, mask = value.partition("/")
    wrong = value != name and (_number(number, 0, 0xFFFFFFFF) or (slash and _number(mask, 0, 0xFFFFFFFF)))
    return f"a number with or without a mask, or {name}" if wrong else ""


def _zone(value: str) -> str:
    return "" if value == "mark" else _number(value, 0, 0xFFFF) and "a number from 0 to 65535, or mark"


def _burst(value: str) -> str:
    return "" if re.fullmatch(r"[0-9]+[kmg]?b", value, re.ASCII) else _number(value, 1, 1000000)


def _interval(value: str) -> str:
    ok = re.fullmatch(
        r"[0-9]+(\.[0-9]+)?(s|sec|secs|ms|msec|msecs|us|usec|usecs)?", value, re.ASCII | re.IGNORECASE
    )
    return "" if ok else "a time such as 250ms or 0.5s"


def _tcp_options(value: str) -> str:
    names = ("wscale", "mss", "sack-permitted", "sack", "timestamp", "md5")
    for part in value.split(","):
        if part not in names and _number(part, 2, 255):
            return f"numbers from 2 to 255, or {', '.join(names)}"
    return ""


def _hex(value: str) -> str:
    inside = value.split("|")[1::2]
    for part in inside:
        if not re.fullmatch(r"(\s*[0-9A-Fa-f]{2}\s*)*", part, re.ASCII):
            return "text, with pairs of hexadecimal digits between | and |"
    return "" if value.count("|") % 2 == 0 else "text, with pairs of hexadecimal digits between | and |"


def _time(value: str) -> str:
    match = re.fullmatch(r"([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2}))?", value, re.ASCII)
    ok = match is not None and int(match[1]) < 24 and int(match[2]) < 60 and int(match[3] or 0) < 60
    return "" if ok else "a time such as 08:30 or 08:30:00"


def _month_days(value: str) -> str:
    wrong = any(_number(part, 1, 31) for part in value.split(","))
    return "days from 1 to 31, with commas between them" if wrong else ""


def _date(value: str) -> str:
    day = r"[0-9]{4}(-[0-9]{1,2}(-[0-9]{1,2}(T[0-9]{1,2}(:[0-9]{1,2}(:[0-9]{1,2})?)?)?)?)?"
    return "" if re.fullmatch(day, value, re.ASCII) else "a date such as 2026-11-30 or 2026-11-30T08:30:00"


def _ids(value: str) -> str:
    """A user or group: its name, which depends on the machine, its number, or a range of numbers."""
    ok = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*\$?", value, re.ASCII)
    numbers = [integer(part) for part in value.split("-")]
    if not ok and (len(numbers) > 2 or any(number is None or number >= 0xFFFFFFFF for number in numbers)):
        return "a name, a number, or two with a hyphen between them"
    return ""


def _header_options(value: str) -> str:
    for part in value.split(","):
        kind, sign, length = part.partition(":")
        if _number(kind, 0, 255) or (sign and _number(length, 0, 255)):
            return "types of options from 0 to 255, each with or without a length behind a colon"
    return ""


def _bits_per_second(value: str) -> str:
    ok = re.fullmatch(
        r"[0-9]+(\.[0-9]+)?([kmgt]?(bit|bps)|[kmgt]i?(bit|bps))?", value, re.ASCII | re.IGNORECASE
    )
    return "" if ok else "a rate such as 10mbit"


def _mobility(value: str) -> str:
    names = [
        "binding-refresh-request",
        "brr",
        "home-test-init",
        "hoti",
        "careof-test-init",
        "coti",
        "home-test",
        "hot",
        "careof-test",
        "cot",
        "binding-update",
        "bu",
        "binding-acknowledgement",
        "ba",
        "binding-error",
        "be",
    ]
    parts = value.split(":")
    if len(parts) > 2 or not value:
        return "a type, or two with a colon between them"
    for part in parts:
        if (
            part
            and _number(part, 0, 255)
            and not [name for name in names if name.startswith(part.casefold())]
        ):
            return f"a number from 0 to 255, or one of {', '.join(names)}"
    return ""


def _u32(value: str) -> str:
    number = r"\s*(?:0[xX][0-9A-Fa-f]+|[0-9]+)\s*"
    location = rf"{number}(?:(?:&|<<|>>|@){number})*"
    span = rf"{number}(?::{number})?"
    test = rf"{location}={span}(?:,{span})*"
    return (
        "" if re.fullmatch(rf"{test}(?:&&{test})*", value, re.ASCII) else 'tests such as "0>>22&0x3C@0=0x1"'
    )


def _bytecode(value: str) -> str:
    count, _, program = value.partition(",")
    lines = [line for line in program.split(",") if line.strip()]
    ok = all(re.fullmatch(r"\s*[0-9]+\s+[0-9]+\s+[0-9]+\s+[0-9]+\s*", line, re.ASCII) for line in lines)
    if not ok or not count.isdecimal() or int(count) != len(lines) or not lines:
        return 'what nfbpf_compile prints: "COUNT,CODE JT JF K,…"'
    return ""


def _chunks(value: str) -> str:
    """Of SCTP: ``DATA:ube,INIT``, or ALL or NONE."""
    for part in value.split(","):
        name, sign, flags = part.partition(":")
        if name.casefold() not in [word.casefold() for word in WORDS["CHUNKS"][1]] or (
            sign and not flags.isalpha()
        ):
            return f"chunks, each with or without flags as in DATA:ube, of {', '.join(WORDS['CHUNKS'][1])}"
    return ""


_CHECKS: dict[str, Callable[[str], str]] = {
    "CHUNKS": _chunks,
    "PORTSPAN": _port_span,
    "PORTS": _ports,
    "RATE": _rate,
    "HASHRATE": _hash_rate,
    "PORT": _port,
    "PORTRC": _port_range,
    "MARKMASK32": _mark,
    "TOSMASK": _tos,
    "SYSLOGLEVEL": _level,
    "PROTOCOL": _protocol,
    "ETHERMAC": _mac,
    "DOUBLE": _double,
    "ICMP4": lambda value: _icmp(value, WORDS["ICMP4"][1]),
    "ICMP6": lambda value: _icmp(value, WORDS["ICMP6"][1]),
    "TOPORTS": _to_ports,
    "CLASS": _class,
    "REALM": lambda value: _number_mask(value, "cosmos"),
    "GROUP": lambda value: _number_mask(value, "default"),
    "IDS": _ids,
    "OPTS": _header_options,
    "BPS": _bits_per_second,
    "MH": _mobility,
    "U32": _u32,
    "BYTECODE": _bytecode,
    "DATE": _date,
    "ZONE": _zone,
    "INTERVAL": _interval,
    "TCPOPTIONS": _tcp_options,
    "HEX": _hex,
    "BURST": _burst,
    "INTERFACE": lambda value: "" if len(value.encode()) < 16 else "a name of at most 15 bytes",
    "TIME": _time,
    "MONTHDAYS": _month_days,
}
#: of kinds that differ between IPv4 and IPv6
_OF_A_FAMILY: dict[str, Callable[[str, int], str]] = {
    "PLEN": _bits,
    "PLENMASK": _mask,
    "ADDRESSES": _addresses,
    "TODESTINATION": _destination,
    "TOSOURCE": _translated,
    "HOST": _host,
    "HOSTMASK": _network,
}
