"""Sets of packets as boxes: what is read back is the same set, in few boxes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.exposure.boxes import Box, Boxes
from netlab.exposure.diagrams import FIELDS, Diagrams, ranges_of
from netlab.exposure.words import box_text
from netlab.model.family import Family

DIAGRAMS = Diagrams(Family.IPV4)
BOXES = Boxes(DIAGRAMS)
WIDTHS = DIAGRAMS.widths


def a_range(name: str) -> st.SearchStrategy[tuple[int, int]]:
    values = st.integers(0, (1 << WIDTHS[name]) - 1)
    return st.tuples(values, values).map(lambda pair: (min(pair), max(pair)))


def a_field(name: str) -> st.SearchStrategy[tuple[tuple[int, int], ...] | None]:
    return st.none() | st.lists(a_range(name), min_size=1, max_size=3).map(ranges_of)


BOX = st.fixed_dictionaries({name: a_field(name) for name in FIELDS}).map(
    lambda fields: {name: ranges for name, ranges in fields.items() if ranges is not None}
)


@settings(max_examples=60, deadline=None)
@given(st.lists(BOX, max_size=3), st.lists(BOX, max_size=2))
def test_boxes_have_what_they_must_and_no_more_than_they_may(must: list[Box], more: list[Box]) -> None:
    wanted = BOXES.packets(must)
    allowed = wanted | BOXES.packets(more)
    exact = BOXES.cover(wanted)
    assert BOXES.packets(exact) == wanted
    loose = BOXES.packets(BOXES.cover(wanted, allowed))
    assert wanted & ~loose == DIAGRAMS.none
    assert loose & ~allowed == DIAGRAMS.none
    assert len(BOXES.cover(wanted)) <= 3 * max(len(must), 1) ** 2 or len(must) > 1


@settings(max_examples=60, deadline=None)
@given(BOX)
def test_a_box_is_one_box(box: Box) -> None:
    assert len(BOXES.cover(BOXES.packets([box]))) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(a_range("dst"), max_size=5), st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 32) - 1))
def test_ranges_mean_their_numbers(ranges: list[tuple[int, int]], value: int, mask: int) -> None:
    one = DIAGRAMS.field("dst", [(value, value)])
    inside = any(low <= value <= high for low, high in ranges)
    assert (one & DIAGRAMS.field("dst", ranges) == one) is inside
    masked = DIAGRAMS.masked(DIAGRAMS.names["dst"], mask, value & mask)
    assert one & masked == one
    assert one & DIAGRAMS.masked(DIAGRAMS.names["dst"], 1, 1 - (value & 1)) == DIAGRAMS.none


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ({}, "every packet"),
        ({"protocol": ((0, 0),), "dport": ((80, 80), (443, 443))}, "tcp 80, 443"),
        ({"protocol": ((3, 3),), "dst": ((0xC6336401,) * 2,)}, "icmp echo to 198.51.100.1"),
        ({"dst": ((0x0A000000, 0x0AFFFFFF),)}, "to 10.0.0.0/8"),
        ({"src": ((0x0A000001, 0x0A000004),)}, "from 10.0.0.1-10.0.0.4"),
        ({"dport": ((1, 1023),)}, "port 1-1023"),
        ({"protocol": ((1, 1),), "sport": ((53, 53),)}, "udp from port 53"),
    ],
)
def test_a_box_in_words(box: Box, words: str) -> None:
    assert box_text(box, Family.IPV4) == words
