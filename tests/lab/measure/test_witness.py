"""A share of ``nox -s witness``: random rules, each flow asked by netlab and by plain sockets."""

from __future__ import annotations

import contextlib
import math
import os
import random
import select
import time
from dataclasses import replace
from pathlib import Path

import pytest
from witness.layouts import ONE, Question, flows_of
from witness.readings import Readings, Ruleset, passes
from witness.run import Run
from witness.tally import Count

import netlab
from netlab.lab.client.instrument import measuring
from netlab.model.journey import Nat, Packet


@pytest.mark.parametrize("seed", [3, 11])
def test_nothing_false_is_said(seed: int) -> None:
    """Two labs, some thirty flows each. The seeds fix engine, firewall, rules and flows."""
    count = Count()
    Run(count, math.inf, most=30).lab(random.Random(seed), f"witness-{os.getpid()}-{seed}")
    assert count.false == []
    assert count.unmeasured == 0
    assert count.flows >= 30
    assert count.hooks >= 30
    assert count.connections >= 5


def test_the_second_reading_finds_what_is_not_so(tmp_path: Path) -> None:
    """A rule, a hook or a rewriting that netlab had not seen, or had made up, is a disagreement."""
    file = tmp_path / "read.yaml"
    file.write_text(ONE.scenario.format(engine="docker-28", firewall="none", proxy="true"))
    with netlab.Lab(str(file), name=f"read-{os.getpid()}") as lab:
        readings = Readings(lab.namespaces, ONE.hosts)
        with contextlib.closing(readings), measuring(lab.client) as session:
            readings.begin()
            (journey,) = session.measure(flows_of(lab, [Question("client -> host:8080/tcp", (), "", "")]))
            end = time.monotonic() + 30
            while (compared := readings.compare([journey])[0]).problem:
                assert time.monotonic() < end, compared.problem
                select.select([], [], [], 0.05)
            assert (compared.hooks, compared.connections) == (3, 1)
            (leg,) = journey.legs
            into, through, out = leg.hooks
            wrong = {
                "no": replace(leg, hooks=(replace(into, rules=(*into.rules, into.rules[0])), through, out)),
                "further": replace(leg, hooks=(into, replace(through, rules=through.rules[:-1]), out)),
                "the interfaces": replace(leg, hooks=(replace(into, iif="br0"), through, out)),
                "in forward of host, too": replace(leg, hooks=(into,), nat=Nat()),
                "conntrack rewrote": replace(leg, nat=Nat("172.18.0.9:80", None)),
                "nft printed no 1.2.3.4:5": replace(
                    leg, hooks=(replace(into, packet=Packet("1.2.3.4:5", "198.51.100.1:8080")),)
                ),
            }
            for words, made_up in wrong.items():
                (one,) = readings.compare([replace(journey, legs=(made_up,))])
                assert words in one.problem


def test_two_sessions_and_a_chain_before_theirs_are_one_pass() -> None:
    """A closer look has tables of its own; a chain at the lowest priority comes before both."""
    packet = 'packet: iif "a" oif "b" ip saddr 1.1.1.1 ip daddr 2.2.2.2 ip ttl 64 tcp sport 5 tcp dport 99'
    chains = ("inet wit c", "ip netlab-trace-7 first-forward", "ip netlab-trace-9 first-forward")
    after = ("ip filter FORWARD", "ip netlab-trace-9 last-forward", "ip netlab-trace-7 last-forward")
    once = [f"trace id 1f {chain} {packet}" for chain in chains]
    once.insert(1, "trace id 1f inet wit c policy accept")
    once += [f"trace id 1f {chain} {packet}" for chain in after]
    once.insert(5, "trace id 1f ip filter FORWARD rule accept # handle 8 (verdict accept)")
    known = Ruleset({("inet", "wit", "c"): "forward", ("ip", "filter", "FORWARD"): "forward"})
    known.texts[("ip", "filter", "FORWARD"), 8] = "-A FORWARD -j ACCEPT"
    both = [one.hits for one in passes(once + once[2:], known)]
    accepted = ("ip", "filter", "FORWARD", "-A FORWARD -j ACCEPT", "accept")
    assert both[0] == [("inet", "wit", "c", None, "policy accept"), accepted]
    assert both[1:] == [[accepted]]
