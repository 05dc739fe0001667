"""What an assertion says that compared a journey: expected against measured, and the journey itself."""

from __future__ import annotations

from io import StringIO
from typing import Final, Literal

from netlab.journey.sentence import sentence
from netlab.model.journey import Journey
from netlab.testing.expected import Expected
from netlab.view.console import console
from netlab.view.journey import journey_tree, summary
from netlab.view.verify import expected_words

_KEYS: Final[tuple[Literal["outcome", "path", "answered_by", "sees", "decided_by"], ...]] = (
    "outcome",
    "path",
    "answered_by",
    "sees",
    "decided_by",
)


def compare(op: str, left: object, right: object) -> list[str] | None:
    """The lines of the message; None if pytest's own are as good."""
    journey, other = (left, right) if isinstance(left, Journey) else (right, left)
    if not isinstance(journey, Journey):
        return None
    if isinstance(other, Expected):
        problems = other.check(journey).problems if op == "==" else ()
        head = f"{summary(journey)} {op} {expected_words(other.expected)}"
        return [head, *problems, sentence(journey), *_tree(journey)]
    if isinstance(other, Journey) and op == "==":
        return [f"{summary(left)} == {summary(right)}", *_differences(left, right)]  # type: ignore[arg-type]
    return None


def _tree(journey: Journey) -> list[str]:
    text = StringIO()
    console(text).print(journey_tree(journey))
    return text.getvalue().splitlines()


def _differences(left: Journey, right: Journey) -> list[str]:
    one, two = left.to_json(), right.to_json()
    found = [f"{key}: {one[key]} != {two[key]}" for key in _KEYS if one[key] != two[key]]
    if one["legs"] != two["legs"]:
        found += ["legs:", *_tree(left), *_tree(right)]
    return found or ["they differ in addresses or ports"]
