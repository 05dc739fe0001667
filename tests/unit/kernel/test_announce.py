"""The frames that announce an address, read back by another implementation."""

from __future__ import annotations

from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

from netlab.kernel.announce import frame

MAC = "02:42:ac:1e:00:0a"


def test_gratuitous_arp() -> None:
    read = Ether(frame(MAC, "172.30.0.10"))
    assert (read.src, read.dst) == (MAC, "ff:ff:ff:ff:ff:ff")
    assert (read[ARP].psrc, read[ARP].pdst, read[ARP].hwsrc) == ("172.30.0.10", "172.30.0.10", MAC)


def test_unsolicited_neighbour_advertisement() -> None:
    raw = frame(MAC, "fd00:30::2")
    read = Ether(raw)
    assert (read.dst, read[IPv6].dst, read[IPv6].hlim) == ("33:33:00:00:00:01", "ff02::1", 255)
    assert (read[ICMPv6ND_NA].tgt, read[ICMPv6ND_NA].O, read[ICMPv6ND_NA].S) == ("fd00:30::2", 1, 0)
    assert read[ICMPv6NDOptDstLLAddr].lladdr == MAC
    sum_sent = read[ICMPv6ND_NA].cksum
    del read[ICMPv6ND_NA].cksum
    assert Ether(bytes(read))[ICMPv6ND_NA].cksum == sum_sent
