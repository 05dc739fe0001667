"""Engines by version: the habits of each, and the layout of its rules."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from netlab.engine.docker.engine import DockerEngine
from netlab.engine.docker.traits import Traits
from netlab.model.version import NFTABLES, NFTABLES_SPAN, EngineVersion, engine_version

#: The folder that has the rules of the nftables backend.
NFTABLES_LAYOUT = "docker_29_nftables"


def layout_of(traits: Traits) -> str:
    """The folder that has the layout of an engine's rules."""
    return NFTABLES_LAYOUT if traits.nftables else traits.layout


@cache
def engine(found: EngineVersion) -> DockerEngine:
    """The engine of that version, its layout imported now."""
    traits = Traits(found)
    rules = import_module(f"netlab.engine.{layout_of(traits)}").FIREWALLER
    if found.version not in NFTABLES_SPAN:
        return DockerEngine(traits, rules)
    other = found.name.removesuffix(NFTABLES) if found.nftables else found.name + NFTABLES
    return DockerEngine(traits, rules, lambda: engine(engine_version(other)))
