"""What was read on a running lab's host, for the next event to act upon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netlab.model.family import Family

#: The settings that an engine reads before it writes.
READ = (
    "net.ipv4.ip_forward",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv6.conf.all.forwarding",
    "net.ipv6.conf.default.forwarding",
    "net.ipv6.conf.all.disable_ipv6",
    "net.ipv6.conf.default.disable_ipv6",
)


@dataclass(frozen=True, slots=True)
class Observation:
    """What ``iptables-save`` prints for each family, and the values of the settings in READ."""

    rules: Mapping[Family, str]
    sysctls: Mapping[str, str]
    #: what ``nft list table`` prints of the engine's own tables, by family and name; empty: it is gone
    native: Mapping[tuple[str, str], str] = field(default_factory=dict)
