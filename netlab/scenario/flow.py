"""The grammar of flows: text → :class:`FlowPattern`.

::

    flow    = origins [":" port] "->" target [":" ports] ["/" proto] ["via" node] ["from" address] ["size" n]
    origins = name | glob | "[" list "]"
    target  = name ["@" network] | "localhost" | "gateway" ["@" network] | IPv4 | "[" IPv6 ["%" interface] "]"
    ports   = n | n-m | list | "*"          proto = tcp (default) | udp | sctp | icmp

A list of ports may have brackets (``[80,443]``) or not (``80,443``). The port of the origins is the source
port; without one, any free port is used. ``via``, ``from`` (the source address) and ``size`` (octets of data
that the request carries) come in any order.
"""

from __future__ import annotations

import ipaddress
import re
from typing import cast, get_args

from netlab.model.family import Family
from netlab.model.flow import FlowPattern, FlowProtocol, Target
from netlab.model.problem import Position, Problem, ScenarioError
from netlab.scenario.tree import hint, shown

PROTOCOLS: tuple[str, ...] = get_args(FlowProtocol)
KINDS = ("service", "host", "outside")

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
#: the name of an interface (dev_valid_name, net/core/dev.c)
_INTERFACE = re.compile(r"[^\s/:%\]]{1,15}")
_GLOB = re.compile(r"(?:(?:service|host|outside)/)?[A-Za-z0-9_.*?!-]+")
_PORTS = re.compile(r"\*|\[[^\]]*\]|[0-9][0-9,\s-]*")
_SPACE = re.compile(r"\s*")
_RANGE = re.compile(r"([0-9]{1,5})(?:\s*-\s*([0-9]{1,5}))?\Z")
#: what a responder reads of a request before it answers is twice this
MOST_DATA = 8000
_EXAMPLE = 'write it as "client -> host:80/tcp"'


def parse_flow(text: str, position: Position, protocol: FlowProtocol | None = None) -> FlowPattern:
    """Parse a flow pattern, whose first character is at ``position``.

    ``protocol`` overrides the text's. Raises ScenarioError, with the position of the wrong character.
    """
    return _Parser(text, position, protocol).flow()


