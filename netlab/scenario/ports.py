"""Ports in every form that Compose knows, expanded to one mapping a container port.

Source: the Compose specification ("ports") and Docker's parser of port specifications
(github.com/docker/go-connections ``nat.ParsePortSpec``), which Compose uses for the short form.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from typing import cast, get_args

from netlab.model.scenario import ExposedPort, PortMapping, Protocol
from netlab.scenario.tree import Report, Value, hint, shown

PROTOCOLS: tuple[str, ...] = get_args(Protocol)
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)


class PortError(ValueError):
    """A port that cannot be understood; the text is for the user."""


def port_range(text: str, *, zero: bool = False) -> tuple[int, int]:
    """``80`` or ``8000-8010`` as an inclusive range; port 0 only if ``zero``. Raises PortError."""
    match = _RANGE.fullmatch(text)
    if not match:
        raise PortError(f"{shown(text)} is not a port or a range of ports")
    low, high = int(match[1]), int(match[2] or match[1])
    if high > 65535 or (low == 0 and not zero):
        raise PortError(f"{shown(text)}: a port is a number from 1 to 65535")
    if low > high:
        raise PortError(f"{shown(text)}: the end of the range is below its start")
    return low, high


def protocol(text: str) -> Protocol:
    """``tcp``, ``udp`` or ``sctp``, in any case; raises PortError."""
    word = text.lower()
    if word not in PROTOCOLS:
        more = hint(word, PROTOCOLS) or f": it is one of {', '.join(PROTOCOLS)}"
        raise PortError(f"unknown protocol {shown(text)}{more}")
    return cast(Protocol, word)


def short_ports(text: str) -> list[PortMapping]:
    """``[[IP:][HOST]:]CONTAINER[/PROTOCOL]``, ranges included; no host port is any. Raises PortError."""
    spec, slash, proto = text.partition("/")
    if slash and not proto:
        raise PortError(f"{shown(text)} ends in a slash without a protocol")
    head, _, container = spec.rpartition(":")
    address, _, host = head.rpartition(":")
    if not container:
        raise PortError(f"{shown(text)} has no container port")
    if ":" in address and not address.startswith("["):
        raise PortError(f"{shown(text)}: an IPv6 address needs brackets ([{address}]:{host}:{container})")
    return expand(
        container=port_range(container),
        host=port_range(host, zero=True) if host else None,
        host_ip=host_address(address),
        proto=protocol(proto) if slash else "tcp",
        text=text,
    )


def host_address(text: str) -> str:
    """A host address as written, without brackets; empty stays empty, ``::ffff:192.0.2.1`` is IPv4.

    Raises PortError.
    """
    if not text:
        return ""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if "%" in bare:
        raise PortError(f"{shown(text)}: an address of a published port has no zone")
    try:
        found = ipaddress.ip_address(bare)
    except ValueError:
        raise PortError(f"{shown(text)} is not an IP address of the host") from None
    mapped = found.ipv4_mapped if found.version == 6 else None
    return bare if mapped is None else str(mapped)  # as Go's net.ParseIP, which the daemon uses


def expand(
    *, container: tuple[int, int], host: tuple[int, int] | None, host_ip: str, proto: Protocol, text: str
) -> list[PortMapping]:
    """One mapping for each container port. Raises PortError if the two ranges do not match."""
    first, last = container
    if host == (0, 0):
        host = None
    if host is None:
        return [PortMapping(port, proto, None, host_ip) for port in range(first, last + 1)]
    if first == last:
        return [PortMapping(first, proto, host, host_ip)]
    if host[1] - host[0] != last - first:
        raise PortError(
            f"{shown(text)}: {last - first + 1} container ports do not fit {host[1] - host[0] + 1} host ports"
        )
    shift = host[0] - first
    return [
        PortMapping(port, proto, (port + shift, port + shift), host_ip) for port in range(first, last + 1)
    ]


def long_ports(value: Value) -> list[PortMapping]:
    """The long form. Raises PortError."""
    target = value.get("target")
    if target is None:
        raise PortError('a port in the long form needs "target", the container\'s port')
    low, high = port_range(target.text)
    if low != high:
        raise PortError(f'{shown(target.text)}: "target" is one port; ranges are for the short form')
    published = value.get("published")
    proto = value.get("protocol")
    address = value.get("host_ip")
    return expand(
        container=(low, high),
        host=port_range(published.text, zero=True) if published and published.text else None,
        host_ip=host_address(address.text) if address else "",
        proto=protocol(proto.text) if proto and proto.text else "tcp",
        text=f"{published.text}:{target.text}" if published else target.text,
    )


def read_ports(value: Value | None, what: str, report: Report) -> list[tuple[PortMapping, Value]]:
    """All mappings of ``ports`` (in a message: ``what``) without duplicates, each with its entry.

    When Compose looks for duplicates, no host address means 0.0.0.0, and the later mapping counts
    (compose-go, override.EnforceUnicity).
    """
    found: dict[PortMapping, tuple[PortMapping, Value]] = {}
    for item in value or ():
        try:
            for mapping in long_ports(item) if isinstance(item.data, dict) else short_ports(item.text):
                found[replace(mapping, host_ip=mapping.host_ip or "0.0.0.0")] = (mapping, item)
        except PortError as error:
            report.add(item.at, f"{what}: {error}")
    return list(found.values())


def exposed(text: str, program: str = "") -> list[ExposedPort]:
    """``80``, ``53/udp``, ``8000-8010/tcp``. Raises PortError."""
    spec, slash, proto = text.strip().partition("/")
    if ":" in spec:
        raise PortError(f"{shown(text)} names a host port; this is a list of the container's own ports")
    low, high = port_range(spec)
    word = protocol(proto) if slash else "tcp"
    return [ExposedPort(port, word, program) for port in range(low, high + 1)]


def read_exposed(
    value: Value | None, what: str, report: Report, *, warn: bool = False
) -> tuple[ExposedPort, ...]:
    """All ports of ``expose`` or ``listen``, without duplicates.

    ``warn``: an invalid port is only a warning, because Docker accepts it and exposes nothing.
    """
    found: dict[ExposedPort, None] = {}
    for item in value or ():
        port, program = (
            (item.get("port"), item.get("program")) if isinstance(item.data, dict) else (item, None)
        )
        assert port is not None
        try:
            found.update(dict.fromkeys(exposed(port.text, program.text if program is not None else "")))
        except PortError as error:
            (report.warn if warn else report.add)(item.at, f"{what}: {error}")
    return tuple(found)


def udp_routed(value: Value | None) -> bool:
    """Whether an entry says ``udp_source: routed``."""
    source = value.get("udp_source") if value is not None else None
    return source is not None and source.text == "routed"
