"""The matches of iptables as conditions. A match that the model does not know is a :class:`Depends`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from netlab.model.family import Family
from netlab.predict.rules import (
    CT_STATES,
    CT_STATUS,
    AddressType,
    AnyBit,
    Condition,
    Depends,
    In,
    Lookup,
    Masked,
    Named,
    Never,
    Ranges,
    ReversePath,
)
from netlab.predict.syntax import Where
from netlab.predict.xt_words import Extension, ExtensionOption

#: -m conntrack lists these two beside the states; bits that no state has
SNAT_STATE, DNAT_STATE = 0x100, 0x200
_XT_STATES = {**CT_STATES, "snat": SNAT_STATE, "dnat": DNAT_STATE}
#: extension headers and the like, which no packet of a flow has
_ABSENT = ("rt", "frag", "hbh", "dst", "ah", "esp", "mh", "ipcomp", "srh", "helper", "realm", "icmpx", "dccp")
_FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ALL": 63, "NONE": 0}
_PACKET_TYPES = {"unicast": 0, "host": 0, "broadcast": 1, "multicast": 2}
ICMP_TYPES: Mapping[Family, Mapping[str, tuple[int, int | None]]] = {
    Family.IPV4: {
        "echo-reply": (0, None), "pong": (0, None), "destination-unreachable": (3, None),
        "network-unreachable": (3, 0), "host-unreachable": (3, 1), "protocol-unreachable": (3, 2),
        "port-unreachable": (3, 3), "fragmentation-needed": (3, 4), "source-route-failed": (3, 5),
        "network-prohibited": (3, 9), "host-prohibited": (3, 10), "communication-prohibited": (3, 13),
        "source-quench": (4, None), "redirect": (5, None), "echo-request": (8, None), "ping": (8, None),
        "router-advertisement": (9, None), "router-solicitation": (10, None), "time-exceeded": (11, None),
        "ttl-exceeded": (11, None), "ttl-zero-during-transit": (11, 0), "ttl-zero-during-reassembly": (11, 1),
        "parameter-problem": (12, None), "timestamp-request": (13, None), "timestamp-reply": (14, None),
        "info-request": (15, None), "info-reply": (16, None), "address-mask-request": (17, None),
        "address-mask-reply": (18, None),
    },
    Family.IPV6: {
        "destination-unreachable": (1, None), "no-route": (1, 0), "communication-prohibited": (1, 1),
        "beyond-scope": (1, 2), "address-unreachable": (1, 3), "port-unreachable": (1, 4),
        "failed-policy": (1, 5), "reject-route": (1, 6), "packet-too-big": (2, None),
        "time-exceeded": (3, None),
        "ttl-exceeded": (3, None), "ttl-zero-during-transit": (3, 0), "parameter-problem": (4, None),
        "bad-header": (4, 0), "unknown-header-type": (4, 1), "unknown-option": (4, 2),
        "echo-request": (128, None), "ping": (128, None), "echo-reply": (129, None), "pong": (129, None),
        "mld-listener-query": (130, None), "mld-listener-report": (131, None),
        "mld-listener-done": (132, None),
        "mld-listener-reduction": (132, None), "nd-router-solicit": (133, None),
        "nd-router-advert": (134, None),
        "router-solicitation": (133, None), "router-advertisement": (134, None),
        "neighbour-solicitation": (135, None), "neighbor-solicitation": (135, None),
        "neighbour-advertisement": (136, None), "neighbor-advertisement": (136, None),
        "nd-neighbor-solicit": (135, None), "nd-neighbor-advert": (136, None), "redirect": (137, None),
        "nd-redirect": (137, None), "router-renumbering": (138, None), "mld2-listener-report": (143, None),
    },
}  # fmt: skip


def conditions(match: Extension, where: Where, sets: Mapping[str, Lookup]) -> list[Condition]:
    """What a match asks; raises ScenarioError for an option or a value that is wrong."""
    if match.name in _ABSENT:
        return [Never(f"-m {match.name}")]
    reader = _READERS.get(match.name)
    if match.name == "set":
        return list(_set(match, sets))
    if reader is None:
        return [Depends(f"-m {match.name}")]
    return list(reader(match, where))


def _unknown(option: ExtensionOption, match: Extension, where: Where, *known: str) -> None:
    where.choice(option.name, known, f"an option of -m {match.name}", option.column)


def _values(option: ExtensionOption, where: Where) -> None:
    if not option.values:
        where.wrong(f"{option.name} needs a value", option.column)


def span(text: str, where: Where, column: int, what: Callable[[str, int], int], most: int) -> Ranges:
    """``80``, ``80:90``, ``:90``, ``80:`` as a range."""
    low, colon, high = text.partition(":")
    first = what(low, column) if low else 0
    last = (what(high, column) if high else most) if colon else first
    if last < first:
        where.wrong(f"{text} is not a range: {last} is below {first}", column)
    return ((first, last),)


def _ports(match: Extension, where: Where) -> Iterator[Condition]:
    """Tcp, udp, sctp, udplite."""
    for option in match.options:
        if option.name in ("--sport", "--source-port", "--dport", "--destination-port"):
            _values(option, where)
            side = "sport" if option.name.startswith("--s") else "dport"
            yield In(side, span(option.value, where, option.at, where.port, 65535), option.negated)
        elif option.name == "--syn" and match.name == "tcp":
            yield Masked("tcpflags", 0x17, 0x02, option.negated)
        elif option.name == "--tcp-flags" and match.name == "tcp":
            if len(option.values) != 2:
                where.wrong("--tcp-flags needs two lists of flags", option.column)
            mask, value = (_flags(word.text, where, word.column) for word in option.values)
            yield Masked("tcpflags", mask, value, option.negated)
        elif option.name in ("--tcp-option", "--chunk-types"):
            yield Depends(f"-m {match.name} {option.name}")
        else:
            _unknown(option, match, where, "--sport", "--dport", "--tcp-flags", "--syn", "--tcp-option")


def _flags(text: str, where: Where, column: int) -> int:
    found = 0
    for name in text.split(","):
        found |= _FLAGS[where.choice(name.upper(), _FLAGS, "a TCP flag", column)]
    return found


def _multiport(match: Extension, where: Where) -> Iterator[Condition]:
    sides = {
        "--sports": "sport",
        "--source-ports": "sport",
        "--dports": "dport",
        "--destination-ports": "dport",
    }
    for option in match.options:
        if option.name not in (*sides, "--ports"):
            _unknown(option, match, where, "--sports", "--dports", "--ports")
        _values(option, where)
        ranges = tuple(
            found
            for part in option.value.split(",")
            for found in span(part, where, option.at, where.port, 65535)
        )
        if option.name == "--ports":
            either = tuple((In(side, ranges),) for side in ("sport", "dport"))
            yield Lookup(("any",), either, option.negated)
        else:
            yield In(sides[option.name], ranges, option.negated)


def _icmp(match: Extension, where: Where) -> Iterator[Condition]:
    for option in match.options:
        if option.name not in ("--icmp-type", "--icmpv6-type"):
            _unknown(option, match, where, "--icmp-type", "--icmpv6-type")
        _values(option, where)
        if option.value != "any":
            low, high = icmp_range(option.value, where, option.at)
            yield In("icmp", ((low, high),), option.negated)


def icmp_range(text: str, where: Where, column: int) -> tuple[int, int]:
    """``echo-request``, ``3``, ``3/1``: types and codes as the numbers ``type * 256 + code``."""
    known = ICMP_TYPES[where.family].get(text)
    if known is None:
        kind, slash, code = text.partition("/")
        if not kind.isdecimal():
            where.choice(text, ICMP_TYPES[where.family], "a type of ICMP", column)
        number = where.number(kind, "a type of ICMP", column, 255)
        known = number, where.number(code, "a code of ICMP", column, 255) if slash else None
    number, exact = known
    return (number * 256, number * 256 + 255) if exact is None else (number * 256 + exact,) * 2


_TUPLES = {
    "--ctorigsrc": "ctorigsrc", "--ctorigdst": "ctorigdst", "--ctreplsrc": "ctreplsrc",
    "--ctrepldst": "ctrepldst",
    "--ctorigsrcport": "ctorigsport", "--ctorigdstport": "ctorigdport", "--ctreplsrcport": "ctreplsport",
    "--ctrepldstport": "ctrepldport",
}  # fmt: skip


def _conntrack(match: Extension, where: Where) -> Iterator[Condition]:
    known = (*_TUPLES, "--ctstate", "--state", "--ctproto", "--ctstatus", "--ctdir", "--ctexpire")
    for option in match.options:
        _values(option, where)
        if option.name in ("--ctstate", "--state"):
            yield AnyBit("ctxtstate", _bits(option, _XT_STATES, "a state", where), option.negated)
        elif option.name == "--ctstatus":
            if option.value.upper() == "NONE":
                yield AnyBit("ctstatus", (1 << 16) - 1, not option.negated)
            else:
                names = {name.replace("-", "_"): bit for name, bit in CT_STATUS.items()}
                yield AnyBit("ctstatus", _bits(option, names, "a status", where), option.negated)
        elif option.name == "--ctdir":
            directions = {"ORIGINAL": 0, "REPLY": 1}
            number = directions[where.choice(option.value.upper(), directions, "a direction", option.at)]
            yield In("ctdir", ((number, number),), option.negated)
        elif option.name == "--ctproto":
            number = where.protocol(option.value, option.at)
            yield In("ctproto", ((number, number),), option.negated)
        elif option.name.endswith("port") and option.name in _TUPLES:
            ranges = span(option.value, where, option.at, where.port, 65535)
            yield In(_TUPLES[option.name], ranges, option.negated)
        elif option.name in _TUPLES:
            yield where.network(_TUPLES[option.name], option.value, option.at, negated=option.negated)
        elif option.name == "--ctexpire":
            yield Depends("-m conntrack --ctexpire")
        else:
            _unknown(option, match, where, *known)


def _bits(option: ExtensionOption, names: Mapping[str, int], what: str, where: Where) -> int:
    found = 0
    for word in option.value.split(","):
        found |= names[where.choice(word.lower(), names, what, option.at)]
    return found


def _addrtype(match: Extension, where: Where) -> Iterator[Condition]:
    interface = "in" if match.get("--limit-iface-in") else "out" if match.get("--limit-iface-out") else ""
    for option in match.options:
        if option.name in ("--src-type", "--dst-type"):
            _values(option, where)
            side = "src" if option.name == "--src-type" else "dst"
            types = frozenset(option.value.lower().split(","))
            yield AddressType(side, types, option.negated, interface)  # type: ignore[arg-type]
        elif option.name not in ("--limit-iface-in", "--limit-iface-out"):
            _unknown(
                option, match, where, "--src-type", "--dst-type", "--limit-iface-in", "--limit-iface-out"
            )


def _mark(match: Extension, where: Where) -> Iterator[Condition]:
    name = "mark" if match.name == "mark" else "ctmark"
    for option in match.options:
        if option.name != "--mark":
            _unknown(option, match, where, "--mark")
        _values(option, where)
        value, mask = masked(option.value, where, option.at)
        yield Masked(name, mask, value, option.negated)


def masked(text: str, where: Where, column: int) -> tuple[int, int]:
    """``0x1/0xff``: a value and its mask."""
    value, slash, mask = text.partition("/")
    return where.number(value, "a mark", column), where.number(
        mask, "a mask", column
    ) if slash else 0xFFFFFFFF


def _iprange(match: Extension, where: Where) -> Iterator[Condition]:
    for option in match.options:
        if option.name not in ("--src-range", "--dst-range"):
            _unknown(option, match, where, "--src-range", "--dst-range")
        _values(option, where)
        first, _, last = option.value.partition("-")
        ends = where.address(first, option.at), where.address(last or first, option.at)
        yield In("saddr" if option.name == "--src-range" else "daddr", (ends,), option.negated)


def _mac(match: Extension, where: Where) -> Iterator[Condition]:
    for option in match.options:
        _values(option, where)
        octets = option.value.split(":")
        if len(octets) != 6:
            where.wrong(f"{option.value!r} is not a MAC address", option.at)
        number = where.number("0x" + "".join(octets), "a MAC address", option.at, (1 << 48) - 1)
        yield In("mac", ((number, number),), option.negated)


def _physdev(match: Extension, where: Where) -> Iterator[Condition]:
    known = ("--physdev-in", "--physdev-out", "--physdev-is-in", "--physdev-is-out", "--physdev-is-bridged")
    for option in match.options:
        where.choice(option.name, known, "an option of -m physdev", option.column)
        side = "physout" if "out" in option.name else "physin"
        if option.name == "--physdev-is-bridged":
            yield In("bridged", ((1, 1),), option.negated)
        elif "-is-" in option.name:
            yield Named(side, "", prefix=True, negated=option.negated)
        else:
            _values(option, where)
            prefix = option.value.endswith("+")
            yield Named(side, option.value.removesuffix("+"), prefix, option.negated)


def _set(match: Extension, sets: Mapping[str, Lookup]) -> Iterator[Condition]:
    option = match.get("--match-set")
    if option is None or len(option.values) != 2 or len(match.options) > 1:
        yield Depends("-m set")
        return
    name, sides = option.value, option.values[1].text.split(",")
    known = sets.get(name)
    if known is None:
        yield Depends(f"-m set --match-set {name}")
        return
    fields = tuple("saddr" if side == "src" else "daddr" for side in sides[:1])
    elements = tuple(
        tuple(In(to, part.ranges) for to, part in zip(fields, element, strict=False) if isinstance(part, In))
        for element in known.elements
    )
    yield Lookup(fields, elements, option.negated)


def _compared(name: str, prefix: str) -> Callable[[Extension, Where], Iterator[Condition]]:
    """``--ttl-eq``, ``--ttl-lt``, ``--ttl-gt``."""

    def read(match: Extension, where: Where) -> Iterator[Condition]:
        for option in match.options:
            _values(option, where)
            number = where.number(option.value, "a number", option.at, 255)
            ranges = {"eq": (number, number), "lt": (0, number - 1), "gt": (number + 1, 255)}
            kind = where.choice(
                option.name.removeprefix(prefix), ranges, f"an option of -m {match.name}", option.column
            )
            yield In(name, (ranges[kind],), option.negated)

    return read


def _length(match: Extension, where: Where) -> Iterator[Condition]:
    for option in match.options:
        _values(option, where)

        def number(text: str, column: int) -> int:
            return where.number(text, "a length", column, 65535)

        yield In("length", span(option.value, where, option.at, number, 65535), option.negated)


def _pkttype(match: Extension, where: Where) -> Iterator[Condition]:
    for option in match.options:
        _values(option, where)
        number = _PACKET_TYPES[where.choice(option.value, _PACKET_TYPES, "a type of packet", option.at)]
        yield In("pkttype", ((number, number),), option.negated)


def _rpfilter(match: Extension, where: Where) -> Iterator[Condition]:
    del where
    names = {option.name for option in match.options}
    yield ReversePath(
        loose="--loose" in names,
        local="--accept-local" in names,
        mark="--validmark" in names,
        negated="--invert" in names,
    )


def _policy(match: Extension, where: Where) -> Iterator[Condition]:
    """IPsec: no flow of a lab is encrypted."""
    del where
    for option in match.options:
        if option.name == "--pol":
            yield Never("-m policy", negated=(option.value == "none") != option.negated)


def _field_zero(match: Extension, where: Where) -> Iterator[Condition]:
    """Tos and dscp: 0 in every packet of a flow."""
    names = {"--tos": 0xFF, "--dscp": 0x3F}
    for option in match.options:
        if option.name not in names:
            yield Depends(f"-m {match.name} {option.name}")
            continue
        _values(option, where)
        value, _, mask = option.value.partition("/")
        kept = where.number(mask, "a mask", option.at, 255) if mask else names[option.name]
        yield Masked("dscp", kept, where.number(value, "a number", option.at, 255), option.negated)


def _nothing(match: Extension, where: Where) -> Iterator[Condition]:
    """A comment asks nothing."""
    del match, where
    yield from ()


_READERS: Mapping[str, Callable[[Extension, Where], Iterator[Condition]]] = {
    "tcp": _ports, "udp": _ports, "sctp": _ports, "udplite": _ports, "multiport": _multiport, "icmp": _icmp,
    "icmp6": _icmp, "icmpv6": _icmp, "conntrack": _conntrack, "state": _conntrack, "addrtype": _addrtype,
    "mark": _mark, "connmark": _mark, "iprange": _iprange, "mac": _mac, "physdev": _physdev,
    "ttl": _compared("ttl", "--ttl-"), "hl": _compared("ttl", "--hl-"), "length": _length,
    "pkttype": _pkttype,
    "rpfilter": _rpfilter, "policy": _policy, "tos": _field_zero, "dscp": _field_zero, "comment": _nothing,
    "standard": _nothing,
}  # fmt: skip
