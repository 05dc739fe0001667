"""The working ruleset: the iptables command's operations, and files of an administrator's."""

from __future__ import annotations

import pytest

from netlab.engine.tables import Tables
from netlab.model.family import Family
from netlab.plan.render import restore_text

SAVED = """\
*filter
:INPUT DROP
:FORWARD ACCEPT
:OUTPUT ACCEPT
:mine -
-A INPUT -i lo -j ACCEPT
-A INPUT -j mine
-A mine -p tcp -m tcp --dport 22 -j ACCEPT
COMMIT
"""


def tables(text: str = "") -> Tables:
    made = Tables(Family.IPV4)
    made.load(text, "rules.v4")
    return made


def test_a_saved_ruleset_comes_out_as_it_went_in() -> None:
    assert restore_text(tables(SAVED).freeze()) == SAVED


def test_counters_comments_and_blank_lines_of_a_file_are_ignored() -> None:
    with_counters = "# Generated\n\n" + SAVED.replace(":INPUT DROP", ":INPUT DROP [12:3456]").replace(
        "-A INPUT -i", "[7:420] -A INPUT -i"
    )
    assert restore_text(tables(with_counters).freeze()) == SAVED


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("-A INPUT -j ACCEPT\n", "line 1: .* before any"),
        ("*filter\n-A nowhere -j ACCEPT\n", "line 2: there is no chain 'nowhere'"),
        ("*fliter\n", "there is no table 'fliter'"),
        ("*filter\niptables -F\n", "is not a line of an iptables-save file"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        tables(text)


def test_no_table_exists_until_it_is_touched() -> None:
    made = tables()
    made.delete("nat", "OUTPUT", "-j X")
    assert not made.exists("filter", "INPUT", "-j ACCEPT")
    assert made.freeze().tables == ()
    made.append("nat", "OUTPUT", "-j X", "")
    assert [table.name for table in made.freeze().tables] == ["nat"]


def test_a_rule_that_exists_is_not_added_again() -> None:
    made = tables()
    for _ in range(2):
        made.append("filter", "INPUT", "-i a -j ACCEPT", "")
        made.insert("filter", "INPUT", "-i b -j ACCEPT", "")
    assert [rule.text for rule in made.chain("filter", "INPUT").rules] == ["-i b -j ACCEPT", "-i a -j ACCEPT"]


def test_the_administrators_duplicates_are_kept_and_deleted_one_by_one() -> None:
    made = tables("*filter\n:INPUT ACCEPT\n-A INPUT -j ACCEPT\n-A INPUT -j ACCEPT\nCOMMIT\n")
    made.delete("filter", "INPUT", "-j ACCEPT")
    assert made.exists("filter", "INPUT", "-j ACCEPT")
    made.delete("filter", "INPUT", "-j ACCEPT")
    assert not made.exists("filter", "INPUT", "-j ACCEPT")


def test_a_chain_that_a_rule_refers_to_stays() -> None:
    made = tables(SAVED)
    made.flush("filter", "mine")
    made.remove_chain("filter", "mine")
    assert made.has_chain("filter", "mine")
    made.delete("filter", "INPUT", "-j mine")
    made.remove_chain("filter", "mine")
    assert not made.has_chain("filter", "mine")
