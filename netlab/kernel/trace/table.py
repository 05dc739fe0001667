"""The instrument's tables: mark first packets for tracing, and frame each hook.

There is one table for each family, with the owner flag, so the kernel removes it when its socket closes,
however the process ends. Each hook has two base chains: the first one sees a packet before any other rule,
the last one after all of them. So hooks without rules are visible, too, and what NAT did inside a hook is the
difference between the two. They end in an ``accept`` rule, because that costs one event, and an empty chain
two.

Packets are chosen by header bits only. A ``ct`` expression would enable conntrack, which does not run for
IPv6 with the rules of Docker 20.10, for example; then the instrument would change what it measures.

The batch is packed by hand: a table with an owner belongs to the socket that created it, so ``nft`` cannot
create it.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from struct import Struct
from typing import Final

from netlab.kernel.netlink.message import attribute
from netlab.kernel.netlink.nf_tables import (
    NFT_MSG_NEWCHAIN,
    NFT_MSG_NEWRULE,
    NFT_MSG_NEWTABLE,
    Family,
    hook_words,
    message,
    nest,
    open_socket,
    text,
    transaction,
    u32,
)
from netlab.kernel.packet import SEQUENCE
from netlab.model.errors import MachineError

#: In front of every table that netlab traces with, so that no session shows another's.
TABLE_PREFIX: Final = "netlab-trace-"
#: A packet with this mark is a canary: the first chain of the output hook reports and drops it.
CANARY_MARK: Final = 0x6E6C6362
#: One above the lowest: br_netfilter's ip_sabotage_in, at the lowest, takes away the second pass of a
#: bridged packet through PREROUTING (net/bridge/br_netfilter_hooks.c), which is not to be seen.
FIRST: Final = -(1 << 31) + 1
#: One below the highest, where conntrack confirms.
LAST: Final = (1 << 31) - 2

#: Where netlab's tables are added.
FAMILIES: Final = ("ip", "ip6", "bridge")
WIDE_FAMILIES: Final = (*FAMILIES, "arp", "netdev")
HOOKS: Final = ("prerouting", "input", "forward", "output", "postrouting")
_ENTRIES: Final = ("prerouting", "output")
#: The hooks and priorities of netlab's chains in each family. The bridge family rewrites no addresses; it
#: only shows the port on which a frame arrived, and whether it was switched.
_IP_STANDS: Final = tuple((hook, position) for hook in HOOKS for position in ("first", "last"))
STANDS: Final = {
    "ip": _IP_STANDS,
    "ip6": _IP_STANDS,
    "bridge": (
        ("prerouting", "first"),
        ("forward", "first"),
        ("forward", "last"),
        ("postrouting", "last"),
    ),
}
_ENDS: Final = ("first", "last")
#: The same for the wide instrument: before and after everything that a packet may pass.
WIDE_STANDS: Final = {
    "ip": _IP_STANDS,
    "ip6": _IP_STANDS,
    "bridge": _IP_STANDS,
    "arp": tuple((hook, position) for hook in ("input", "output") for position in _ENDS),
    "netdev": tuple((hook, position) for hook in ("ingress", "egress") for position in _ENDS),
}

_TH, _NH = 2, 1  # payload bases: transport, network
_META_MARK, _META_NFTRACE, _META_L4PROTO = 3, 12, 16
_REG32_00, _VERDICT_REG = 8, 0
_CMP_EQ, _CMP_NEQ, _CMP_LTE = 0, 1, 3
_NF_DROP, _NF_ACCEPT = 0, 1
_TABLE_F_OWNER = 2
_NLM_F_CREATE, _NLM_F_APPEND, _NLM_F_ACK, _NLM_F_REQUEST = 0x400, 0x800, 4, 1
_ERROR = Struct("=IHHIIi")


def expression(name: str, *data: bytes) -> bytes:
    """One expression of a rule (``NFTA_LIST_ELEM``)."""
    return nest(1, attribute(1, text(name)) + nest(2, b"".join(data)))


def _meta(key: int) -> bytes:
    return expression("meta", attribute(1, u32(_REG32_00)), attribute(2, u32(key)))


def _payload(base: int, offset: int, length: int) -> bytes:
    values = (_REG32_00, base, offset, length)
    return expression("payload", *(attribute(n, u32(v)) for n, v in enumerate(values, 1)))


def _mask(octets: bytes) -> bytes:
    return expression(
        "bitwise",
        attribute(1, u32(_REG32_00)),
        attribute(2, u32(_REG32_00)),
        attribute(3, u32(len(octets))),
        nest(4, attribute(1, octets)),
        nest(5, attribute(1, bytes(len(octets)))),
    )


def _compare(operator: int, octets: bytes) -> bytes:
    return expression(
        "cmp", attribute(1, u32(_REG32_00)), attribute(2, u32(operator)), nest(3, attribute(1, octets))
    )


def _trace() -> bytes:
    return expression(
        "immediate", attribute(1, u32(_REG32_00)), nest(2, attribute(1, b"\1\0\0\0"))
    ) + expression("meta", attribute(2, u32(_META_NFTRACE)), attribute(3, u32(_REG32_00)))


def _verdict(code: int) -> bytes:
    return expression("immediate", attribute(1, u32(_VERDICT_REG)), nest(2, nest(2, attribute(1, u32(code)))))


def _protocol(number: int) -> bytes:
    return _meta(_META_L4PROTO) + _compare(_CMP_EQ, bytes([number]))


def first_packets(family: str) -> tuple[bytes, ...]:
    """What matches a packet that begins or ends a conversation: the matches of one rule each.

    TCP with SYN or RST, and hand-made segments with any flags; UDP (a datagram has no bit that says "first");
    echo and errors of ICMP and ICMPv6, not neighbour discovery; SCTP's INIT, INIT ACK and ABORT; and later
    fragments of IPv4, which have no such bits.
    """
    matches = [
        _protocol(6) + _payload(_TH, 13, 1) + _mask(b"\x06") + _compare(_CMP_NEQ, b"\0"),
        _protocol(6) + _payload(_TH, 4, 4) + _compare(_CMP_EQ, SEQUENCE.to_bytes(4, "big")),
        _protocol(17),
    ]
    if family != "ip6":
        matches.append(_protocol(1))
    if family != "ip":
        matches.append(_protocol(58) + _payload(_TH, 0, 1) + _compare(_CMP_LTE, b"\x81"))
    matches += [
        _protocol(132) + _payload(_TH, 12, 1) + _compare(_CMP_EQ, bytes([kind])) for kind in (1, 2, 6)
    ]
    if family == "ip":
        matches.append(_payload(_NH, 6, 2) + _mask(b"\x1f\xff") + _compare(_CMP_NEQ, b"\0\0"))
    return tuple(matches)


def _rules(family: str, hook: str, position: str, selection: Sequence[bytes]) -> list[bytes]:
    """Packets are marked again at each IP hook, because another rule may have removed the mark."""
    rules = []
    if position == "first" and hook == "output" and family in ("ip", "ip6"):
        canary = _meta(_META_MARK) + _compare(_CMP_EQ, CANARY_MARK.to_bytes(4, sys.byteorder))
        rules.append(canary + _trace() + _verdict(_NF_DROP))
    if family in ("ip", "ip6") or hook in _ENTRIES or not all(selection):
        rules += [match + _trace() + _verdict(_NF_ACCEPT) for match in selection]
    return [*rules, _verdict(_NF_ACCEPT)]


def batch(
    table: str, families: Iterable[str], devices: Sequence[str] | None = None, first: int = FIRST
) -> tuple[bytes, ...]:
    """The messages that create the instrument, without the two that enclose a transaction.

    With ``devices``, the names of a namespace's interfaces, it is the wide instrument: every packet, at every
    hook of every family.
    """
    messages = []
    wide = devices is not None
    stands = WIDE_STANDS if wide else STANDS
    for family in families:
        number = Family[family]
        messages.append(
            message(
                NFT_MSG_NEWTABLE,
                number,
                attribute(1, text(table)) + attribute(2, u32(_TABLE_F_OWNER)),
                _NLM_F_CREATE,
            )
        )
        selection = (b"",) if wide else first_packets(family)
        for hook, position in stands[family]:
            chain = f"{position}-{hook}"
            priority = first if position == "first" else LAST
            place = attribute(1, u32(hook_words(family).index(hook))) + attribute(
                2, u32(priority & 0xFFFFFFFF)
            )
            if family == "netdev":
                place += nest(4, b"".join(attribute(1, text(device)) for device in devices or ()))
            body = (
                attribute(1, text(table))
                + attribute(3, text(chain))
                + nest(4, place)
                + attribute(5, u32(_NF_ACCEPT))
                + attribute(7, text("filter"))
            )
            messages.append(message(NFT_MSG_NEWCHAIN, number, body, _NLM_F_CREATE))
            for rule in _rules(family, hook, position, selection):
                body = attribute(1, text(table)) + attribute(2, text(chain)) + nest(4, rule)
                messages.append(message(NFT_MSG_NEWRULE, number, body, _NLM_F_CREATE | _NLM_F_APPEND))
    return tuple(messages)


class TraceTable:
    """The instrument in one namespace, until :meth:`close` or the end of the process.

    Raises :class:`~netlab.model.errors.MachineError` if the kernel refuses it.
    """

    def __init__(
        self,
        netns: int | None = None,
        families: Sequence[str] = FAMILIES,
        announce: Callable[[str], None] = lambda _: None,
        *,
        devices: Sequence[str] | None = None,
        first: int = FIRST,
    ) -> None:
        """``announce`` is called with the table's name before anything is added; ``devices``: see
        :func:`batch`.
        """
        self._socket = open_socket(netns)
        try:
            port = self._socket.getsockname()[0]
            self.name = f"{TABLE_PREFIX}{port & 0xFFFFFFFF:x}"
            announce(self.name)
            self._commit(batch(self.name, families, devices, first))
        except BaseException:
            self._socket.close()
            raise

    def _commit(self, messages: Sequence[bytes]) -> None:
        enclosed = transaction(messages)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * len(enclosed))
        self._socket.send(enclosed)
        # Processing is synchronous: all errors have arrived, and nothing else has.
        self._socket.setblocking(False)
        while True:
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                return
            _, _, _, _, _, code = _ERROR.unpack_from(data)
            if code:
                raise MachineError(
                    f"cannot set up the trace tables in nftables: {os.strerror(-code)}"
                    " (needed: CAP_NET_ADMIN, Linux 5.12 or newer with nf_tables)"
                )

    def close(self) -> None:
        """Remove the tables, by closing the socket that owns them; idempotent."""
        self._socket.close()
