"""Conntrack's own account of a flow agrees with its journey, and reading it starts nothing."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

import netlab
from netlab.kernel import netns
from netlab.kernel.netlink import conntrack, listening, sockdiag
from netlab.measure.session import Session
from netlab.model.family import FAMILIES, Family
from netlab.model.flow import Flow, Target

SEED = str(Path(__file__).parents[3] / "scenarios" / "httpd.yaml")


def run(*command: str) -> None:
    """Run a tool in the calling thread's namespace."""
    subprocess.run(command, check=True)


def test_translations_are_those_of_the_journey() -> None:
    with netlab.Lab(SEED, name=f"conntrack-{os.getpid()}") as lab:
        host = lab.namespaces["host"]
        forth = Flow("client", Target(name="host"), Family.IPV4, "tcp", 80, "198.51.100.1")
        out = Flow("httpd", Target(name="client"), Family.IPV4, "tcp", 7000, "198.51.100.2")
        v6 = Flow("client", Target(name="host"), Family.IPV6, "tcp", 80, "2001:db8:1::1")
        with Session(lab.namespaces, lab.plan) as session:
            journeys = session.measure([forth, out, v6])
        found = {(e.original.src, e.original.sport): e for e in conntrack.entries(host, Family.IPV4)}
        assert conntrack.entries(host, Family.IPV6) == ()
    for journey, sport in zip(journeys[:2], (j.flow.src for j in journeys), strict=False):
        assert sport is not None
        address, _, port = sport.rpartition(":")
        entry = found[address, int(port)]
        nat = journey.legs[0].nat
        assert (nat.dnat, nat.snat) == tuple(e and f"{e[0]}:{e[1]}" for e in (entry.dnat, entry.snat))
    assert journeys[0].legs[0].nat.dnat == "192.168.10.10:80"
    assert journeys[1].legs[0].nat.snat is not None


def test_what_the_engine_makes_conntrack_forget_is_deleted_and_nothing_else() -> None:
    namespace = netns.create()
    try:
        with netns.entered(namespace):
            for family in FAMILIES:
                run(f"{family.iptables}", "-w", "-A", "OUTPUT", "-m", "conntrack", "--ctstate", "NEW")
            run("iptables", "-w", "-t", "raw", "-A", "OUTPUT", "-p", "udp", "-j", "CT", "--zone", "7")
            run("ip", "link", "set", "lo", "up")
            for family in FAMILIES:
                with socket.socket(family.af, socket.SOCK_DGRAM) as sender:
                    for port in (9, 10):
                        sender.sendto(b"netlab", (family.loopback, port))
            chosen = conntrack.sent_to(conntrack.UDP, [("127.0.0.1", 9), ("", 10)])
            assert conntrack.delete(None, chosen) == 3
        left = [e for family in FAMILIES for e in conntrack.entries(namespace, family)]
        udp = [e.original for e in left if e.original.protocol == conntrack.UDP]
        assert [(one.dst, one.dport) for one in udp] == [("::1", 9)]
        assert conntrack.delete(namespace, conntrack.answered_by(["::1"])) == len(left)
        assert [conntrack.entries(namespace, family) for family in FAMILIES] == [(), ()]
    finally:
        os.close(namespace)


def test_listening_sockets_are_listed_and_a_refusal_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace = netns.create()
    try:
        with netns.entered(namespace):
            run("ip", "link", "set", "lo", "up")
            with (
                socket.create_server(("127.0.0.1", 80)),
                socket.create_server(("::", 81), family=socket.AF_INET6),
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
            ):
                datagrams.bind(("0.0.0.0", 53))
                found = {(one.protocol, one.address, one.port) for one in listening.listening()}
                assert sockdiag.listening_ports(None) == {80, 81}
            assert found == {("tcp", "127.0.0.1", 80), ("tcp", "::", 81), ("udp", "0.0.0.0", 53)}
            monkeypatch.setitem(listening._PROTOCOLS, "sctp", (250, 1 << 10))  # ENOENT: there is no such one
            assert list(listening.listening()) == []
            monkeypatch.setattr(listening, "SOCK_DIAG_BY_FAMILY", 99)
            monkeypatch.setattr("pyroute2.netlink.diag.SOCK_DIAG_BY_FAMILY", 99)  # no such request: EINVAL
            with pytest.raises(OSError, match="listing tcp sockets: Invalid argument"):
                list(listening.listening())
    finally:
        os.close(namespace)
