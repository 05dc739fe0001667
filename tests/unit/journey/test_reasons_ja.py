"""The reasons of rules that lessons show are Japanese in a Japanese lesson, with the same names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import netlab
from netlab.journey.reasons_ja import reason_ja

ROOT = Path(__file__).parents[3]
LESSONS = sorted((ROOT / "netlab" / "lesson" / "lessons").glob("*.yaml"))
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
#: What is a command, or a name and nothing else.
AS_IT_IS = re.compile(r"ufw allow \S+|zone \S+: ICMP")


def reasons(lesson: Path) -> set[str]:
    written = yaml.safe_load(lesson.read_text())
    options = {"engine": written["engine"]} if "engine" in written else {}
    plan = netlab.load_plan([ROOT / "scenarios" / written["scenario"]], **options)
    found = set()
    for node in plan.nodes:
        for ruleset in node.rulesets:
            chains = [chain for table in getattr(ruleset, "tables", ()) for chain in table.chains]
            for chain in (*chains, *getattr(ruleset, "chains", ())):
                found |= {rule.reason for rule in chain.rules}
    return found


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_every_reason_of_a_lesson_s_lab_is_japanese(lesson: Path) -> None:
    found = reasons(lesson)
    assert len(found) > 20
    for reason in found:
        japanese = reason_ja(reason)
        assert AS_IT_IS.fullmatch(reason) or JAPANESE.search(japanese), reason
        assert "{" not in japanese
        # Digits, and names that are no English word, are facts: ports, networks, chains, zones.
        for fact in re.findall(r"\b(?:\w*\d[\w.-]*|\w+-[\w-]+)\b", reason):
            assert fact in japanese or fact in ("IPv4",), (fact, japanese)


@pytest.mark.parametrize(
    ("reason", "japanese"),
    [
        ("port 80 of httpd on nw, published", "nw の httpd のポート 80 を公開"),
        (
            "port 80 of web on front, published: web may reach itself by it",
            "front の web のポート 80 を公開: web 自身からも届くように",
        ),
        ("published ports of nw", "nw の公開ポート"),
        ("published ports", "公開ポート"),
        (
            "nw may go out, and its containers reach each other",
            "nw から外への通信と、コンテナ同士の通信を許可",
        ),
        ("zone public: its rules to deny", "ゾーン public: deny のルール"),
        ("ufw: on to ufw-before-input", "ufw: ufw-before-input へ"),
        ("something else", "something else"),
    ],
)
def test_names_keep_their_places(reason: str, japanese: str) -> None:
    assert reason_ja(reason) == japanese
