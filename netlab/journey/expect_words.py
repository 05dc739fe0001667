"""What a test expects of a flow, in words: ``ok forward, sees client``."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypedDict

from netlab.journey.expand import Claim
from netlab.journey.sentence import sentence
from netlab.model.errors import UsageError
from netlab.model.expectation import Expectation, Expected
from netlab.model.expectation_words import OUTCOMES, PATHS, parse_words
from netlab.model.flow import FlowPattern
from netlab.model.outcome import OutcomeName, PathName
from netlab.model.problem import Position
from netlab.model.text import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from netlab.journey.expect import Verdict
    from netlab.model.flow import Flow


class ExpectedWords(TypedDict, total=False):
    """The keys of an expectation in a scenario."""

    outcome: OutcomeName | None
    path: PathName | None
    sees: str | None
    by: str | None
    not_by: str | None
    dnat: str | None


class ExpectationFailed(AssertionError):
    """A flow did not behave as expected. ``verdicts`` has all flows of the call, also those that passed.

    >>> try:
    ...     lab.expect("client -> host:80", ipv4="timeout", ipv6="ok")
    ... except netlab.ExpectationFailed as error:
    ...     print([verdict.word for verdict in error.verdicts])
    ['failed', 'passed']
    """

    def __init__(self, verdicts: Sequence[Verdict]) -> None:
        self.verdicts = tuple(verdicts)
        super().__init__("\n".join(_words(verdict) for verdict in verdicts if verdict.check.passed is False))


def _words(verdict: Verdict) -> str:
    flow = verdict.claim.flow
    problems = "; ".join(verdict.check.problems)
    return f"{flow} {flow.family.word}: {problems}\n{text_of(verdict.journey) or sentence(verdict.journey)}"


def expected(said: str | Mapping[str, str] | Expected | None = None, **more: str | None) -> Expected:
    """Parse an expectation from words, or from a mapping as in a scenario; ``more`` overrides both.

    ::

        expected("ok forward, sees client")
        expected("timeout, by DOCKER-ISOLATION-STAGE-2")
        expected({"outcome": "ok", "not-by": "ufw-user-input"})
        expected(path="proxy")

    Separate words with spaces or commas; the value of ``by``, ``not by`` and ``dnat`` ends at the comma.
    Raises UsageError.
    """
    if isinstance(said, Expected):
        base = said
    elif isinstance(said, str):
        base = parse_words(said)
    else:
        base = _made({key.replace("-", "_"): value for key, value in (said or {}).items()})
    own = _made({key: value for key, value in more.items() if value is not None})
    named = {field.name: getattr(own, field.name) for field in fields(own)}
    return replace(base, **{key: value for key, value in named.items() if value is not None})


def _made(words: dict[str, Any]) -> Expected:
    known = [field.name for field in fields(Expected)]
    for key in words:
        if key not in known:
            raise UsageError(f"unknown key {key!r}; known are {', '.join(known)}")
    _one_of("outcome", words.get("outcome"), OUTCOMES)
    _one_of("path", words.get("path"), PATHS)
    return Expected(**words)


def _one_of(what: str, word: str | None, known: tuple[str, ...]) -> None:
    if word is not None and word not in known:
        raise UsageError(f"unknown {what} {word!r}; known are {', '.join(known)}")


def claims_of(
    ask: Callable[[int | None], list[Flow]],
    common: Expected,
    by_family: Mapping[int, Expected | None],
    position: Position,
) -> list[Claim]:
    """The claims of a call of ``Lab.expect``; ``ask`` returns the flows of a family, or of both (None).

    Raises UsageError if nothing is expected.
    """
    asked: list[tuple[Flow, Expected]] = []
    for family, own in by_family.items():
        if own is not None:
            merged = expected(common, **{field.name: getattr(own, field.name) for field in fields(own)})
            asked += [(flow, merged) for flow in ask(family)]
    if not asked:
        asked = [(flow, common) for flow in ask(None)]
    found = []
    for flow, wanted in asked:
        if wanted == Expected():
            raise UsageError(f"{flow}: say what you expect, for example 'ok forward'")
        ports = () if flow.port is None else ((flow.port, flow.port),)
        pattern = FlowPattern(
            (flow.origin,),
            flow.target,
            ports,
            flow.protocol,
            flow.via,
            text=str(flow),
            source_port=flow.source_port,
            source=flow.source,
            size=flow.size,
        )
        found.append(Claim(Expectation(pattern, ((flow.family, wanted),), position), flow, wanted))
    return found
