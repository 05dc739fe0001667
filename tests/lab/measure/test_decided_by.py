"""Which rule let it in, where several tables have a say: the rule that accepted, not a policy behind it.

::

    forward:  ip filter … DOCKER accepts │ inet tenant, policy accept │ ip security, policy accept
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import netlab
from netlab.model.journey import DecidedBy

SCENARIO = """
services:
  web: {image: nginx, ports: ["8080:80", "9090:81"]}
x-netlab:
  host:
    engine: docker-20.10
    firewall: FIREWALL
  rules:
    - iptables -t security -A FORWARD -p sctp -j DROP
    - iptables -t security -A INPUT -p sctp -j DROP
    - nft add table inet tenant
    - "nft 'add chain inet tenant input { type filter hook input priority 10 ; policy accept ; }'"
    - "nft 'add chain inet tenant forward { type filter hook forward priority 10 ; policy accept ; }'"
    - "nft 'add chain inet tenant after { type filter hook postrouting priority 200 ; policy accept ; }'"
    - nft add rule inet tenant forward tcp dport 81 accept
"""


@pytest.fixture(scope="module", params=["none", "ufw"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[netlab.Lab]:
    file: Path = tmp_path_factory.mktemp("decided") / "tables.yaml"
    file.write_text(SCENARIO.replace("FIREWALL", request.param))
    with netlab.Lab(str(file), name=f"decided-{request.param}-{os.getpid()}") as built:
        yield built


def decided(lab: netlab.Lab, flow: str) -> DecidedBy:
    journey = lab.probe(flow, family=4)
    assert journey.outcome == "ok"
    tables = {hit.table for leg in journey.legs for visit in leg.hooks for hit in visit.rules}
    assert {"filter", "tenant", "security"} <= tables
    return journey.decided_by


def test_a_published_port_is_let_in_by_the_engines_rule(lab: netlab.Lab) -> None:
    by = decided(lab, "client -> host:8080/tcp")
    assert (by.kind, by.table, by.chain, by.hook) == ("rule", "filter", "DOCKER", "forward")
    assert "--dport 80 -j ACCEPT" in (by.rule or "")


def test_of_two_rules_the_last_one_had_the_last_word(lab: netlab.Lab) -> None:
    by = decided(lab, "client -> host:9090/tcp")
    assert (by.kind, by.family, by.table, by.chain) == ("rule", "inet", "tenant", "forward")


def test_what_no_rule_accepted_a_policy_let_in(lab: netlab.Lab) -> None:
    """Beside ufw there is a rule for an echo; without it every table has its policy alone to say."""
    by = decided(lab, "client -> host/icmp")
    if any("ufw-before-input" in line for line in lab.exec("host", ["iptables", "-S"]).stdout.splitlines()):
        assert (by.kind, by.table, by.chain) == ("rule", "filter", "ufw-before-input")
    else:
        assert (by.kind, by.verdict, by.hook) == ("policy", "accept", "input")
