"""Compare a journey with what a test expects: ``assert journey == Expected("ok forward", sees="client")``."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING

from netlab.journey.expect import Check, check
from netlab.journey.expect_words import expected
from netlab.model.errors import Unmeasured, UsageError
from netlab.model.journey import Journey
from netlab.model.plan import Plan
from netlab.testing.labs import plan_of
from netlab.view.verify import expected_words

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack

    from netlab.journey.expect_words import ExpectedWords

#: Words that only the lab's plan can turn into addresses.
_OF_THE_PLAN = ("host", "gateway")
_NO_PLAN = Plan("", "", (), (), ())


class Expected:
    """Equal to every journey that matches; anything that you leave out is not compared.

    >>> lab.probe("client -> host:80", family=4) == Expected("ok forward", sees="client")
    True
    >>> lab.probe("client -> host:80", family=4) == Expected(path="proxy")
    False

    The words are those of ``Lab.expect``; a wrong one raises UsageError. A comparison raises Unmeasured if
    the journey is unmeasured, and UsageError if you expect ``sees`` to be ``host`` or ``gateway`` and the
    journey does not belong to a lab of the pytest plugin.
    """

    def __init__(self, words: str | Mapping[str, str] = "", **more: Unpack[ExpectedWords]) -> None:
        self.expected = expected(words, **more)

    def check(self, journey: Journey) -> Check:
        """Compare, and return the differences.

        >>> Expected("timeout").check(lab.probe("client -> host:80", family=4)).problems
        ('outcome: expected timeout, measured ok',)

        Raises UsageError as a comparison does.
        """
        plan = plan_of(journey)
        if plan is not None:
            return check(self.expected, journey, plan)
        return self._check_alone(journey)

    def _check_alone(self, journey: Journey) -> Check:
        """Compare without a plan, using only what the journey contains."""
        sees, seen = self.expected.sees, journey.sees
        if sees in _OF_THE_PLAN:
            raise UsageError(
                f"sees {sees}: this journey does not belong to a lab of the pytest plugin; use lab.expect"
            )
        if sees is None or seen is None or sees == "sender" or _is_address(sees):
            return check(self.expected, journey, _NO_PLAN)
        rest = check(replace(self.expected, sees=None), journey, _NO_PLAN)
        if rest.passed is None or seen.node == sees:
            return rest
        wrong = f"sees: expected {sees}, the server saw {seen.address}" + (
            f" ({seen.node})" if seen.node else ""
        )
        return Check(False, (*rest.problems, wrong))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Journey):
            return NotImplemented
        found = self.check(other)
        if found.passed is None:
            raise Unmeasured(f"{other.flow.origin} -> {other.flow.to} {other.flow.family}: {other.problem}")
        return found.passed

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Expected({expected_words(self.expected)!r})"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
