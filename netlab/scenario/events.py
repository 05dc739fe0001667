"""The words for what happens to an engine, in ``x-netlab.events`` and in ``netlab do``.

::

    start|stop|restart|remove CONTAINER
    connect|disconnect CONTAINER NETWORK
    create|remove network NETWORK
    start|stop|restart daemon [HOST]
    configure daemon [HOST] KEY=VALUE...
    reload|flush firewall [HOST]
    reload|flush rules [HOST]
    reload networks [CONTAINER]
    reboot host [HOST]
    up|down link NODE INTERFACE
    run NODE COMMAND
"""

from __future__ import annotations

import shlex
from collections.abc import Container, Sequence

from netlab.model.expectation import ScenarioEvent
from netlab.model.problem import Position, Problem, ScenarioError
from netlab.scenario.rules import made_chains, parse_rule
from netlab.scenario.settings import daemon_setting
from netlab.scenario.tree import hint, shown

#: The forms of each verb: a word in capitals is a name.
FORMS = {
    "start": ("CONTAINER", "daemon [HOST]"),
    "stop": ("CONTAINER", "daemon [HOST]"),
    "restart": ("CONTAINER", "daemon [HOST]"),
    "remove": ("CONTAINER", "network NETWORK"),
    "connect": ("CONTAINER NETWORK",),
    "disconnect": ("CONTAINER NETWORK",),
    "create": ("network NETWORK",),
    "configure": ("daemon [HOST] KEY=VALUE...",),
    "reload": ("firewall [HOST]", "rules [HOST]", "networks [CONTAINER]"),
    "flush": ("firewall [HOST]", "rules [HOST]"),
    "reboot": ("host [HOST]",),
    "up": ("link NODE INTERFACE",),
    "down": ("link NODE INTERFACE",),
    "run": ("NODE COMMAND",),
}
VERBS = tuple(FORMS)


def is_command(event: ScenarioEvent) -> bool:
    """Whether an event is a command or a link in the running lab, not an event of the engine."""
    verb, *rest = event.words
    return verb in ("run", "up", "down") or (verb in ("reload", "flush") and rest[0] == "rules")


def in_running_lab(events: Sequence[ScenarioEvent]) -> tuple[ScenarioEvent, ...]:
    """The events that can happen in a running lab only: the first command, and all that come after it."""
    first = next((number for number, event in enumerate(events) if is_command(event)), len(events))
    return tuple(events[first:])


def parse_event(text: str, position: Position, chains: Container[str] = ()) -> ScenarioEvent:
    """Parse an event; raises ScenarioError. Names are not resolved.

    ``chains``: the administrator's chains, to which a command may jump.
    """
    try:
        words = _words(text, chains)
        wrong = _wrong(words)
    except ValueError as error:
        wrong = str(error)
    if wrong:
        raise ScenarioError([Problem(position, f"event: {wrong}")])
    return ScenarioEvent(words, position)


def made_by(event: ScenarioEvent) -> frozenset[str]:
    """The chains that a command creates, to which later ones may jump."""
    return made_chains(event.words[2:]) if event.words[0] == "run" else frozenset()


def _words(text: str, chains: Container[str]) -> tuple[str, ...]:
    """The words of a line; raises ValueError. A command's are quoted as in ``rules``."""
    verb, *rest = text.split(maxsplit=2) or [""]
    if verb == "configure":
        return tuple(shlex.split(text))
    if verb == "run" and len(rest) == 2:
        return (verb, rest[0], *parse_rule(rest[1], chains))
    return tuple(text.split())


def _wrong(words: tuple[str, ...]) -> str | None:
    if not words:
        return "the line is empty"
    verb, *rest = words
    if verb not in VERBS:
        return f"unknown event {shown(verb)}" + (hint(verb, VERBS) or f": it is one of {', '.join(VERBS)}")
    forms = [form for form in FORMS[verb] if _fits(rest, form)]
    if not forms:
        things = [form.split()[0] for form in FORMS[verb]]
        if rest and not any(thing.isupper() for thing in things) and rest[0] not in things:
            return f"{verb} takes {' or '.join(map(shown, things))}, not {shown(rest[0])}"
        meant = [form for form in FORMS[verb] if rest and form.split()[0] == rest[0]] or FORMS[verb]
        return "write it as " + " or ".join(f"{verb} {form}" for form in meant)
    for setting in settings_of(words):
        daemon_setting(setting)
    return None


def _fits(rest: Sequence[str], form: str) -> bool:
    """Whether words have a form: its own words, names, ``[NAME]`` that may be left out, a list at the end."""
    first, *names = form.split()
    if not rest or (not first.isupper() and rest[0] != first):
        return False
    left = rest[1:]
    if names and names[0].startswith("["):
        left = left[1:] if left and "=" not in left[0] else left
        names = names[1:]
    if names and (names[-1].endswith("...") or names[-1] == "COMMAND"):
        return len(left) >= len(names)
    return len(left) == len(names)


def settings_of(words: tuple[str, ...]) -> tuple[str, ...]:
    """The KEY=VALUE words of ``configure daemon``."""
    return tuple(word for word in words[2:] if "=" in word) if words[0] == "configure" else ()


def event_names(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """The names in an event, each with what it is the name of."""
    verb, thing, *names = words
    fitting = [form for form in FORMS[verb] if _fits(words[1:], form)]
    match next((form.split()[0] for form in fitting if not form.startswith("CONTAINER")), "CONTAINER"):
        case "NODE":
            return [("node", thing)]
        case "link":
            return [("node", names[0])]
        case "network":
            return [("network", names[0])]
        case "networks":
            return [("container", name) for name in names]
        case "CONTAINER":
            return [("container", thing), *(("network", name) for name in names)]
    return [("host", word) for word in names if "=" not in word]
