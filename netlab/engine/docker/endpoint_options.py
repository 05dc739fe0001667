"""What may be asked for of a container on one network: options of its endpoint, and Compose's own keys.

Words of errors are those of 28.5.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netlab.engine.docker.option import DriverOption, OptionError, Options, declared
from netlab.engine.docker.traits import Traits
from netlab.model.event import EndpointSpec
from netlab.model.version import STILL, Span

_PREFIX = "com.docker.network.endpoint."
_IGNORED = "20.10.24 and 26.1.5 ignore it, 28.5.2 does not"

IFNAME = DriverOption(_PREFIX + "ifname", Span("28", STILL), f"{_IGNORED}; release notes of 28.0, moby#49155")
SYSCTLS = DriverOption(
    _PREFIX + "sysctls", Span("27", STILL), f"{_IGNORED}; release notes of 27.0, moby#47686"
)
KNOWN = declared(IFNAME, SYSCTLS)

#: Keys of Compose's own, which become fields of the API's request.
INTERFACE_NAME = DriverOption(
    "interface_name", Span("28", STILL), f"{_IGNORED}; Compose asks for 28.1 (API 1.49)"
)
GW_PRIORITY = DriverOption("gw_priority", Span("28", STILL), f"{_IGNORED}; moby#48936")

_SYSCTL = re.compile(r"net\.(?:ipv4|ipv6|mpls)\.\w+\.IFNAME\.\w+=.*", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    """What a version makes of the request for one endpoint."""

    interface_name: str
    gw_priority: int
    #: sysctls of the interface: (key with IFNAME in the place of its name, value)
    sysctls: tuple[tuple[str, str], ...]


def read(request: EndpointSpec, traits: Traits) -> EndpointOptions:
    """The options of an endpoint; raises :class:`OptionError` with the daemon's words."""
    given = Options(request.driver_opts, traits.version)
    compose = Options(_compose_keys(request), traits.version)
    return EndpointOptions(
        compose.get(INTERFACE_NAME) or given.get(IFNAME) or "",
        compose.number(GW_PRIORITY, 0),
        tuple(_sysctls(given.get(SYSCTLS))),
    )


def unread(request: EndpointSpec, traits: Traits) -> Iterator[str]:
    """What of a request has no effect on this version, each with why."""
    yield from Options(request.driver_opts, traits.version).unread(KNOWN)
    yield from Options(_compose_keys(request), traits.version).unread(declared(INTERFACE_NAME, GW_PRIORITY))


def _compose_keys(request: EndpointSpec) -> Mapping[str, str]:
    found = {GW_PRIORITY.key: str(request.gw_priority)} if request.gw_priority else {}
    return found | ({INTERFACE_NAME.key: request.interface_name} if request.interface_name else {})


def _sysctls(text: str | None) -> Iterator[tuple[str, str]]:
    for part in (text or "").split(",") if text else ():
        if not _SYSCTL.fullmatch(part):
            raise OptionError(
                f"invalid endpoint settings: unrecognised network interface sysctl '{part}'; represent "
                "'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            )
        key, _, value = part.partition("=")
        yield key, value
