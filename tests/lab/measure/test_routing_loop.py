"""A packet that comes back to a host it has left is followed, and the end of its way is found."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

import netlab
from netlab.model.journey import Icmp

SCENARIO = """
services:
  web: {image: nginx}
  shop: {image: nginx}
x-netlab:
  hosts:
    one: {engine: docker-28, interfaces: {ext0: {addresses: [198.51.100.1/24]}}}
    two: {engine: docker-28, interfaces: {ext0: {addresses: [198.51.100.4/24]}}}
  services:
    web: {host: one}
    shop: {host: two}
"""
#: Two hosts that send each other what neither has.
OTHER = {"one": "198.51.100.4", "two": "198.51.100.1"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[netlab.Lab]:
    file = tmp_path_factory.mktemp("loop") / "loop.yaml"
    file.write_text(SCENARIO)
    with netlab.Lab(str(file), name=f"loop-{os.getpid()}") as built:
        for host, other in OTHER.items():
            built.exec(host, ["ip", "route", "add", "203.0.113.0/24", "via", other], check=True)
            built.exec(host, ["iptables", "-I", "DOCKER-USER", "-j", "ACCEPT"], check=True)
            redirects = [f"net.ipv4.conf.{name}.send_redirects=0" for name in ("all", "ext0")]
            built.exec(host, ["sysctl", "-qw", *redirects], check=True)
        yield built


@pytest.mark.parametrize("protocol", ["80/udp", "80/tcp"])
def test_a_packet_goes_round_until_its_hop_limit_runs_out(lab: netlab.Lab, protocol: str) -> None:
    journey = lab.probe(f"client -> 203.0.113.9:{protocol} via one", family=4)
    last = OTHER[{"one": "two", "two": "one"}[journey.legs[-1].node]]
    assert (journey.outcome, journey.icmp) == ("unreachable", Icmp(11, 0, last))
    assert (journey.decided_by.kind, journey.decided_by.rule) == ("none", "the packet's hop limit ran out")
    assert len(journey.legs) > 32
    assert {leg.node for leg in journey.legs} == set(OTHER)
    assert {leg.letters for leg in journey.legs[:-1]} == {"PFS"}


def test_a_packet_that_comes_back_with_the_hosts_own_source_is_lost_there(lab: netlab.Lab) -> None:
    journey = lab.probe("web -> 203.0.113.9:80/udp", family=4)
    assert [(leg.node, leg.letters) for leg in journey.legs] == [("one", "PFS"), ("two", "PFS"), ("one", "P")]
    assert (journey.outcome, journey.decided_by.kind) == ("timeout", "route")
    assert "iif ext0: Invalid argument" in str(journey.decided_by.rule)