class _Parser:
    def __init__(self, text: str, position: Position, forced: FlowProtocol | None) -> None:
        self.text = text
        self.position = position
        self.forced = forced
        self.at = 0

    def flow(self) -> FlowPattern:
        origins = self._origins()
        has_source_port = self._take(":")
        source_port_at = self.at
        source_port = self._source_port() if has_source_port else None
        self._skip()
        if not self._take("->"):
            self._fail(f'expected "->" after the origin; {_EXAMPLE}')
        self._skip()
        target = self._target()
        ports: tuple[tuple[int, int], ...] | None = ()
        has_ports = self._take(":")
        ports_at = self.at
        if has_ports:
            ports = self._ports()
        protocol: FlowProtocol = "tcp"
        if self._take("/"):
            protocol = self._protocol()
        protocol = self.forced or protocol
        if self.forced == "icmp":
            ports, has_ports, source_port = (), False, None
        if protocol == "icmp" and has_ports:
            self.at = ports_at
            self._fail("icmp has no ports")
        if protocol == "icmp" and source_port is not None:
            self.at = source_port_at
            self._fail("icmp has no ports")
        if protocol != "icmp" and not has_ports:
            self._fail(
                f'a {protocol} flow needs a port: "{target}:80/{protocol}", or "{target}:*/{protocol}"'
            )
        via, source, size = self._tail()
        self._skip()
        if self.at < len(self.text):
            self._fail(f"{shown(self.text[self.at :])} does not belong here; {_EXAMPLE}")
        family = None if target.address is None else Family.of(target.address)
        if source is not None:
            if family not in (None, Family.of(source)):
                self._fail(f"{target} and {source} are not of one family")
            family = Family.of(source)
        text = " ".join(self.text.split())
        return FlowPattern(origins, target, ports, protocol, via, family, text, source_port, source, size)

    # -- parts

    def _origins(self) -> tuple[str, ...]:
        self._skip()
        if not self._take("["):
            return (self._glob(),)
        found: list[str] = []
        while True:
            self._skip()
            if self._take("]"):
                break
            found.append(self._glob())
            self._skip()
            if self._take(","):
                continue
            if not self._take("]"):
                self._fail('expected "," or "]" in the list of origins')
            break
        if not found:
            self._fail("the list of origins is empty")
        return tuple(dict.fromkeys(found))

    def _glob(self) -> str:
        match = _GLOB.match(self.text, self.at)
        word = match.group() if match else ""
        arrow = word.find("-")
        while arrow >= 0 and self.text[self.at + arrow : self.at + arrow + 2] != "->":
            arrow = word.find("-", arrow + 1)
        word = word if arrow < 0 else word[:arrow]
        if not word:
            self._fail(f"expected the name of a node; {_EXAMPLE}")
        self.at += len(word)
        return word

    def _source_port(self) -> int:
        match = re.compile(r"[^\s>]*?(?=\s|->|\Z)").match(self.text, self.at)
        word = match.group() if match else ""
        if not re.fullmatch(r"[0-9]{1,5}", word, re.ASCII) or not 1 <= int(word) <= 65535:
            self._fail(f"{shown(word)} is not the port that packets come from (1-65535)")
        self.at += len(word)
        return int(word)

    def _target(self) -> Target:
        if self._take("["):
            end = self.text.find("]", self.at)
            literal = self.text[self.at : end if end >= 0 else len(self.text)].strip()
            address, percent, scope = literal.partition("%")
            if end < 0 or not _is_address(address, 6):
                self._fail(f"{shown(literal)} is not an IPv6 address in brackets")
            parsed = ipaddress.IPv6Address(address)
            if percent and not (parsed.is_link_local and _INTERFACE.fullmatch(scope)):
                self._fail(f"{shown(literal)}: only a link-local address has an interface behind %")
            self.at = end + 1
            return Target(address=str(parsed), scope=scope or None)
        start = self.at
        for kind in KINDS:
            if self.text.startswith(f"{kind}/", self.at) and not self._is_protocol(self.at + len(kind) + 1):
                self.at += len(kind) + 1
                break
        name = self._name("a target")
        whole = self.text[start : self.at]
        if whole == name and re.fullmatch(r"[0-9.]+", name):
            if not _is_address(name, 4):
                self.at = start
                self._fail(f"{shown(name)} is not an IPv4 address")
            return Target(address=name)
        if whole == name and self._looks_like_ipv6(start):
            self.at = start
            self._fail("an IPv6 address needs brackets: [2001:db8::1]")
        network = self._name("a network") if self._take("@") else None
        if network is not None and whole == "localhost":
            self._fail('localhost is on no network: write "localhost" alone')
        return Target(name=whole, network=network)

    def _looks_like_ipv6(self, start: int) -> bool:
        word = re.match(r"[0-9A-Fa-f:.]*", self.text[start:])
        return bool(word) and word.group().count(":") > 1 if word else False

    def _is_protocol(self, at: int) -> bool:
        word = re.match(r"[a-z]+", self.text[at:])
        after = self.text[at + len(word.group()) : at + len(word.group()) + 1] if word else ""
        return bool(word) and word.group() in PROTOCOLS and after not in (":", "/", "@") if word else False

    def _name(self, what: str) -> str:
        match = _NAME.match(self.text, self.at)
        if not match:
            self._fail(f"expected {what}; {_EXAMPLE}")
        assert match
        self.at = match.end()
        return match.group()

    def _ports(self) -> tuple[tuple[int, int], ...] | None:
        match = _PORTS.match(self.text, self.at)
        if not match:
            self._fail('expected a port, a range (8000-8010), a list (80,443) or "*"')
        assert match
        word = match.group().rstrip()
        if word == "*":
            self.at += 1
            return None
        found = []
        for part in word.strip("[]").split(","):
            bounds = _RANGE.match(part.strip())
            low, high = (int(bounds[1]), int(bounds[2] or bounds[1])) if bounds else (0, 0)
            if not 1 <= low <= high <= 65535:
                self._fail(f"{shown(part.strip())} is not a port or a range of ports (1-65535)")
            found.append((low, high))
        self.at += len(word)
        return tuple(dict.fromkeys(found))

    def _protocol(self) -> FlowProtocol:
        start = self.at
        match = re.compile(r"[A-Za-z0-9]+").match(self.text, self.at)
        word = match.group().lower() if match else ""
        if word not in PROTOCOLS:
            self.at = start
            more = hint(word, PROTOCOLS) or f": it is one of {', '.join(PROTOCOLS)}"
            self._fail(f"unknown protocol {shown(word)}{more}")
        self.at += len(word)
        return cast(FlowProtocol, word)

    def _tail(self) -> tuple[str | None, str | None, int | None]:
        """``via NODE``, ``from ADDRESS`` and ``size N``, in any order."""
        via, source, size = None, None, None
        while match := re.compile(r"\s+(via|from|size)\b\s*").match(self.text, self.at):
            if {"via": via, "from": source, "size": size}[match[1]] is not None:
                self._fail(f"{match[1]} is there twice")
            self.at = match.end()
            if match[1] == "via":
                via = self._via()
            elif match[1] == "from":
                source = self._source()
            else:
                size = self._size()
        return via, source, size

    def _source(self) -> str:
        match = re.compile(r"\[([^\]\s]*)\]|\S+").match(self.text, self.at)
        word = (match[1] or match[0]) if match else ""
        if not _is_address(word, 4) and not _is_address(word, 6):
            self._fail(f"{shown(word)} is not the address that packets come from")
        assert match is not None
        self.at = match.end()
        return str(ipaddress.ip_address(word))

    def _size(self) -> int:
        match = re.compile(r"\S+").match(self.text, self.at)
        word = match.group() if match else ""
        if not re.fullmatch(r"[0-9]{1,5}", word, re.ASCII) or not 1 <= int(word) <= MOST_DATA:
            self._fail(f"{shown(word)} is not a number of octets (1-{MOST_DATA})")
        self.at += len(word)
        return int(word)

    def _via(self) -> str:
        start = self.at
        for kind in KINDS:
            if self._take(f"{kind}/"):
                break
        self._name("the node that the frame is sent to")
        return self.text[start : self.at]

    # -- letters

    def _skip(self) -> None:
        match = _SPACE.match(self.text, self.at)
        assert match
        self.at = match.end()

    def _take(self, word: str) -> bool:
        if not self.text.startswith(word, self.at):
            return False
        self.at += len(word)
        return True

    def _fail(self, message: str) -> None:
        before = self.text[: self.at]
        line = self.position.line + before.count("\n")
        column = len(before) - before.rfind("\n") if "\n" in before else self.position.column + len(before)
        raise ScenarioError([Problem(Position(self.position.file, line, column), f"flow: {message}")])


def _is_address(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version and "%" not in text
    except ValueError:
        return False
