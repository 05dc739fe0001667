"""Frames of a rootless container, as bytes: what scapy packs is read, and what is packed scapy reads."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6ND_NA, ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Ether

from netlab.proxy.usermode import frames
from netlab.proxy.usermode.guest_tcp import _parse
from netlab.proxy.usermode.link import packed

MINE, GUEST = "02:00:00:00:00:01", "02:00:00:00:00:02"
ENDS = [("198.51.100.1", "198.51.100.2"), ("2001:db8:1::1", "2001:db8:1::2")]


def ip(src: str, dst: str) -> IP | IPv6:
    return (IPv6 if ":" in src else IP)(src=src, dst=dst)


@pytest.mark.parametrize(("src", "dst"), ENDS)
@pytest.mark.parametrize("size", [0, 1, 2, 1399])
def test_checksums_are_scapys(src: str, dst: str, size: int) -> None:
    for layer in (TCP(sport=1, dport=2, flags="S"), UDP(sport=1, dport=2)):
        whole = bytes(Ether(dst=MINE, src=GUEST) / ip(src, dst) / layer / (b"\xff" * size))
        packet = frames.parse(whole)
        assert isinstance(packet, frames.Packet)
        assert (packet.src, packet.dst) == (packed(src), packed(dst))
        again = type(ip(src, dst))(frames.ip_packet(packet))
        made = type(again)(bytes(ip(src, dst) / layer / (b"\xff" * size)))
        assert bytes(again.payload) == bytes(made.payload)
        if isinstance(again, IP):
            sent, again.chksum = again.chksum, None
            assert type(again)(bytes(again)).chksum == sent


def test_neighbours_are_answered() -> None:
    asked = bytes(
        Ether(src=GUEST, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=GUEST, psrc="10.0.2.100", pdst="10.0.2.2")
    )
    question = frames.parse(asked)
    assert isinstance(question, frames.ArpQuestion)
    answer = Ether(frames.arp_answer(question, bytes.fromhex(MINE.replace(":", ""))))
    assert (answer.dst, answer[ARP].op, answer[ARP].hwsrc, answer[ARP].psrc) == (GUEST, 2, MINE, "10.0.2.2")
    solicitation = Ether(src=GUEST) / IPv6(src="fd00::1", dst="ff02::1:ff00:2") / ICMPv6ND_NS(tgt="fe80::2")
    packet = frames.parse(bytes(solicitation))
    assert isinstance(packet, frames.Packet)
    target = frames.solicited(packet)
    assert target == packed("fe80::2")
    made = IPv6(frames.ip_packet(frames.advertisement(packet, target, bytes.fromhex(MINE.replace(":", "")))))
    assert (made.src, made.dst, made[ICMPv6ND_NA].tgt) == ("fe80::2", "fd00::1", "fe80::2")
    assert (made[ICMPv6ND_NA].S, made[ICMPv6ND_NA].O) == (1, 1)


@pytest.mark.parametrize(("src", "dst"), ENDS)
def test_an_error_quotes_the_packet(src: str, dst: str) -> None:
    about = frames.parse(bytes(Ether() / ip(src, dst) / UDP(sport=7, dport=9) / b"lost"))
    assert isinstance(about, frames.Packet)
    six = ":" in src
    made = frames.ip_packet(frames.unreachable(about, packed(dst), (1, 4) if six else (3, 3)))
    error = (IPv6 if six else IP)(made)
    kind = error[ICMPv6DestUnreach if six else ICMP]
    assert (error.src, error.dst, kind.type, kind.code) == (dst, src, 1 if six else 3, 4 if six else 3)
    quoted = error.payload.payload
    assert (quoted.src, quoted.dst, quoted.payload.sport, quoted.payload.dport) == (src, dst, 7, 9)


@pytest.mark.parametrize(
    "frame", [b"", b"\0" * 13, bytes(Ether() / IP())[:30], bytes(Ether(type=0x88CC)) + b"x" * 60]
)
def test_what_is_no_packet_is_passed_over(frame: bytes) -> None:
    assert frames.parse(frame) is None


def test_a_fragment_is_passed_over() -> None:
    assert frames.parse(bytes(Ether() / IP(flags="MF") / UDP() / b"x")) is None


def test_options_of_a_segment_are_read() -> None:
    options = [("NOP", None), ("MSS", 65480), ("SAckOK", b""), ("WScale", 9), ("EOL", None)]
    layer = IP() / TCP(sport=5, dport=6, seq=7, ack=8, flags="SA", window=9, options=options) / b"data"
    segment, sport, dport = _parse(bytes(IP(bytes(layer)).payload))
    assert segment is not None
    assert (sport, dport, segment.seq, segment.ack, segment.window) == (5, 6, 7, 8, 9)
    assert (segment.mss, segment.shift, segment.payload) == (65480, 9, b"data")
    cut, _, _ = _parse(b"\0" * 19)
    assert cut is None
