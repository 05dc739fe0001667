"""The part of nf_tables that tracing needs: packing, dumps of chains and rules, the generation.

Source: include/uapi/linux/netfilter/nf_tables.h and nfnetlink.h. Numbers in attributes are big-endian.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Final

from netlab.kernel import netns as namespaces
from netlab.kernel.netlink.message import attribute, attributes
from netlab.model.errors import MachineError
from netlab.model.trace import BaseChain

NETLINK_NETFILTER: Final = 12
NFNL_SUBSYS_NFTABLES: Final = 10
NFT_MSG_NEWTABLE: Final = 0
NFT_MSG_GETTABLE: Final = 1
NFT_MSG_NEWCHAIN: Final = 3
NFT_MSG_GETCHAIN: Final = 4
NFT_MSG_NEWRULE: Final = 6
NFT_MSG_GETRULE: Final = 7
NFT_MSG_GETGEN: Final = 16

Family: Final = {"inet": 1, "ip": 2, "arp": 3, "netdev": 5, "bridge": 7, "ip6": 10}
WORD: Final = {number: word for word, number in Family.items()}
HOOK_WORDS: Final = ("prerouting", "input", "forward", "output", "postrouting", "ingress", "egress")
#: families whose hooks are numbered in another order (NF_NETDEV_*, NF_ARP_*)
_OTHER_HOOKS: Final = {"netdev": ("ingress", "egress"), "arp": ("input", "output", "forward")}
_DORMANT: Final = 1  #: NFT_TABLE_F_DORMANT: the chains are listed, but no packet passes them

_HEADER = Struct("=IHHIIBBH")
_NLMSG = Struct("=IH")
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ERROR_TYPE, _DONE = 2, 3
_NESTED = 0x8000


def nest(number: int, value: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(number | _NESTED, value)


def text(value: str) -> bytes:
    """A string with its end."""
    return value.encode() + b"\0"


def u32(value: int) -> bytes:
    """A number in network order."""
    return value.to_bytes(4, "big")


def message(kind: int, family: int, body: bytes, flags: int = 0) -> bytes:
    """One message to nf_tables, the request flag set."""
    head = _HEADER.pack(
        20 + len(body), NFNL_SUBSYS_NFTABLES << 8 | kind, flags | _REQUEST, 0, 0, family, 0, 0
    )
    return head + body


def transaction(messages: Sequence[bytes]) -> bytes:
    """Enclose messages so that all of them take effect at once or none does."""
    subsystem = int.from_bytes(bytes((0, NFNL_SUBSYS_NFTABLES)), "big")
    begin = _HEADER.pack(20, 16, _REQUEST, 0, 0, 0, 0, socket.htons(subsystem))
    end = _HEADER.pack(20, 17, _REQUEST, 0, 0, 0, 0, socket.htons(subsystem))
    return begin + b"".join(messages) + end


def open_socket(netns: int | None, flags: int = 0) -> socket.socket:
    """A bound nfnetlink socket in the namespace ``netns`` (None: the caller's own); raises OSError.

    It is bound at once: on an unbound socket joining a group succeeds, and nothing ever arrives.
    """
    with namespaces.inside(netns):
        sock = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | flags, NETLINK_NETFILTER
        )
    sock.bind((0, 0))
    return sock


def messages(sock: socket.socket, *, single: bool = False) -> Iterator[bytes]:
    """The payload of each message of an answer; raises OSError with the kernel's refusal."""
    while True:
        data = sock.recv(1 << 18)
        at = 0
        while at + 16 <= len(data):
            length, kind = _NLMSG.unpack_from(data, at)
            if kind == _DONE:
                return
            if kind == _ERROR_TYPE:
                code = -int.from_bytes(data[at + 16 : at + 20], sys.byteorder, signed=True)
                if code:
                    raise OSError(code, f"netlink: {os.strerror(code)}")
                return
            yield data[at + 16 : at + length]
            at += (length + 3) & ~3
        if single:
            return


def answers(sock: socket.socket, *, single: bool = False) -> Iterator[tuple[dict[int, bytes], int]]:
    """(attributes, family) of each message of nfnetlink's; raises OSError."""
    return ((attributes(data, 4), data[0]) for data in messages(sock, single=single))


def dump(
    sock: socket.socket, kind: int, family: int, body: bytes = b""
) -> Iterator[tuple[dict[int, bytes], int]]:
    """Request a whole table of any nfnetlink subsystem (``kind`` has the subsystem in its high octet)."""
    sock.send(_HEADER.pack(20 + len(body), kind, _REQUEST | _DUMP, 0, 0, family, 0, 0) + body)
    return answers(sock)


class Tables:
    """Questions to the nf_tables of one namespace (None: the caller's own)."""

    def __init__(self, netns: int | None = None) -> None:
        self._socket = open_socket(netns)

    def generation(self) -> int:
        """The ruleset's generation: it changes with every committed transaction."""
        self._socket.send(message(NFT_MSG_GETGEN, 0, b""))
        for values, _ in answers(self._socket, single=True):
            return int.from_bytes(values[1], "big")
        raise MachineError("nf_tables does not tell its generation")

    def base_chains(self) -> tuple[BaseChain, ...]:
        """Every base chain, in every family, including those of other sessions' instruments."""
        self._socket.send(message(NFT_MSG_GETTABLE, 0, b"", _DUMP))
        dormant = {
            (family, values[1])
            for values, family in answers(self._socket)
            if int.from_bytes(values.get(2, b""), "big") & _DORMANT
        }
        self._socket.send(message(NFT_MSG_GETCHAIN, 0, b"", _DUMP))
        return tuple(
            _base_chain(values, family)
            for values, family in answers(self._socket)
            if 4 in values and (family, values[1]) not in dormant
        )

    def handles(self, family: str, table: str) -> dict[str, list[int]]:
        """Chain → the handles of its rules, in order."""
        self._socket.send(message(NFT_MSG_GETRULE, Family[family], attribute(1, text(table)), _DUMP))
        chains: dict[str, list[int]] = {}
        for values, _ in answers(self._socket):
            chain = values[2].rstrip(b"\0").decode()
            chains.setdefault(chain, []).append(int.from_bytes(values[3], "big"))
        return chains

    def close(self) -> None:
        """Close the socket; idempotent."""
        self._socket.close()


def hook_words(family: str) -> tuple[str, ...]:
    """The hooks of a family, in the order of their numbers."""
    return _OTHER_HOOKS.get(family, HOOK_WORDS)


def _base_chain(values: dict[int, bytes], family: int) -> BaseChain:
    hook = attributes(values[4])
    table = values[1].rstrip(b"\0").decode()
    name = values[3].rstrip(b"\0").decode()
    number = int.from_bytes(hook[1], "big")
    policy = int.from_bytes(values.get(5, b"\0\0\0\1"), "big")
    own = name.partition("-")[0] if table.startswith("netlab-trace-") else ""
    return BaseChain(
        family=WORD[family],
        table=table,
        name=name,
        hook=hook_words(WORD[family])[number],
        type=values.get(7, b"filter\0").rstrip(b"\0").decode(),
        priority=int.from_bytes(hook[2], "big", signed=True),
        policy="drop" if policy == 0 else "accept",
        own=own,
    )
