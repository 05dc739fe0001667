"""Engines by version: the habits of each, and the layout of its rules."""

from __future__ import annotations

from functools import cache
from typing import Any

from netlab.engine.docker.engine import DockerEngine
from netlab.engine.docker.traits import Traits
from netlab.first_use import at_first_use
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
    layout = layout_of(traits)
    rules: Any = at_first_use(layout, {"FIREWALLER": f"netlab.engine.{layout}"})("FIREWALLER")
    if found.version not in NFTABLES_SPAN:
        return DockerEngine(traits, rules)
    other = found.name.removesuffix(NFTABLES) if found.nftables else found.name + NFTABLES
    return DockerEngine(traits, rules, lambda: engine(engine_version(other)))
