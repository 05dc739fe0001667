"""The events of a served page: none is lost, and who was away for too long loads the page again."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("starlette", reason="netlab[serve] is not installed")

from netlab.model.family import Family
from netlab.plan.live_rules import LiveChain, LiveRule, NativeTable, Rules
from netlab.web.application import Events
from netlab.web.rules_message import decode, encode


def told(events: Events, after: int) -> list[str]:
    """The names and numbers of what a stream sends, until it ends."""

    async def read() -> list[str]:
        return [text async for text in events.stream(after)]

    return [" ".join(text.split("\n")[:2]) for text in asyncio.run(read())[1:]]


def test_a_stream_has_what_came_after_a_number_and_ends() -> None:
    events = Events()
    for _ in range(3):
        events.publish("journey", {"x": "\n\r\u2028"})
    events.publish("ended", {}, last=True)
    assert told(events, 0) == [f"id: {n} event: journey" for n in (1, 2, 3)] + ["id: 4 event: ended"]
    assert told(events, 3) == ["id: 4 event: ended"]


def test_who_was_away_for_too_long_or_comes_from_another_life_loads_again() -> None:
    events = Events(kept=2)
    for _ in range(5):
        events.publish("journey", {})
    events.ended = True
    assert told(events, 2) == ["id: 5 event: reload"]
    assert told(events, 99) == ["id: 5 event: reload"]
    assert told(events, 3) == ["id: 4 event: journey", "id: 5 event: journey"]


def test_who_waits_is_woken() -> None:
    async def both() -> list[str]:
        events = Events()
        found = []

        async def read() -> None:
            async for text in events.stream(0):
                found.append(text)

        reader = asyncio.create_task(read())
        while not found:
            await asyncio.wait([reader], timeout=0.01)
        events.publish("journey", {"n": 1})
        events.publish("ended", {"n": 2}, last=True)
        await reader
        return found

    assert [text.split("\n")[0] for text in asyncio.run(both())] == ["retry: 1000", "id: 1", "id: 2"]


def test_rules_survive_their_way() -> None:
    chain = LiveChain("nat", "DOCKER", None, 1, 2, [LiveRule(3, 4, "-j RETURN", "why")])
    policy = LiveChain("nat", "OUTPUT", "ACCEPT")
    rules = Rules("host", {Family.IPV4: (chain, policy), Family.IPV6: ()}, (NativeTable("ip", "t", "table"),))
    assert decode(encode({"host": rules})) == {"host": rules}
