"""Loading rulesets: the way for tables that are not there yet gives what the plain one gives."""

from __future__ import annotations

import os

import pytest

from netlab.bench.plans import published
from netlab.engine.nft import WorkingNftChain, WorkingNftTable
from netlab.kernel import netns, ruleset
from netlab.model.family import FAMILIES, Family
from netlab.plan.render import nft_input, nft_text, restore_text

DROPPING = """\
*filter
:INPUT ACCEPT
:FORWARD DROP
:OUTPUT ACCEPT
:NETLAB -
-A FORWARD -j NETLAB
COMMIT
*mangle
:PREROUTING ACCEPT
:INPUT ACCEPT
:FORWARD ACCEPT
:OUTPUT ACCEPT
:POSTROUTING ACCEPT
-A PREROUTING -p tcp -m tcp --dport 80 -j MARK --set-xmark 0x1/0xffffffff
COMMIT
"""


def loaded(family: Family, text: str, *, fresh: bool) -> tuple[list[str], list[str]]:
    """What an empty namespace holds afterwards: iptables-save with counters, and nft's lines, sorted."""
    fd = netns.create()
    try:
        with netns.entered(fd):
            ruleset.start_iptables(family, text, fresh=fresh).finish()
            saved = [line for line in ruleset.save(family, counters=True).splitlines() if line[0] != "#"]
            return sorted(saved), sorted(ruleset.list_nft(handles=True).splitlines())
    finally:
        os.close(fd)


@pytest.mark.parametrize("family", FAMILIES, ids=str)
@pytest.mark.parametrize("text", [DROPPING, restore_text(published(3))], ids=["dropping", "accepting"])
def test_the_way_without_waits_gives_the_same(family: Family, text: str) -> None:
    text = (
        text
        if family is Family.IPV4
        else text.replace("10.1.0.2/32", "fd00::2/128").replace("10.1.0.2", "[fd00::2]")
    )
    plain, nft = loaded(family, text, fresh=False)
    assert len(plain) > 10
    fresh, nft_fresh = loaded(family, text, fresh=True)
    assert fresh == plain
    if "DROP" not in text:  # else the tables' own handles are in another order
        assert nft_fresh == nft


def test_only_the_end_waits_for_a_policy() -> None:
    text = ruleset.into_nothing(DROPPING)
    assert text.index("*mangle") < text.index("*filter")
    assert ":FORWARD DROP" in text
    assert ":NETLAB -" in text
    assert "ACCEPT" not in text


def test_the_line_at_fault_is_found(namespace: int) -> None:
    wrong = DROPPING.replace("-A FORWARD", "-A FORWARD -p nothing")
    with netns.entered(namespace), pytest.raises(ruleset.LabError, match="-A FORWARD -p nothing"):
        ruleset.start_iptables(Family.IPV4, wrong, fresh=True).finish()


def test_a_plan_has_the_elements_of_a_map_in_nft_s_own_order() -> None:
    names = [
        "docker0",
        "docker_httpd",
        "br-9",
        "br-10",
        "br-0123456789ab",
        "br-ba9876543210",
        "b",
        "a",
        "ab",
        "ba",
    ]
    table = WorkingNftTable(Family.IPV4, "docker-bridges")
    table.maps["jumps"] = dict.fromkeys(names, "jump in")
    table.chains["in"] = WorkingNftChain("in")
    wanted = table.freeze()
    fd = netns.create()
    try:
        with netns.entered(fd):
            ruleset.load_nft(nft_input(wanted))
            assert ruleset.list_nft() == nft_text(wanted)
    finally:
        os.close(fd)
