"""Where an engine's rules stand in a chain, and where they belong."""

from __future__ import annotations

from netlab.twin.order import inverted, with_rules, with_the_order

ENGINES = ("-j USER", "-i a -j ACCEPT", "-i b -j DROP")


def test_a_lost_rule_goes_behind_the_one_before_it() -> None:
    assert with_rules(ENGINES, ("-j USER", "-s 192.0.2.1 -j DROP", "-i b -j DROP"), ("-i a -j ACCEPT",)) == (
        "-j USER", "-i a -j ACCEPT", "-s 192.0.2.1 -j DROP", "-i b -j DROP",
    )  # fmt: skip


def test_a_lost_first_rule_goes_before_the_next_of_the_engine_s() -> None:
    found = ("-j other", "-i a -j ACCEPT", "-i b -j DROP")
    assert with_rules(ENGINES, found, ("-j USER",)) == ("-j other", *ENGINES)


def test_an_empty_chain_gets_all() -> None:
    assert with_rules(ENGINES, (), ENGINES) == ENGINES


def test_the_engine_s_rules_take_each_other_s_places() -> None:
    found = ("-i b -j DROP", "-j other", "-j USER", "-i a -j ACCEPT", "-i b -j DROP")
    put = with_the_order(ENGINES, found)
    assert put == ("-j USER", "-j other", "-i a -j ACCEPT", "-i b -j DROP", "-i b -j DROP")
    assert list(inverted(ENGINES, put)) == []
