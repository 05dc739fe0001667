"""What packets that are made by hand look like."""

from __future__ import annotations

from dataclasses import dataclass

from netlab.model.family import Family


@dataclass(frozen=True, slots=True)
class Shape:
    """What packets of one template have in common.

    ``protocol`` is ``tcp``, ``udp`` or ``icmp`` (an echo request; ICMPv6's for IPv6). ``flags`` are TCP's, as
    scapy writes them (``S``, ``SA``, ``FPU``). ``fragment`` is the most octets of payload that a fragment
    carries, 0 for a whole packet.
    """

    family: Family
    protocol: str
    flags: str = "S"
    payload: bytes = b""
    hops: int = 64
    fragment: int = 0
