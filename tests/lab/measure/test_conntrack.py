"""Conntrack's own account of a flow agrees with its journey, and reading it starts nothing."""

from __future__ import annotations

import os
from pathlib import Path

import netlab
from netlab.kernel.netlink import conntrack
from netlab.measure.session import Session
from netlab.model.family import Family
from netlab.model.flow import Flow, Target

SEED = str(Path(__file__).parents[3] / "scenarios" / "httpd.yaml")


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
