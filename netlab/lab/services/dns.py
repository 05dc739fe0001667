"""The engines' DNS servers: Docker's in every container (libnetwork/resolver.go), and Podman's aardvark-dns.

They answer for names of a container's networks as A, AAAA and PTR: Docker's in its search order, rotating the
addresses of several containers. They forward nothing: an unknown name is a server failure. They have their
own codec: three simple record types need no library, whose import would take longer than the start of a lab's
servers.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING

from netlab.lab import state
from netlab.model.family import Family, bare
from netlab.model.plan import RESOLVER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.model.plan import NetworkFacts, Plan

#: The file, in the lab's private directory, that :func:`keep` writes and :class:`Servers` reads.
FILE = "resolvers.json"
#: Docker's respTTL, and aardvark-dns's CONTAINER_TTL, in seconds.
TTL, AARDVARK_TTL = 600, 60
#: The domain that Podman has containers search.
PODMAN_DOMAIN = ".dns.podman"

# RFC 1035, 3596, 6891
A, PTR, MX, AAAA, OPT = 1, 12, 15, 28, 41
_HEADER = Struct(">6H")  # id, flags, questions, answers, authorities, additional
_QUESTION = Struct(">2H")  # type, class
_RECORD = Struct(">2HIH")  # type, class, TTL, length
_IN = 1
_QR, _TC, _RD, _RA, _CD = 0x8000, 0x0200, 0x0100, 0x0080, 0x0010
_NO_ERROR, _FORMAT_ERROR, _SERVER_FAILURE, _NAME_ERROR, _NOT_IMPLEMENTED = 0, 1, 2, 3, 4
_POINTER = b"\xc0\x0c"  # to the question's name, right after the header
_UDP_SIZE, _TCP_SIZE = 512, 65535
_UDP_MOST = 65507  # what one IPv4 datagram carries
_LABEL, _NAME = 63, 255  # octets of a label, and of a whole name with its lengths
_FAMILIES = {A: Family.IPV4, AAAA: Family.IPV6}
_SUFFIXES = (".in-addr.arpa", ".ip6.arpa")


@dataclass(slots=True)
class Zone:
    """What is known of one network: lower-case names to addresses, and addresses to full names."""

    network: str
    names: dict[str, list[str]]
    reverse: dict[str, str]
    internal: bool = False
    #: which of several addresses comes first next time, by name and family
    turns: dict[tuple[str, Family], int] = field(default_factory=dict)

    def addresses(self, name: str, family: Family) -> list[str] | None:
        """The addresses of a name, of one family; None if the network does not have the name."""
        known = self.names.get(name)
        if known is None:
            return None
        found = [address for address in known if Family.of(address) is family]
        if len(found) < 2:
            return found
        turn = self.turns.get((name, family), 0) % len(found)
        self.turns[name, family] = turn + 1
        return found[turn:] + found[:turn]


class Server(ABC):
    """What all servers share: how a query is read, and an answer written."""

    __slots__ = ()

    def answer(self, query: bytes, limit: int = 0, *, asker: str = "") -> bytes | None:
        """The answer to a query of ``asker`` (an address); None if it is not a query.

        ``limit`` in octets (0: the limit of UDP).
        """
        if len(query) < _HEADER.size:
            return None
        number, flags, questions, *_ = _HEADER.unpack_from(query)
        if flags & _QR:
            return None
        if flags & 0x7800:
            return _HEADER.pack(number, _QR | flags & 0x7900 | _NOT_IMPLEMENTED, 0, 0, 0, 0)
        try:
            name, end = _name(query, _HEADER.size)
            kind, _ = _QUESTION.unpack_from(query, end)
            if questions != 1:
                raise ValueError("a query has one question")
        except (ValueError, IndexError, struct.error):
            return _HEADER.pack(number, _QR | flags & _RD | _FORMAT_ERROR, 0, 0, 0, 0)
        question = query[_HEADER.size : end + _QUESTION.size]
        records = self._records(name.rstrip("."), kind, asker)
        if isinstance(records, int):
            return _HEADER.pack(number, _QR | flags & (_RD | _CD) | records, 1, 0, 0, 0) + question
        limit = limit or min(_UDP_MOST, max(_UDP_SIZE, _udp_size(query, len(question))))
        flags = _QR | flags & (_RD | _CD) | _RA | _NO_ERROR
        room = limit - _HEADER.size - len(question)
        fitting = list(_fitting(records, room))
        if len(fitting) < len(records):
            flags |= _TC
        return _HEADER.pack(number, flags, 1, len(fitting), 0, 0) + question + b"".join(fitting)

    @abstractmethod
    def _records(self, name: str, kind: int, asker: str) -> list[bytes] | int:
        """The records that answer a question, or the code of an error."""


@dataclass(slots=True)
class DockerServer(Server):
    """The server of one container."""

    zones: list[Zone]
    #: (alias, network) to a name of that network
    aliases: dict[tuple[str, str], str]
    ndots: bool = False

    def lookup(self, name: str, family: Family) -> list[str] | None:
        """The addresses of ``name`` or ``name.network`` (Sandbox.ResolveName); None if unknown."""
        for wanted, network in _splits(name):
            zones = [zone for zone in self.zones if network in ("", zone.network)]
            for zone in zones:
                target = self.aliases.get((wanted, zone.network))
                if target is not None and (found := zone.addresses(target, family)) is not None:
                    return found
            for zone in zones:
                if (wanted, zone.network) not in self.aliases:
                    found = zone.addresses(wanted, family)
                    if found is not None:
                        return found
        return None

    def pointer(self, name: str) -> str | None:
        """The full name of the address that a name below ``in-addr.arpa`` or ``ip6.arpa`` says."""
        address = _address(name)
        for zone in self.zones if address else ():
            if address in zone.reverse:
                return zone.reverse[address]
        return None

    def _records(self, name: str, kind: int, asker: str) -> list[bytes] | int:
        """The records, or a server failure if another server would have to answer."""
        del asker  # only one container can ask
        name = name.lower()
        if kind in _FAMILIES:
            family = _FAMILIES[kind]
            found = self.lookup(name, family)
            if found is not None:
                return [_record(kind, socket.inet_pton(family.af, address)) for address in found]
            return [] if self.ndots and "." not in name else _SERVER_FAILURE
        if kind == MX and any(self.lookup(name, family) for family in Family):
            return []
        if kind == PTR and (full := self.pointer(name)) is not None:
            encoded = _encoded(full)
            return _SERVER_FAILURE if encoded is None else [_record(PTR, encoded)]
        return _SERVER_FAILURE


@dataclass(slots=True)
class AardvarkServer(Server):
    """The server at the gateway of one network.

    Who asks is known by the address: a container gets the names of all its networks, anybody else those of
    this one. Source: aardvark-dns, src/backend/mod.rs and src/dns/coredns.rs; recordings.
    """

    zone: Zone
    #: a container's address to its networks on this host; empty for 1.4, which minds the case of names, too
    members: dict[str, list[Zone]]
    exact: bool = False

    def _records(self, name: str, kind: int, asker: str) -> list[bytes] | int:
        zones = self.members.get(asker, [self.zone])
        name = name if self.exact else name.lower()
        if kind in _FAMILIES:
            wanted, family = name.removesuffix(PODMAN_DOMAIN), _FAMILIES[kind]
            known = [zone.names[wanted] for zone in zones if wanted in zone.names]
            if known:
                found = [a for addresses in known for a in addresses if Family.of(a) is family]
                return [_record(kind, socket.inet_pton(family.af, a), AARDVARK_TTL) for a in found]
        if kind == PTR and (address := _address(name)):
            names = [n for zone in zones for n, addresses in zone.names.items() if address in addresses]
            encoded = [_encoded(n) for n in dict.fromkeys(names)]
            if encoded:
                return [_record(PTR, data, AARDVARK_TTL) for data in encoded if data is not None]
        inside = asker in self.members and all(zone.internal for zone in zones)
        return _NAME_ERROR if inside else _SERVER_FAILURE


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """(name, network): the whole name in any network, then shorter and shorter prefixes in the network that
    the rest names.
    """
    yield name, ""
    end = len(name)
    while (end := name.rfind(".", 0, end)) != -1:
        yield name[:end], name[end + 1 :]


def _address(name: str) -> str:
    """``2.0.0.10.in-addr.arpa`` → ``10.0.0.2``; empty if it says none."""
    for suffix, number in zip(_SUFFIXES, (socket.AF_INET, socket.AF_INET6), strict=True):
        if name.endswith(suffix):
            parts = name[: -len(suffix)].split(".")[::-1]
            text = ".".join(parts)
            if number == socket.AF_INET6:
                digits = "".join(parts)
                text = ":".join(digits[at : at + 4] for at in range(0, len(digits), 4))
            try:
                return socket.inet_ntop(number, socket.inet_pton(number, text))
            except (OSError, ValueError):  # ValueError: a label may hold any octet, also NUL
                return ""
    return ""


def _name(message: bytes, at: int) -> tuple[str, int]:
    """The uncompressed name at an offset of a query, and the offset after it."""
    labels = []
    while length := message[at]:
        label = message[at + 1 : at + 1 + length]
        if length > _LABEL or len(label) < length or at > _NAME + _HEADER.size:
            raise ValueError("no name of a question")
        labels.append(label.decode("ascii", "backslashreplace"))
        at += 1 + length
    return ".".join(labels), at + 1


def _encoded(name: str) -> bytes | None:
    """A name in DNS format; None if it is too long, as names in Docker may be."""
    labels = [label.encode(errors="replace") for label in name.split(".")]
    if not all(1 <= len(label) <= _LABEL for label in labels):
        return None
    encoded = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return encoded if len(encoded) <= _NAME else None


def _record(kind: int, data: bytes, ttl: int = TTL) -> bytes:
    return _POINTER + _RECORD.pack(kind, _IN, ttl, len(data)) + data


def _fitting(records: list[bytes], room: int) -> Iterator[bytes]:
    for record in records:
        room -= len(record)
        if room < 0:
            return
        yield record


def _udp_size(query: bytes, question: int) -> int:
    """The size that the query's OPT record allows (RFC 6891); 0 without one."""
    at = _HEADER.size + question
    if _HEADER.unpack_from(query)[5] == 1 and len(query) >= at + 1 + _RECORD.size and query[at] == 0:
        kind, size, _, _ = _RECORD.unpack_from(query, at + 1)
        return int(size) if kind == OPT else 0
    return 0


