"""What there is to know of an engine before it is used: its versions, its settings, its checks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Recordings of one version of the real thing, with which the engine's plans and flows are compared."""

    version: str
    configurations: int
    flows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineAbout:
    """One engine, for people and programs.

    ``versions`` says in words which versions it stands for. ``settings`` are (setting, value unless one says
    otherwise), in the words of the engine's own configuration ``file``. ``leaves`` is what stands on a host
    that had nothing, after the first container with a published port: (what, how it is). ``recorded`` may be
    empty: nothing is known to have been compared. ``beside``: the real versions beside which conformance
    tests run it.
    """

    name: str
    versions: str
    file: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    leaves: tuple[tuple[str, str], ...] = ()
    recorded: tuple[Recorded, ...] = ()
    beside: tuple[str, ...] = ()
    #: another name for it
    also: str = ""
