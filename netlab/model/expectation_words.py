"""An expectation in words: ``ok forward, sees client``."""

from __future__ import annotations

from typing import Any, get_args

from netlab.model.errors import UsageError
from netlab.model.expectation import Expected
from netlab.model.near import nearest
from netlab.model.outcome import UNKNOWN, OutcomeName, PathName

OUTCOMES: tuple[str, ...] = tuple(word for word in get_args(OutcomeName) if word not in UNKNOWN)
PATHS: tuple[str, ...] = get_args(PathName)


def parse_words(text: str) -> Expected:
    """What the words expect; raises UsageError.

    Words stand between spaces or commas; what follows ``by``, ``not by`` and ``dnat`` goes on to the comma.
    """
    found: dict[str, Any] = {}

    def say(key: str, word: str) -> None:
        if not word:
            raise UsageError(f"{text!r}: {key.replace('_', ' ')!r} needs a value")
        if key in found:
            raise UsageError(f"{text!r}: {key.replace('_', ' ')!r} occurs twice")
        found[key] = word

    for part in text.split(","):
        words = part.split()
        while words:
            word = words.pop(0)
            if word == "sees":
                say("sees", words.pop(0) if words else "")
            elif word in ("by", "dnat"):
                say(word, " ".join(words))
                words = []
            elif word == "not" and words[:1] == ["by"]:
                say("not_by", " ".join(words[1:]))
                words = []
            elif word in OUTCOMES:
                say("outcome", word)
            elif word in PATHS:
                say("path", word)
            else:
                raise UsageError(f"{text!r}: {word!r} is neither an outcome nor a path{_near(word)}")
    return Expected(**found)


def _near(word: str) -> str:
    near = nearest(word, (*OUTCOMES, *PATHS))
    return (
        f" (did you mean {near}?)"
        if near
        else f"; outcomes: {', '.join(OUTCOMES)}; paths: {', '.join(PATHS)}"
    )
