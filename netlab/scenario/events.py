"""The words for what happens to an engine, in ``x-netlab.events`` and in ``netlab do``.

::

    start|stop|restart|remove CONTAINER
    connect|disconnect CONTAINER NETWORK
    create|remove network NETWORK
    start|stop|restart daemon [HOST]
    reload|flush firewall [HOST]
"""

from __future__ import annotations

from netlab.model.errors import Position, Problem, ScenarioError
from netlab.model.expectation import ScenarioEvent
from netlab.scenario.tree import hint, shown

VERBS = ("start", "stop", "restart", "remove", "connect", "disconnect", "create", "reload", "flush")
_THINGS = {
    "start": ("daemon",),
    "stop": ("daemon",),
    "restart": ("daemon",),
    "reload": ("firewall",),
    "flush": ("firewall",),
    "create": ("network",),
}


def parse_event(text: str, position: Position) -> ScenarioEvent:
    """The event in ``text``; raises ScenarioError. Names are not looked up."""
    words = tuple(text.split())
    wrong = _wrong(words)
    if wrong:
        raise ScenarioError([Problem(position, f"event: {wrong}")])
    return ScenarioEvent(words, position)


def _wrong(words: tuple[str, ...]) -> str | None:
    if not words:
        return "the line is empty"
    verb, *rest = words
    if verb not in VERBS:
        return f"unknown event {shown(verb)}" + (hint(verb, VERBS) or f": it is one of {', '.join(VERBS)}")
    if verb in ("connect", "disconnect"):
        return None if len(rest) == 2 else f"write it as {verb} CONTAINER NETWORK"
    if verb in ("reload", "flush", "create") and (not rest or rest[0] not in _THINGS[verb]):
        thing = _THINGS[verb][0]
        word = rest[0] if rest else ""
        return f"{verb} takes {shown(thing)}" + (f", not {shown(word)}" if word else "")
    if verb == "create" or (verb == "remove" and rest[:1] == ["network"]):
        return None if len(rest) == 2 else f"write it as {verb} network NETWORK"
    most = 2 if rest and rest[0] in ("daemon", "firewall") else 1
    if not 1 <= len(rest) <= most:
        return f"write it as {verb} {'CONTAINER' if most == 1 else rest[0] + ' [HOST]'}"
    return None


def event_names(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """The names in an event, each with what it is the name of."""
    verb, *rest = words
    if verb in ("connect", "disconnect"):
        return [("container", rest[0]), ("network", rest[1])]
    if rest[:1] in (["daemon"], ["firewall"]):
        return [("host", word) for word in rest[1:]]
    if verb in ("create", "remove") and rest[:1] == ["network"] and len(rest) == 2:
        return [("network", rest[1])]
    return [("container", rest[0])]
