"""``ip rule`` in predictions: which table a packet is routed by."""

from __future__ import annotations

from pathlib import Path

import pytest

import netlab
from netlab.predict.predictor import Predictor
from netlab.predict.routes import Query

SCENARIO = """
services:
  web:
    image: nginx
    ports: ["80:80"]
x-netlab:
  host:
    engine: docker-28
    rules: [{rules}]
"""


def plan_of(tmp_path: Path, *rules: str) -> Predictor:
    file = tmp_path / "case.yaml"
    file.write_text(SCENARIO.replace("{rules}", ", ".join(f'"{rule}"' for rule in rules)))
    return Predictor.of(netlab.load_plan([file]))


def outcome(tmp_path: Path, *rules: str, origin: str = "client") -> tuple[str, str]:
    file = tmp_path / "case.yaml"
    file.write_text(SCENARIO.replace("{rules}", ", ".join(f'"{rule}"' for rule in rules)))
    journey = netlab.Prediction(file).probe(f"{origin} -> host:80", family=4)
    return journey.outcome, journey.decided_by.kind


def test_without_a_rule_the_answer_arrives(tmp_path: Path) -> None:
    assert outcome(tmp_path)[0] == "ok"


@pytest.mark.parametrize(
    ("rule", "origin", "kind"),
    [
        ("ip rule add to 172.16.0.0/12 unreachable", "client", "route"),
        ("ip rule add from 198.51.100.2 iif ext0 prohibit", "client", "route"),
        ("ip rule add from 198.51.100.2 blackhole", "client", "route"),
    ],
)
def test_a_rule_that_refuses_decides(tmp_path: Path, rule: str, origin: str, kind: str) -> None:
    assert outcome(tmp_path, rule, origin=origin) != ("ok", "rule")
    assert outcome(tmp_path, rule, origin=origin)[1] == kind
    other = "neighbour"
    if "from 198.51.100.2" in rule:
        assert outcome(tmp_path, rule, origin=other)[0] == "ok"


def test_a_rule_that_is_deleted_is_gone(tmp_path: Path) -> None:
    add, remove = "ip rule add from 198.51.100.2 blackhole", "ip rule del from 198.51.100.2 blackhole"
    assert outcome(tmp_path, add, remove)[0] == "ok"


def test_a_new_rule_comes_before_main_and_the_next_one_before_it(tmp_path: Path) -> None:
    (host,) = [
        space
        for space in plan_of(
            tmp_path,
            "ip rule add fwmark 0x1/0xf table 100",
            "ip -4 rule add iif lo lookup 101",
            "ip -6 rule add pref 5 oif ext0 table 102",
        ).spaces.values()
        if space.kind == "host"
    ]
    four, six = (sorted(tables.rules, key=lambda one: one.priority) for tables in host.routes.values())
    assert [(one.priority, one.table) for one in four] == [
        (0, 255),
        (32764, 101),
        (32765, 100),
        (32766, 254),
        (32767, 253),
    ]
    assert four[2].mark == (1, 0xF)
    assert (six[1].priority, six[1].oif, six[1].table) == (5, "ext0", 102)


def test_the_mark_chooses_the_table(tmp_path: Path) -> None:
    predictor = plan_of(
        tmp_path, "ip route add 203.0.113.0/24 via 198.51.100.3 table 100", "ip rule add fwmark 1 table 100"
    )
    (host,) = [space for space in predictor.spaces.values() if space.kind == "host"]
    (tables, _) = host.routes.values()
    where = 0xCB007109
    found = tables.lookup(Query(0, where, mark=1))
    assert found is not None
    assert found.via == 0xC6336403
    assert tables.lookup(Query(0, where, mark=2)) != found
