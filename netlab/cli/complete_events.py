"""The words of ``netlab do``, to complete a command line with."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.cli.complete import COMMANDS
from netlab.cli.complete_names import labs
from netlab.cli.complete_plans import nodes
from netlab.scenario.events import FORMS


def event_words(typed: list[str]) -> Iterator[tuple[str, str]]:
    """What may follow in ``netlab do [LAB] EVENT``: the event's own words, and the names of nodes."""
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