def whole(stream: bytes) -> bool:
    """Whether the first query of a TCP stream is complete (RFC 1035, 4.2.2)."""
    return len(stream) >= 2 and len(stream) >= 2 + int.from_bytes(stream[:2], "big")


def next_query(stream: bytes) -> tuple[bytes, bytes]:
    """The first query of a TCP stream, which must be :func:`whole`, and the data after it."""
    end = 2 + int.from_bytes(stream[:2], "big")
    return stream[2:end], stream[end:]


def stream_answer(server: Server, query: bytes, *, asker: str = "") -> bytes:
    """The answer to a query over TCP, preceded by its length; empty if there is none."""
    answer = server.answer(query, _TCP_SIZE, asker=asker) or b""
    return len(answer).to_bytes(2, "big") + answer if answer else b""


# -- from the plan to the servers


def keep(private: str, plan: Plan) -> None:
    """Replace what all servers of a plan know.

    Each network's names are stored once.
    """
    containers = {node.name: node.container for node in plan.nodes}
    zones = {
        f"{n.host}/{n.name}": (n.name, _names(n), _reverse(n, containers), n.internal) for n in plan.networks
    }
    networks: dict[tuple[str, str], list[str]] = {}
    for n in plan.networks:
        for node, *_ in n.members:
            networks.setdefault((n.host, node), []).append(f"{n.host}/{n.name}")
    members: dict[str, dict[str, list[str]]] = {}
    for n in plan.networks:
        for node, _, addresses in n.members:
            of_host = members.setdefault(n.host, {})
            of_host.update((bare(address), networks[n.host, node]) for address in addresses)
    servers = {
        key_of(r.node, r.address): (
            r.program,
            r.host,
            [f"{r.host}/{name}" for name in r.networks],
            r.aliases,
            r.ndots,
        )
        for r in plan.resolvers
    }
    known = {"zones": zones, "servers": servers, "members": members}
    state.put(f"{private}/{FILE}", json.dumps(known).encode())


