"""The options of the bridge driver, ``com.docker.network.*``, as a network is created with them.

Source: libnetwork/drivers/bridge/labels.go, libnetwork/netlabel/labels.go and fromLabels of each version; the
words of errors are those of 20.10.24, 26.1.5 and 28.5.2.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netlab.engine.docker.behaviour import OLDEST
from netlab.engine.docker.option import BOOLEANS, DriverOption, OptionError, Options, declared, parse_error
from netlab.engine.docker.traits import Traits
from netlab.engine.refusal import Refused
from netlab.model.family import Family
from netlab.model.version import STILL, Span
from netlab.scenario.addresses import wrong_interface

_PREFIX = "com.docker.network."
_EVER = Span(OLDEST, STILL)
_LABELS = "labels.go of 19.03.15 and 29.0.0"

NAME = DriverOption(_PREFIX + "bridge.name", _EVER, _LABELS)
ICC = DriverOption(_PREFIX + "bridge.enable_icc", _EVER, _LABELS)
MASQUERADE = DriverOption(_PREFIX + "bridge.enable_ip_masquerade", _EVER, _LABELS)
HOST_BINDING = DriverOption(_PREFIX + "bridge.host_binding_ipv4", _EVER, _LABELS)
DEFAULT_BRIDGE = DriverOption(_PREFIX + "bridge.default_bridge", _EVER, _LABELS)
INHIBIT_IPV4 = DriverOption(
    _PREFIX + "bridge.inhibit_ipv4", Span("20.10", STILL), "20.10.24; labels.go of 19.03.15 lacks it"
)
TRUSTED = DriverOption(
    _PREFIX + "bridge.trusted_host_interfaces",
    Span("28.2", STILL),
    "28.1.1 ignores it, 28.5.2 does not; moby#49832",
)
MODES = {
    Family.IPV4: DriverOption(
        _PREFIX + "bridge.gateway_mode_ipv4", Span("27", STILL), "26.1.5, 27.5.1; moby#47871"
    ),
    Family.IPV6: DriverOption(
        _PREFIX + "bridge.gateway_mode_ipv6", Span("27", STILL), "26.1.5, 27.5.1; moby#47871"
    ),
}
SNAT = {
    Family.IPV4: DriverOption(
        _PREFIX + "host_ipv4", Span("20.10", STILL), "20.10.24; labels.go of 19.03.15 lacks it"
    ),
    Family.IPV6: DriverOption(
        _PREFIX + "host_ipv6", Span("25", STILL), "20.10.24 ignores it, 26.1.5 does not"
    ),
}
MTU = DriverOption(_PREFIX + "driver.mtu", _EVER, _LABELS)
IFACE_PREFIX = DriverOption(_PREFIX + "container_iface_prefix", _EVER, _LABELS)
#: Families of the network, where the request itself says nothing of them.
ENABLE = {
    Family.IPV4: DriverOption(
        _PREFIX + "enable_ipv4", Span("28", STILL), "26.1.5 ignores it, 28.5.2 does not; moby#48323"
    ),
    Family.IPV6: DriverOption(
        _PREFIX + "enable_ipv6", Span("27", STILL), "26.1.5 ignores it; release notes of 27.0, moby#47867"
    ),
}
#: The old daemon parses it, and then takes what the request says.
PARSED_IPV6 = DriverOption(
    _PREFIX + "enable_ipv6", Span(OLDEST, "26"), "20.10.24 and 26.1.5 refuse anything but a boolean"
)
#: How often, and how fast, an address is advertised: (least, most).
ADVERTISE = {
    DriverOption(
        _PREFIX + "advertise_addr_nmsgs", Span("28", STILL), "26.1.5 ignores it, 28.5.2 checks it"
    ): (
        0,
        3,
    ),
    DriverOption(_PREFIX + "advertise_addr_ms", Span("28", STILL), "26.1.5 ignores it, 28.5.2 checks it"): (
        100,
        2000,
    ),
}

KNOWN = declared(
    NAME,
    ICC,
    MASQUERADE,
    HOST_BINDING,
    DEFAULT_BRIDGE,
    INHIBIT_IPV4,
    TRUSTED,
    *MODES.values(),
    *SNAT.values(),
    MTU,
    IFACE_PREFIX,
    *ENABLE.values(),
    *ADVERTISE,
)


@dataclass(frozen=True, slots=True)
class BridgeOptions:
    """The options of one network, checked."""

    bridge: str
    icc: bool
    masquerade: bool
    host_ip: str
    mtu: int
    prefix: str
    inhibit_ipv4: bool
    default_bridge: bool
    modes: dict[Family, str]
    trusted: tuple[str, ...]
    snat: dict[Family, str]


def read(
    network: str, bridge: str, opts: Mapping[str, str], traits: Traits, mtu: int = 1500
) -> BridgeOptions:
    """The options of the network of that name; raises :class:`Refused` as the driver does."""
    given = Options(opts, traits.version)
    try:
        _check_advertising(given)
        given.flag(PARSED_IPV6, False)
        return _read(given, bridge, traits, mtu)
    except OptionError as error:
        raise Refused("network", network, str(error)) from None


def enabled(
    network: str, opts: Mapping[str, str], traits: Traits, asked: Mapping[Family, bool | None]
) -> dict[Family, bool]:
    """Which families a network has, given the request's settings for each; raises :class:`Refused`."""
    given = Options(opts, traits.version)
    found = {}
    for family, default in ((Family.IPV4, True), (Family.IPV6, False)):
        request, option = asked[family], ENABLE[family]
        value = given.get(option) if request is None else None
        if value is not None and value not in BOOLEANS:
            raise Refused("network", network, f'driver-opt "{option.key}" is not a valid bool')
        found[family] = (
            default if request is None and value is None else request or BOOLEANS.get(value or "", False)
        )
    if not traits.ipv6_only:
        found[Family.IPV4] = True
    return found


