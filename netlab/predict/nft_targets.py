"""The statements of nftables as actions: verdicts, NAT, reject, marks, and what changes no packet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from netlab.model.family import Family
from netlab.predict.nft_tokens import Tokens
from netlab.predict.rules import (
    Action,
    Depends,
    Passive,
    Reject,
    SetMark,
    Translate,
    Unknown,
    Untrack,
    Verdict,
)
from netlab.predict.syntax import Where
from netlab.predict.xt_targets import endpoint_range

_ICMP = {
    "net-unreachable": (3, 0), "host-unreachable": (3, 1), "prot-unreachable": (3, 2),
    "port-unreachable": (3, 3),
    "net-prohibited": (3, 9), "host-prohibited": (3, 10), "admin-prohibited": (3, 13),
}  # fmt: skip
_ICMPV6 = {
    "no-route": (1, 0), "admin-prohibited": (1, 1), "addr-unreachable": (1, 3), "port-unreachable": (1, 4),
    "policy-fail": (1, 5), "reject-route": (1, 6),
}  # fmt: skip
#: icmpx: the same word, in each family's own codes (nft_reject_icmp_code, nft_reject_icmpv6_code)
_ICMPX = {
    "no-route": ((3, 0), (1, 0)), "port-unreachable": ((3, 3), (1, 4)), "host-unreachable": ((3, 1), (1, 3)),
    "admin-prohibited": ((3, 13), (1, 1)),
}  # fmt: skip
REJECTS: Mapping[str, Mapping[str, tuple[tuple[int, int], tuple[int, int]]]] = {
    "icmp": {name: (code, code) for name, code in _ICMP.items()},
    "icmpv6": {name: (code, code) for name, code in _ICMPV6.items()},
    "icmpx": _ICMPX,
}
_PERIOD = re.compile(r"\d+(?:[kmg]?bytes)?/(?:second|minute|hour|day|week)")
_T = TypeVar("_T")
_BITWISE = {"|": "or", "&": "and", "^": "xor", "or": "or", "and": "and", "xor": "xor"}
_NAT_FLAGS = ("random", "fully-random", "persistent")


def statement(tokens: Tokens, family: str) -> Action | Depends:
    """The next statement of a rule; raises ScenarioError for one that nft does not write."""
    word = tokens.take()
    if word in ("accept", "drop", "return", "continue"):
        return Verdict(word)  # type: ignore[arg-type]
    if word in ("jump", "goto"):
        return Verdict(word, tokens.take())  # type: ignore[arg-type]
    reader = {
        "counter": _counter, "log": _log, "limit": _limit, "quota": _quota, "reject": _reject,
        "notrack": _notrack,
    }.get(word)  # fmt: skip
    if reader is not None:
        return reader(tokens)
    if word in ("snat", "dnat", "masquerade", "redirect"):
        return _nat(word, tokens, family)
    if word in ("meta", "ct"):
        return _assigned(word, tokens)
    if word in (
        "queue",
        "tproxy",
        "synproxy",
        "dup",
        "fwd",
        "flow",
        "xt",
        "add",
        "update",
        "delete",
        "set",
        "tcp",
    ):
        return _other(word, tokens)
    if word in (
        "numgen",
        "jhash",
        "symhash",
        "socket",
        "osf",
        "exthdr",
        "rt",
        "hbh",
        "frag",
        "dst",
        "mh",
        "ipsec",
    ):
        return _rest(tokens, Depends(word))
    tokens.at -= 1
    tokens.wrong(f"{word!r} is neither a field of a packet nor a statement that netlab knows")


def _counter(tokens: Tokens) -> Action:
    if tokens.taken("packets"):
        tokens.take()
        tokens.take("bytes")
        tokens.take()
    elif tokens.taken("name"):
        tokens.take()
    return Passive("counter")


def _log(tokens: Tokens) -> Action:
    while tokens.next in ("prefix", "level", "group", "snaplen", "queue-threshold", "flags"):
        word = tokens.take()
        tokens.take()
        if word == "flags" and tokens.next in ("sequence", "options", "sequence,options"):
            tokens.take()
    return Passive("log")


def _limit(tokens: Tokens) -> Depends:
    if tokens.taken("name"):
        tokens.take()
        return Depends("limit")
    tokens.take("rate")
    tokens.taken("over")
    if not _PERIOD.fullmatch(tokens.next) and tokens.ahead:
        tokens.take()  # "10 mbytes/second"
    tokens.take()
    if tokens.taken("burst"):
        tokens.take()
        tokens.take()
    return Depends("limit")


def _quota(tokens: Tokens) -> Depends:
    if tokens.taken("name"):
        tokens.take()
        return Depends("quota")
    while tokens.next in ("over", "until", "used") or tokens.next[:1].isdecimal():
        tokens.take()
        if tokens.next in ("bytes", "kbytes", "mbytes"):
            tokens.take()
    return Depends("quota")


def _reject(tokens: Tokens) -> Action:
    if not tokens.taken("with"):
        return Reject()
    if tokens.taken("tcp", "reset"):
        return Reject(reset=True)
    kind = tokens.take()
    if kind not in REJECTS:
        tokens.at -= 1
        tokens.wrong(f"expected icmp, icmpv6, icmpx or tcp reset, found {kind!r}")
    tokens.taken("type")
    names = REJECTS[kind]
    word = tokens.take()
    if word not in names:
        tokens.at -= 1
        tokens.wrong(f"{word!r} is not an answer of reject: expected one of {', '.join(names)}")
    ipv4, ipv6 = names[word]
    return Reject(ipv4=ipv4, ipv6=ipv6)


def _notrack(tokens: Tokens) -> Action:
    del tokens
    return Untrack()


def _nat(word: str, tokens: Tokens, family: str) -> Action:
    words = {"ip": Family.IPV4, "ip6": Family.IPV6}
    side = "src" if word in ("snat", "masquerade") else "dst"
    own, only = words.get(family, Family.IPV4), None
    if tokens.next in words:
        own = only = words[tokens.take()]
    addresses = ports = None
    if tokens.taken("to"):
        text = tokens.take()
        where = Where(tokens.where.file, tokens.line, own)
        if (
            text in ("jhash", "numgen", "symhash", "ip", "ip6", "tcp", "udp", "meta", "ct")
            or tokens.next == "map"
        ):
            return _rest(tokens, Unknown(f"{word} to {text}"))
        if ":" in text and family == "inet" and text.count(":") > 1:
            where = Where(where.file, where.line, Family.IPV6)
        addresses, ports = endpoint_range(text, where, tokens.column)
    chance = False
    while tokens.next in _NAT_FLAGS or (tokens.next == "," and tokens.ahead in _NAT_FLAGS):
        chance |= tokens.take() in ("random", "fully-random")
    return Translate(
        side,  # type: ignore[arg-type]
        addresses,
        ports,
        masquerade=word == "masquerade",
        redirect=word == "redirect",
        random=chance,
        family=only,
    )


def _assigned(word: str, tokens: Tokens) -> Action | Depends:
    """``meta mark set 0x1``, ``ct mark set meta mark``, ``ct helper set "ftp"``, ``ct count 10``."""
    name = tokens.take()
    if word == "ct" and name == "count":
        tokens.taken("over")
        tokens.take()
        return Depends("ct count")
    if not tokens.taken("set"):
        tokens.wrong(f"expected 'set' after {word} {name}, found {tokens.next!r}")
    if name == "mark":
        combined = _combined(word, tokens)
        if combined is not None:
            return combined
        text = tokens.next
        if re.fullmatch(r"0x[0-9a-f]+|\d+", text):
            tokens.take()
            return SetMark("mark" if word == "meta" else "ctmark", 0, int(text, 0))
        return _rest(tokens, Unknown(f"{word} mark set {text}"))
    if name in ("nftrace", "priority", "helper", "label", "pkttype"):
        if name == "nftrace" or name == "pkttype":
            tokens.take()
            return Passive(f"{word} {name}")
        return _rest(tokens, Passive(f"{word} {name}"))
    return _rest(tokens, Unknown(f"{word} {name} set"))


def _combined(word: str, tokens: Tokens) -> Action | None:
    """``meta mark set meta mark | 0x2000``: the mark with some bits changed; None for anything else."""
    start = tokens.at
    same = tokens.taken(word, "mark") or tokens.taken("mark")
    sign, text = (tokens.take() if tokens else ""), tokens.next
    if not same or sign not in _BITWISE or not re.fullmatch(r"0x[0-9a-f]+|\d+", text):
        tokens.at = start
        return None
    tokens.take()
    value = int(text, 0)
    full = 0xFFFFFFFF
    keep, flip = {"or": (full ^ value, value), "and": (value, 0), "xor": (full, value)}[_BITWISE[sign]]
    return SetMark("mark" if word == "meta" else "ctmark", keep, flip)


def _other(word: str, tokens: Tokens) -> Action:
    """What the model knows by name only: the whole rest of the rule belongs to it."""
    if word == "tcp" and tokens.next == "option":
        return _rest(tokens, Passive("tcp option"))
    return _rest(tokens, Unknown(word))


def _rest(tokens: Tokens, found: _T) -> _T:
    while tokens:
        tokens.take()
    return found
