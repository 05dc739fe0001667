"""The closing sentence in Japanese states the facts of the English one, and no others."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from io import StringIO

from support.gallery_journeys import recorded
from support.recorded import JOURNEYS

from netlab.journey.sentence import sentence
from netlab.journey.sentence_ja import sentence_ja
from netlab.model.journey import Journey
from netlab.view.console import console
from netlab.view.journey import journey_view

#: Words that are facts wherever they stand.
NAMES = (
    "DOCKER-USER",
    "INPUT",
    "FORWARD",
    "OUTPUT",
    "PREROUTING",
    "POSTROUTING",
    "docker-proxy",
    "br_netfilter",
)

#: A node of this name, and an English word, look the same.
ENGLISH = ("own",)


def journeys() -> Iterator[Journey]:
    for found in recorded().values():
        yield from found


def facts(journey: Journey) -> set[str]:
    """What a sentence may state: names, addresses, chains, rules."""
    decided = journey.decided_by
    found = {
        *NAMES, journey.answered_by, journey.flow.origin, decided.rule, decided.node, decided.chain,
        decided.verdict, *(leg.nat.dnat for leg in journey.legs), *(leg.by for leg in journey.legs),
    }  # fmt: skip
    if journey.sees is not None:
        found |= {journey.sees.address, journey.sees.node}
    return {one for one in found if one and one not in ENGLISH}


def stated(text: str, fact: str) -> bool:
    """Whether a text has it as a word of its own."""
    return re.search(rf"(?<![\w.:-]){re.escape(fact)}(?![\w.:-]*\w)", text, re.ASCII) is not None


def test_the_facts_are_the_same() -> None:
    outcomes: Counter[tuple[str, bool]] = Counter()
    for journey in journeys():
        english, japanese = sentence(journey), sentence_ja(journey)
        outcomes[journey.outcome, japanese is not None] += 1
        if japanese is None:
            continue
        assert japanese.endswith("。")
        for fact in facts(journey):
            assert stated(english, fact) == stated(japanese, fact), (fact, english, japanese)
    # All that a lesson usually shows has its sentence.
    for outcome in ("ok", "refused", "timeout"):
        assert outcomes[outcome, True] > 9 * outcomes[outcome, False], outcomes


def test_a_journey_s_own_words_are_japanese() -> None:
    seed = [Journey.from_json(one) for one in map(json.loads, JOURNEYS.read_text().splitlines())]
    proxied = next(one for one in seed if one.path == "proxy" and one.flow.origin == "client")
    text = StringIO()
    console(text).print(journey_view(proxied, language="ja"))
    assert "(docker-proxy 自身の接続)" in text.getvalue()
    assert "ext0 から入る" in text.getvalue()
    assert "止めるには、INPUT にルールを書きます。" in text.getvalue()
    assert "in by" not in text.getvalue()
