"""A page whose journeys come one by one: what it keeps, what changes, and that text stays text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from support.pages import HOSTILE, hostile, rules_of, seed

from netlab.model.journey import Journey
from netlab.view.page.chains import Chains
from netlab.view.page.live import LivePage


def journeys() -> Iterator[Journey]:
    """The seed's, those of the client first."""
    found = [journey for _, journey in seed().column.answers.values()]
    yield from sorted(found, key=lambda one: one.flow.origin != "client")


def page(kept: int = 200) -> LivePage:
    side = seed()
    assert side.plan is not None
    return LivePage(side.plan, side.rules, "1", kept)


def test_a_journey_is_a_row_a_section_and_the_rules_that_it_met() -> None:
    live = page()
    journey = next(one for one in journeys() if one.path == "forward")
    event = live.add(journey, 0.25)
    assert event["key"] == "f1"
    assert event["row"].count("<tr ") == event["row"].count("</tr>") == 1
    assert 'class="flow" id="f1"' in event["flow"]
    hits = {hit for leg in (*journey.legs, *journey.replies) for visit in leg.hooks for hit in visit.rules}
    assert len(event["met"]) == len({(hit.family, hit.table, hit.chain, hit.rule) for hit in hits})
    assert all(alive and 'href="#f1"' in html for _, _, html, alive in event["met"])
    document = live.document(7)
    assert 'data-after="7"' in document
    assert event["row"] in document
    assert event["flow"] in document
    for chain, rule, html, _ in event["met"]:
        table = re.search(f'<table class="chain" id="{chain}">.*?</table>', document, re.DOTALL)
        assert table is not None
        row = re.search(f'<tr data-rule="{rule}".*?</tr>', table[0], re.DOTALL)
        assert row is not None
        assert html in row[0]


def test_the_oldest_go_and_the_rules_forget_them() -> None:
    live = page(kept=2)
    first, *others = list(journeys())[:4]
    assert live.add(first, 0)["gone"] == []
    events = [live.add(one, 0) for one in others]
    assert [one["gone"] for one in events] == [[], ["f1"], ["f2"]]
    document = live.document(4)
    assert set(re.findall(r'data-key="(f\d+)"', document)) == {"f3", "f4"}
    assert set(re.findall(r'href="#(f\d+)"', document)) == {"f3", "f4"}


def test_other_rules_are_met_by_the_journeys_that_are_kept() -> None:
    live = page()
    for journey in journeys():
        live.add(journey, 0)
    side = seed()
    assert side.plan is not None
    assert live.replace_rules(rules_of(side.plan))["rules"] in live.document(0)
    without = live.replace_rules({})["rules"]
    assert "<table" not in without


def test_a_rule_that_is_not_listed_is_noticed() -> None:
    side = seed()
    assert side.plan is not None
    chains = Chains(side.plan, side.rules, "")
    journey = next(one for one in journeys() if one.path == "forward")
    assert chains.lists(journey)
    leg = journey.legs[0]
    visit = next(one for one in leg.hooks if any(hit.rule for hit in one.rules))
    other = replace(visit, rules=tuple(replace(hit, rule="-A X -j Y") for hit in visit.rules))
    assert not chains.lists(replace(journey, legs=(replace(leg, hooks=(other,)),)))


def test_hostile_text_is_text_in_every_event() -> None:
    side = hostile()
    assert side.plan is not None
    live = LivePage(side.plan, side.rules, "1")
    texts = [live.document(0)]
    for _, journey in side.column.answers.values():
        event = live.add(journey, 0)
        texts += [event["row"], event["flow"], event["unmet"], *(html for _, _, html, _ in event["met"])]
    texts += [live.replace_rules(side.rules)["rules"], live.document(9)]
    for text in texts:
        assert "<img" not in text
        assert HOSTILE not in text
        assert text.count("<script>") in (0, 2)
    assert "&lt;img src=x" in texts[-1]