def unread(opts: Mapping[str, str], traits: Traits, asked: Mapping[Family, bool | None]) -> Iterator[str]:
    """What of the options has no effect on this version, each with why."""
    yield from Options(opts, traits.version).unread(KNOWN)
    for family, option in ENABLE.items():
        if option.key in opts and asked[family] is not None:
            yield f"{option.key} has no effect: the network itself says {'yes' if asked[family] else 'no'}"


def _read(given: Options, bridge: str, traits: Traits, mtu: int) -> BridgeOptions:
    name = given.get(NAME) or bridge
    if len(name) > 15:
        raise OptionError(
            f"the bridge name {name!r} is longer than the 15 characters an interface may have: "
            "numerical result out of range"
        )
    trusted = tuple(part for part in (given.get(TRUSTED) or "").split(":") if part)
    for interface in (name, *trusted):
        if wrong := wrong_interface(interface):
            raise OptionError(wrong)
    mtu = given.number(MTU, mtu)
    if mtu < 0:
        raise OptionError(f"invalid MTU number: {mtu}")
    return BridgeOptions(
        bridge=name,
        icc=given.flag(ICC, True),
        masquerade=given.flag(MASQUERADE, True),
        host_ip=_address(given, HOST_BINDING),
        mtu=mtu or 1500,
        prefix=given.get(IFACE_PREFIX) or "eth",
        inhibit_ipv4=given.flag(INHIBIT_IPV4, False),
        default_bridge=given.flag(DEFAULT_BRIDGE, False),
        modes={family: _mode(given, family, traits) for family in Family},
        trusted=trusted,
        snat={family: found for family, option in SNAT.items() if (found := _address(given, option))},
    )


def _address(given: Options, option: DriverOption) -> str:
    """An address; the empty string if none is given."""
    value = given.get(option)
    if value is None:
        return ""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise parse_error(option, value, "nil ip") from None


def _mode(given: Options, family: Family, traits: Traits) -> str:
    value = given.get(MODES[family])
    if value is None:
        return "nat"
    if value not in traits.gateway_modes:
        raise parse_error(MODES[family], value, f"unknown gateway mode {value}")
    return value


def _check_advertising(given: Options) -> None:
    """validateAdvertiseAddrConfig: all that is wrong at once."""
    wrong = []
    for option, (least, most) in ADVERTISE.items():
        value = given.get(option)
        if value is None:
            continue
        try:
            number = int(value)
        except ValueError:
            wrong.append(f'value for option {option.key} "{value}" must be an integer')
            continue
        if not least <= number <= most:
            wrong.append(f"{option.key} must be in the range {least} to {most}")
    if wrong:
        raise OptionError("\n".join(wrong))
