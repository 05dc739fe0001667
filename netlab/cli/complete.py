"""What completes a command line: verbs, options, and names, as the scripts of ``netlab completion`` ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.cli.run import parser_of
from netlab.cli.verbs import VERBS, load
from netlab.model.engine_names import PODMAN, added
from netlab.model.shown import shown_in_line
from netlab.model.version import ENGINES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

#: First line of an answer after which the shell adds what it knows itself.
FILES, COMMANDS = ":files", ":commands"


def candidates(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(word, what it is) for the last of ``words``, which follow the program's name."""
    *before, current = words or [""]
    while before and before[0] in ("-v", "--verbose"):
        del before[0]
    if not before or before[0] not in VERBS:
        found = [(verb, about) for verb, about in VERBS.items()]
        found += [("--help", "what there is"), ("--version", "netlab's version")]
    else:
        found = list(_of_verb(parser_of(before[0]), before[1:], current))
    for word, about in found:
        if word.startswith((current, ":")):
            yield word, about


def _of_verb(parser: argparse.ArgumentParser, before: list[str], current: str) -> Iterator[tuple[str, str]]:
    options = {name: action for action in parser._actions for name in action.option_strings}
    places = [action for action in parser._actions if not action.option_strings]
    typed: list[str] = []
    waiting: argparse.Action | None = None
    for word in before:
        if waiting is not None:
            waiting = None
        elif word in options and options[word].nargs != 0:
            waiting = options[word]
        elif not word.startswith("-") or word == "-":
            typed.append(word)
    taken = len(typed)
    if any(getattr(place, "completes", None) == "event" for place in places):
        yield from load("complete_events").event_words(typed)
        return
    if waiting is not None:
        yield from _values(waiting, typed)
    elif current.startswith("-") and not _at_command(places, taken):
        for action in dict.fromkeys(options.values()):
            if action.help != "==SUPPRESS==":
                yield action.option_strings[-1], action.help or ""
    elif places:
        place = places[min(taken, len(places) - 1)]
        if taken < len(places) or place.nargs in ("*", "+", "..."):
            yield from _values(place, typed)


def _at_command(places: list[argparse.Action], taken: int) -> bool:
    """Whether the typed words belong to a command that netlab runs."""
    return any(place.nargs == "..." and taken >= number for number, place in enumerate(places))


def _values(action: argparse.Action, typed: Sequence[str]) -> Iterator[tuple[str, str]]:
    kind = getattr(action, "completes", None)
    if action.choices is not None:
        yield from ((str(choice), "") for choice in action.choices)
    elif kind in ("profile", "chain", "gallery", "lesson"):
        yield from load("complete_plans").NAMED[kind]()
    elif kind in ("place", "destination"):
        yield from load("complete_plans").places(typed, entering=kind == "place")
    elif action.nargs == "...":
        yield COMMANDS, ""
    elif kind == "file":
        yield FILES, ""
    elif kind == "lab":
        yield from ((name, "a lab") for name in load("complete_names").labs())
    elif kind == "node":
        yield from ((name, "a node") for name in load("complete_plans").nodes())
    elif kind == "target":
        yield from ((name, "a lab") for name in load("complete_names").labs())
        yield from ((name, "a node") for name in load("complete_plans").nodes())
    elif kind == "engine":
        yield from ((name, "an engine") for name in ("docker", *ENGINES, "podman", *PODMAN, *added()))
    elif kind == "firewall":
        yield from ((name, "") for name in ("none", "ufw", "firewalld"))


def answer(words: Sequence[str]) -> int:
    """What may come in the place of the last word, one a line: ``netlab completion --words WORD…``."""
    for word, about in candidates(words):
        if shown_in_line(word) == word:  # others cannot be typed
            print(f"{word}\t{shown_in_line(about)}")
    return 0
