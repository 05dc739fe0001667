"""The targets of iptables as actions; one whose effect the model does not know is an :class:`Unknown`."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

from netlab.model.family import Family
from netlab.predict.rules import (
    Action,
    CopyMark,
    Passive,
    Reject,
    SetMark,
    Translate,
    Unknown,
    Untrack,
    Verdict,
)
from netlab.predict.syntax import Where
from netlab.predict.xt_matches import masked
from netlab.predict.xt_words import Extension, ExtensionOption

_VERDICTS = ("ACCEPT", "DROP", "RETURN")
#: what neither ends a packet nor changes what rules, routes or sockets see of it
_PASSIVE = (
    "LOG", "NFLOG", "ULOG", "TCPMSS", "CHECKSUM", "TOS", "DSCP", "CLASSIFY", "ECN", "TCPOPTSTRIP", "TRACE",
    "RATEEST",
    "AUDIT", "SECMARK", "CONNSECMARK", "IDLETIMER", "LED",
)  # fmt: skip
_UNKNOWN = (
    "QUEUE", "NFQUEUE", "TPROXY", "TEE", "SYNPROXY", "HMARK", "CLUSTERIP", "TTL", "HL", "SET", "DNPT", "SNPT",
)  # fmt: skip
#: ``--reject-with``: type and code (libipt_REJECT, libip6t_REJECT)
REJECTS: Mapping[Family, Mapping[str, tuple[int, int]]] = {
    Family.IPV4: {
        "icmp-net-unreachable": (3, 0), "icmp-host-unreachable": (3, 1), "icmp-proto-unreachable": (3, 2),
        "icmp-port-unreachable": (3, 3), "icmp-net-prohibited": (3, 9), "icmp-host-prohibited": (3, 10),
        "icmp-admin-prohibited": (3, 13),
    },
    Family.IPV6: {
        "icmp6-no-route": (1, 0), "no-route": (1, 0), "icmp6-adm-prohibited": (1, 1),
        "adm-prohibited": (1, 1),
        "icmp6-addr-unreachable": (1, 3), "addr-unreach": (1, 3), "icmp6-port-unreachable": (1, 4),
        "icmp6-policy-fail": (1, 5), "icmp6-reject-route": (1, 6),
    },
}  # fmt: skip


def action(target: Extension | None, where: Where, chains: Container[str], *, goto: bool = False) -> Action:
    """What a target does; raises ScenarioError for one that is neither known nor a chain of the table."""
    if target is None:
        return Passive("")
    if goto or target.name in chains:
        if target.name not in chains:
            where.wrong(f"there is no chain {target.name!r} in this table", target.column)
        return Verdict("goto" if goto else "jump", target.name)
    if target.name in _VERDICTS:
        return Verdict(target.name.lower())  # type: ignore[arg-type]
    if target.name in _PASSIVE:
        return Passive(target.name)
    if target.name in _UNKNOWN:
        return Unknown(f"-j {target.name}")
    reader = _READERS.get(target.name)
    if reader is None:
        where.wrong(f"{target.name!r} is neither a target nor a chain of this table", target.column)
    return reader(target, where)


def _reject(target: Extension, where: Where) -> Action:
    option = target.get("--reject-with")
    if option is None or not option.values:
        return Reject()
    if option.value in ("tcp-reset", "tcp-rst"):
        return Reject(reset=True)
    names = REJECTS[where.family]
    known = names[where.choice(option.value, names, "an answer of REJECT", option.at)]
    return Reject(ipv4=known, ipv6=known)


def _nat(target: Extension, where: Where) -> Action:
    side = "src" if target.name in ("SNAT", "MASQUERADE") else "dst"
    chance = any(option.name in ("--random", "--random-fully") for option in target.options)
    addresses = ports = None
    for option in target.options:
        if option.name in ("--to-destination", "--to-source"):
            addresses, ports = endpoint_range(_one(option, where), where, option.at)
        elif option.name == "--to-ports":
            ports = _port_range(_one(option, where), where, option.at)
    return Translate(
        side,  # type: ignore[arg-type]
        addresses,
        ports,
        masquerade=target.name == "MASQUERADE",
        redirect=target.name == "REDIRECT",
        random=chance,
    )


def _one(option: ExtensionOption, where: Where) -> str:
    if not option.values:
        where.wrong(f"{option.name} needs a value", option.column)
    return option.value


def endpoint_range(
    text: str, where: Where, column: int
) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """``192.0.2.1-192.0.2.9:80-90``, ``[2001:db8::1]:80``, ``:80``: addresses and ports."""
    if where.family is Family.IPV6 and text.startswith("["):
        inner, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif where.family is Family.IPV6 and not text.startswith(":"):
        inner, port = text, ""
    else:
        inner, _, port = text.partition(":")
    ports = _port_range(port, where, column) if port else None
    if not inner:
        return None, ports
    first, _, last = inner.partition("-")
    first, last = first.strip("[]"), last.strip("[]")
    start = where.address(first, column)
    return (start, where.address(last, column) if last else start), ports


def _port_range(text: str, where: Where, column: int) -> tuple[int, int]:
    first, _, last = text.partition("/")[0].partition("-")
    start = where.port(first, column)
    return start, where.port(last, column) if last else start


def _netmap(target: Extension, where: Where) -> Action:
    """NETMAP rewrites the destination before routing, the source behind it: the chain tells."""
    option = target.get("--to")
    if option is None or not option.values:
        where.wrong("NETMAP needs --to NETWORK", target.column)
    address, _, length = option.value.partition("/")
    start = where.address(address, option.at)
    return Translate("dst", (start, start), prefix=int(length) if length.isdecimal() else where.family.bits)


def _mark(target: Extension, where: Where) -> Action:
    field = "mark" if target.name == "MARK" else "ctmark"
    for option in target.options:
        if option.name in ("--save-mark", "--restore-mark"):
            return _copy(target, where, save=option.name == "--save-mark")
        value, mask = masked(_one(option, where), where, option.at)
        full = 0xFFFFFFFF
        known = {
            "--set-xmark": (full ^ mask, value),
            "--set-mark": (full ^ (mask | value), value),
            "--and-mark": (value, 0),
            "--or-mark": (full ^ value, value),
            "--xor-mark": (full, value),
        }
        name = where.choice(option.name, known, f"an option of {target.name}", option.column)
        return SetMark(field, *known[name])  # type: ignore[arg-type]
    where.wrong(f"{target.name} needs an option, such as --set-xmark VALUE/MASK", target.column)


def _copy(target: Extension, where: Where, *, save: bool) -> Action:
    masks = {"--nfmask": 0xFFFFFFFF, "--ctmask": 0xFFFFFFFF}
    for option in target.options:
        if option.name in masks:
            masks[option.name] = where.number(_one(option, where), "a mask", option.at)
        elif option.name == "--mask":
            masks = dict.fromkeys(masks, where.number(_one(option, where), "a mask", option.at))
    return CopyMark(save, masks["--nfmask"], masks["--ctmask"])


def _ct(target: Extension, where: Where) -> Action:
    del where
    if target.name == "NOTRACK" or target.get("--notrack"):
        return Untrack()
    if target.get("--zone") or target.get("--zone-orig") or target.get("--zone-reply"):
        return Unknown("-j CT --zone")
    return Passive("CT")


_READERS: Mapping[str, Callable[[Extension, Where], Action]] = {
    "REJECT": _reject, "DNAT": _nat, "SNAT": _nat, "MASQUERADE": _nat, "REDIRECT": _nat, "NETMAP": _netmap,
    "MARK": _mark, "CONNMARK": _mark, "CT": _ct, "NOTRACK": _ct,
}  # fmt: skip