def key_of(node: str, address: str) -> str:
    """A server: the node in whose namespace it is, and the address that it listens on."""
    return f"{node} {address}"


def _names(network: NetworkFacts) -> dict[str, tuple[str, ...]]:
    return {name.name: name.addresses for name in network.names}


def _reverse(network: NetworkFacts, containers: dict[str, str]) -> dict[str, str]:
    """A container's address leads to its own name on the network."""
    return {
        address.partition("/")[0]: f"{containers[node]}.{network.name}"
        for node, _, addresses in network.members
        for address in addresses
    }


class Servers:
    """The servers of a lab, by node and address, as :func:`keep` wrote them last."""

    def __init__(self, private: str) -> None:
        self._path = f"{private}/{FILE}"
        self._read: tuple[int, int] | None = None
        self._servers: dict[str, Server] = {}

    def of(self, node: str, address: str = RESOLVER) -> Server:
        """The server of a node; if there is none, one without any names."""
        status = os.stat(self._path)
        if (status.st_ino, status.st_mtime_ns) != self._read:
            self._servers = _read(self._path)
            self._read = status.st_ino, status.st_mtime_ns
        return self._servers.get(key_of(node, address)) or DockerServer([], {})


def _read(path: str) -> dict[str, Server]:
    with open(path, "rb") as file:
        said = json.load(file)
    zones = {key: Zone(*zone) for key, zone in said["zones"].items()}
    members = {
        host: {address: [zones[key] for key in keys] for address, keys in found.items()}
        for host, found in said["members"].items()
    }
    servers: dict[str, Server] = {}
    for key, (program, host, keys, aliases, ndots) in said["servers"].items():
        if program == "docker":
            targets = {(alias, network): to for alias, network, to in aliases}
            servers[key] = DockerServer([zones[one] for one in keys], targets, ndots)
        else:
            newer = program == "aardvark-dns"
            known = members.get(host, {}) if newer else {}
            servers[key] = AardvarkServer(zones[keys[0]], known, exact=not newer)
    return servers


def open_port(protocol: str, port: int, address: str = RESOLVER) -> socket.socket:
    """The bound socket of a server, in the calling thread's namespace; raises OSError."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    sock = socket.socket(Family.of(address).af, kind)
    try:
        sock.setblocking(False)
        if protocol == "tcp":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        if protocol == "tcp":
            sock.listen()
    except BaseException:
        sock.close()
        raise
    return sock
