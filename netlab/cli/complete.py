"""Complete a command line: verbs, options, and the names of labs and nodes, without privileges.

The scripts of ``netlab completion`` call it. An ordinary user's shell completes ``sudo netlab``, too, so
root's labs are found by what everybody may read: the directories in /run/netlab, and the names in /run/netns.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from netlab.model.shown import shown_in_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from netlab.lab.state import Record
    from netlab.model.plan import Node, Plan
    from netlab.model.rules import Chain, NftChain

#: First line of an answer after which the shell adds what it knows itself.
FILES, COMMANDS = ":files", ":commands"

_ROOTS_LABS = "/run/netlab"


def hint(action: argparse.Action, kind: str) -> argparse.Action:
    """Say what completes ``action``: file, lab, node, target (lab or node), event, engine or firewall."""
    action.completes = kind  # type: ignore[attr-defined]
    return action


def candidates(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(word, what it is) for the last of ``words``, which follow the program's name."""
    from netlab.cli.verbs import VERBS, parser_of

    *before, current = words or [""]
    while before and before[0] in ("-v", "--verbose"):
        del before[0]
    if not before or before[0] not in VERBS:
        found = [(verb, about) for verb, (_, about) in VERBS.items()]
        found += [("--help", "what there is"), ("--version", "netlab's version")]
    else:
        parser, _ = parser_of(before[0])
        found = list(_of_verb(parser, before[1:], current))
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
        yield from _event_words(typed)
        return
    if waiting is not None:
        yield from _values(waiting)
    elif current.startswith("-") and not _at_command(places, taken):
        for action in dict.fromkeys(options.values()):
            if action.help != "==SUPPRESS==":
                yield action.option_strings[-1], action.help or ""
    elif places:
        place = places[min(taken, len(places) - 1)]
        if taken < len(places) or place.nargs in ("*", "+", "..."):
            yield from _values(place)


def _event_words(typed: list[str]) -> Iterator[tuple[str, str]]:
    """What may follow in ``netlab do [LAB] EVENT``: the event's own words, and the names of nodes."""
    from netlab.scenario.events import FORMS

    words = typed if not typed or typed[0] in FORMS else typed[1:]
    if not words:
        yield from ((name, "a lab") for name in labs() if not typed)
        yield from ((verb, "an event") for verb in FORMS)
        return
    lab = typed[0] if words is not typed else ""
    verb, *rest = words
    if verb == "run" and len(rest) > 0:
        yield COMMANDS, ""
        return
    wanted = set()
    for form in FORMS.get(verb, ()):
        parts = form.replace("[", "").replace("]", "").split()
        if len(parts) > len(rest) and all(
            p.isupper() or p == word for p, word in zip(parts, rest, strict=False)
        ):
            wanted.add(parts[len(rest)])
    yield from ((word, "") for word in sorted(wanted) if word.islower())
    if wanted & {"CONTAINER", "NODE", "HOST"}:
        yield from ((name, "a node") for name in _nodes_of(lab))


def _nodes_of(lab: str) -> list[str]:
    """The names of a lab's nodes as an event has them; of the one lab, if none is named."""
    found = nodes()
    if lab:
        return [name.removeprefix(f"{lab}.") for name in found if name.startswith(f"{lab}.")]
    return [name for name in found if "." not in name]


def _at_command(places: list[argparse.Action], taken: int) -> bool:
    """Whether the typed words belong to a command that netlab runs."""
    return any(place.nargs == "..." and taken >= number for number, place in enumerate(places))


def _values(action: argparse.Action) -> Iterator[tuple[str, str]]:
    kind = getattr(action, "completes", None)
    if action.choices is not None:
        yield from ((str(choice), "") for choice in action.choices)
    elif kind in _NAMED:
        yield from _NAMED[kind]()
    elif action.nargs == "...":
        yield COMMANDS, ""
    elif kind == "file":
        yield FILES, ""
    elif kind == "lab":
        yield from ((name, "a lab") for name in labs())
    elif kind == "node":
        yield from ((name, "a node") for name in nodes())
    elif kind == "target":
        yield from ((name, "a lab") for name in labs())
        yield from ((name, "a node") for name in nodes())
    elif kind == "engine":
        from netlab.model.engine_names import added
        from netlab.model.version import ENGINES

        yield from ((name, "an engine") for name in ("docker", *ENGINES, *added()))
    elif kind == "gallery":
        from netlab.cli.gallery_page import scenarios

        yield from ((name, "a scenario") for name in scenarios())
    elif kind == "firewall":
        yield from ((name, "") for name in ("none", "ufw", "firewalld"))


def _profiles() -> Iterator[tuple[str, str]]:
    """The profiles of the scenario that this folder offers."""
    from netlab.model.errors import NetlabError
    from netlab.scenario import find_default, folder_environment, load

    with suppress(NetlabError):
        environ = folder_environment(".", os.environ)
        files = find_default(".", environ, above=True)
        if files:
            yield from ((name, "a profile") for name in load(files, environ=environ).profiles)


def _chains() -> Iterator[tuple[str, str]]:
    """The chains of one's own labs' hosts."""
    names = {chain.name for plan in _plans() for node in plan.nodes for chain in _chains_of(node)}
    yield from ((name, "a chain") for name in sorted(names))


def _chains_of(node: Node) -> Iterator[Chain | NftChain]:
    from netlab.model.rules import IptablesRuleset, NftTable

    for ruleset in node.rulesets:
        if isinstance(ruleset, IptablesRuleset):
            yield from (chain for table in ruleset.tables for chain in table.chains)
        elif isinstance(ruleset, NftTable):
            yield from ruleset.chains


def _plans() -> Iterator[Plan]:
    from netlab.lab.client.client import Client

    yield from (Client(record).plan for record in _records() if record.alive)


_NAMED: dict[str | None, Callable[[], Iterator[tuple[str, str]]]] = {
    "profile": _profiles,
    "chain": _chains,
}


def labs() -> list[str]:
    """The names of root's and the user's labs; these may include killed ones."""
    from netlab.lab import folder, state
    from netlab.model.errors import MachineError

    found: set[str] = set()
    for path, owner in ((_ROOTS_LABS, 0), (state.root(), None)):
        with suppress(FileNotFoundError, MachineError):
            fd = folder.open_root(path, owner=owner)
            try:
                found.update(filter(folder.is_name, os.listdir(fd)))
            finally:
                os.close(fd)
    return sorted(found)


def nodes() -> list[str]:
    """LAB.NODE of every lab, and NODE alone if there is only one lab."""
    from netlab.lab.client.client import Client

    known = labs()
    found = _published(known)
    for record in _records():
        if record.alive and not any(name.startswith(f"{record.name}.") for name in found):
            found += [
                f"{record.name}.{node.name}" for node in Client(record).plan.nodes if node.kind != "segment"
            ]
    if len(known) == 1:
        found += [name.partition(".")[2] for name in found]
    return found


def _records() -> list[Record]:
    """The user's own labs; none if another user may change their folder, which other commands report."""
    from netlab.lab import state
    from netlab.model.errors import MachineError

    try:
        return state.records()
    except MachineError:
        return []


def _published(known: Sequence[str]) -> list[str]:
    """The names in /run/netns that root's labs put there."""
    from netlab.lab.state import netns_names

    return [name for name in netns_names() if name.partition(".")[0] in known and "." in name]


def answer(words: Sequence[str]) -> int:
    """What may come in the place of the last word, one a line: ``netlab completion --words WORD…``."""
    for word, about in candidates(words):
        if shown_in_line(word) == word:  # others cannot be typed
            print(f"{word}\t{shown_in_line(about)}")
    return 0
