"""The decoder: what it reads, that its memory never changes what it says, and that nothing makes it raise."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.kernel.trace.nftrace import Decoder
from netlab.model.trace import TraceEvent, TraceFault, TraceKind, VerdictCode

FOLDER = Path(__file__).parents[2] / "data" / "traces"
MESSAGES = [
    bytes.fromhex(message)
    for path in sorted(FOLDER.glob("*.json"))
    for message in json.loads(path.read_text())["messages"]
]


def attribute(number: int, value: bytes) -> bytes:
    return struct.pack("=HH", len(value) + 4, number) + value + bytes(-len(value) % 4)


def message(*attributes: bytes, kind: int = 0x0A11, family: int = 2) -> bytes:
    body = struct.pack("=BBH", family, 0, 0) + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def policy(family: int = 2, *more: bytes, code: int = 0) -> bytes:
    return message(
        attribute(15, struct.pack(">I", family)),
        attribute(4, struct.pack(">I", 1)),
        attribute(6, struct.pack(">I", 7)),
        attribute(2, b"FORWARD\0"),
        attribute(1, b"filter\0"),
        attribute(16, struct.pack(">I", code)),
        *more,
        family=family,
    )


def rule(verdict: int) -> bytes:
    return message(
        attribute(15, struct.pack(">I", 2)),
        attribute(4, struct.pack(">I", 3)),
        attribute(6, struct.pack(">I", 7)),
        attribute(2, b"FORWARD\0"),
        attribute(1, b"filter\0"),
        attribute(3, struct.pack(">Q", 12)),
        attribute(5 | 0x8000, attribute(1, struct.pack(">i", verdict))),
    )


def test_real_events_are_all_understood() -> None:
    decoder = Decoder()
    events = [decoder.decode(data) for data in MESSAGES]
    assert len(events) > 300
    assert all(isinstance(event, TraceEvent) for event in events)
    assert not decoder.unknown


def test_memory_does_not_change_what_is_said() -> None:
    """Twice through one decoder, forwards and backwards, equals a fresh decoder for each message."""
    decoder = Decoder()

    def said(event: TraceEvent | TraceFault) -> tuple[object, ...]:
        assert isinstance(event, TraceEvent)
        step = event.step
        return (
            event.id,
            step.family,
            step.table,
            step.chain,
            step.handle,
            step.kind,
            step.verdict,
            step.target,
            event.headers,
        )

    fresh = [said(Decoder().decode(data)) for data in MESSAGES]
    for _ in range(2):
        assert [said(decoder.decode(data)) for data in MESSAGES] == fresh
        assert [said(decoder.decode(data)) for data in reversed(MESSAGES)] == fresh[::-1]


def test_equal_events_share_their_step() -> None:
    decoder = Decoder()
    steps = {id(decoder.decode(data).step) for data in MESSAGES * 3}  # type: ignore[union-attr]
    assert len(steps) < len(MESSAGES)


def test_families_with_chains_of_one_name_are_distinguished() -> None:
    """A policy of ip filter FORWARD differs from that of ip6 in the octets before the id alone."""
    decoder = Decoder()
    families = [decoder.decode(policy(family)).step.family for family in (2, 10, 2, 10)]  # type: ignore[union-attr]
    assert families == ["ip", "ip6", "ip", "ip6"]


def test_a_policy() -> None:
    event = Decoder().decode(policy(code=0))
    assert isinstance(event, TraceEvent)
    assert event.step.kind is TraceKind.POLICY
    assert event.step.dropped
    assert event.step.words == "policy drop"


def test_a_queue_verdict_carries_its_number_above() -> None:
    event = Decoder().decode(rule(0x00050003))
    assert isinstance(event, TraceEvent)
    assert event.step.verdict is VerdictCode.QUEUE


def test_unknown_attributes_are_noted_and_ignored() -> None:
    decoder = Decoder()
    event = decoder.decode(policy(2, attribute(40, b"new!")))
    assert isinstance(event, TraceEvent)
    assert event.step.unknown == (40,)
    assert decoder.unknown == {40: 1}


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "malformed"),
        (b"\0" * 16, "malformed"),
        (message(kind=0x0A10), "unknown"),
        (message(), "malformed"),
        (policy()[:-4], "malformed"),
        (policy() + b"\0\0\0\0", "malformed"),
        (rule(77), "unknown"),
        (policy(code=9), "unknown"),
        (policy(3), "ok"),
        (policy(99), "unknown"),
    ],
)
def test_what_is_not_understood_is_a_fault(data: bytes, kind: str) -> None:
    event = Decoder().decode(data)
    assert (event.kind if isinstance(event, TraceFault) else "ok") == kind


def test_a_message_cut_short_is_a_fault_also_where_its_beginning_is_remembered() -> None:
    decoder = Decoder()
    for data in MESSAGES:
        decoder.decode(data)
    for data in MESSAGES[:60]:
        for cut in (1, 4, 8, 20):
            assert isinstance(decoder.decode(data[:-cut]), TraceFault)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(MESSAGES), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6))
def test_mutated_messages_never_raise(data: bytes, changes: list[tuple[int, int]]) -> None:
    octets = bytearray(data)
    for at, value in changes:
        octets[at % len(octets)] = value
    assert isinstance(Decoder().decode(bytes(octets)), TraceEvent | TraceFault)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_noise_never_raises(data: bytes) -> None:
    assert isinstance(Decoder().decode(data), TraceEvent | TraceFault)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(MESSAGES), st.integers(0, 400), st.integers(0, 255))
def test_a_decoder_with_memory_agrees_with_a_fresh_one_on_mutations(data: bytes, at: int, value: int) -> None:
    octets = bytearray(data)
    octets[at % len(octets)] = value
    warm = Decoder()
    warm.decode(data)
    first, second = warm.decode(bytes(octets)), Decoder().decode(bytes(octets))
    assert isinstance(first, TraceFault) == isinstance(second, TraceFault)
    if isinstance(first, TraceEvent) and isinstance(second, TraceEvent):
        assert (first.id, first.headers, first.step.words) == (second.id, second.headers, second.step.words)
        assert (first.step.family, first.step.table) == (second.step.family, second.step.table)
