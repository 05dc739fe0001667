"""Thousands of rules: what becomes of packets stays exact and bounded, and what is too much is said."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from netlab.bench.exposure import ruleset
from netlab.exposure import chains
from netlab.exposure.exposure import Exposure
from netlab.exposure.overlap import Overlaps, numbers
from netlab.lab.load import load_plan
from netlab.model.family import Family
from netlab.model.plan import Plan

RULES = 3000
MEGABYTES = 512


def plan_of(folder: Path, rules: str) -> Plan:
    (folder / "rules.v4").write_text(rules, "utf-8")
    file = folder / "admin.yaml"
    file.write_text("services: {}\nx-netlab: {host: {firewall: {iptables: rules.v4}}}\n", "utf-8")
    return load_plan([file])


def test_thousands_of_rules_are_exact_and_take_bounded_memory(tmp_path: Path) -> None:
    text = ruleset(RULES)
    exposure = Exposure.of(plan_of(tmp_path, text), families=(Family.IPV4,))
    (part,) = exposure.parts
    drops = [line.partition(" -s ")[2].partition("/")[0] for line in text.splitlines() if " -s " in line]
    regions = {
        one.fate.by[3]: one for one in part.regions if one.fate.by is not None and " -s " in one.fate.by[3]
    }
    assert len(regions) == len(set(drops)) - sum(one.startswith("127.") for one in set(drops))
    assert part.diagrams.union(one.packets for one in part.regions) == part.asked
    union = part.diagrams.none
    for one in part.regions:
        assert union & one.packets == part.diagrams.none
        union |= one.packets
    assert len(part.diagrams.bdd) < 2_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 < MEGABYTES


def test_rules_that_divide_packets_into_too_many_parts_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "_MOST_NODES", 500)
    exposure = Exposure.of(plan_of(tmp_path, ruleset(200)), families=(Family.IPV4,))
    (part,) = exposure.parts
    unknown = [one for one in part.regions if one.fate.word == "unknown"]
    assert unknown, [str(one.fate) for one in part.regions]
    assert "FORWARD of host divide packets into more parts" in unknown[0].fate.why
    assert part.diagrams.union(one.packets for one in part.regions) == part.asked
    claimed = {one.fate.by[2] for one in part.regions if one.fate.by is not None}
    assert "FORWARD" not in claimed


def test_rules_whose_ranges_overlap() -> None:
    rules = [{"saddr": (1, 9)}, {"dport": (80, 80)}, {"saddr": (10, 20), "dport": (1, 79)}, {}]
    overlaps = Overlaps(
        [*rules, {"saddr": (9, 9), "dport": (80, 90)}, {"dport": (79, 80), "saddr": (20, 21)}],
        lambda _: 65535,
    )
    assert list(numbers(overlaps.of(0))) == []
    assert list(numbers(overlaps.of(2))) == []
    assert list(numbers(overlaps.of(3))) == [0, 1, 2]
    assert list(numbers(overlaps.of(4))) == [0, 1, 3]
    assert list(numbers(overlaps.of(5))) == [1, 2, 3]


def test_values_that_a_rule_shares_with_few_others() -> None:
    rules = [{"saddr": (0, 9)}, {"saddr": (10, 20)}, {"dport": (5, 5)}, {}, {"dport": (0, 99)}]
    overlaps = Overlaps(rules, lambda _: 99)
    assert overlaps.apart(2, 0b011) == (0, {"saddr": 21})
    # the fourth has no condition, and the fifth shares every port with the third
    assert overlaps.apart(2, 0b11011) == (0b11000, {"saddr": 21})
    assert overlaps.apart(0, 0b00110) == (0, {"saddr": 0, "dport": 0})
    assert overlaps.apart(3, 0) == (0, {})


@pytest.mark.parametrize("count", [63, 64, 65, 200])
def test_overlaps_are_those_that_a_plain_look_finds(count: int) -> None:
    ranges = [((number * 37) % 101, (number * 37) % 101 + number % 7) for number in range(count)]
    overlaps = Overlaps([{"saddr": one} for one in ranges], lambda _: 255)
    for number, (low, high) in enumerate(ranges):
        plain = [at for at in range(number) if ranges[at][0] <= high and low <= ranges[at][1]]
        assert list(numbers(overlaps.of(number))) == plain


def test_a_rule_that_several_others_shadow_together_is_found_among_many(tmp_path: Path) -> None:
    lines = ruleset(100).splitlines()
    at = lines.index("COMMIT")
    lines[at:at] = [
        "-A FORWARD -s 192.0.2.0/25 -j DROP",
        "-A FORWARD -s 192.0.2.128/25 -j DROP",
        "-A FORWARD -s 192.0.2.0/24 -p tcp -j ACCEPT",
    ]
    exposure = Exposure.of(plan_of(tmp_path, "\n".join([*lines, ""])), families=(Family.IPV4,))
    (unused,) = exposure.unused
    assert unused.rule.text == "-A FORWARD -s 192.0.2.0/24 -p tcp -j ACCEPT"
    sources = [one.text.split()[3] for one in unused.by if " -s " in one.text]
    assert sources == ["192.0.2.0/25", "192.0.2.128/25"]
