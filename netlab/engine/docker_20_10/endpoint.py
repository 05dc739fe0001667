"""A container's rules beside its ports: this layout has none."""

from __future__ import annotations

from netlab.engine.world import Endpoint, LiveNetwork, World


def add(world: World, network: LiveNetwork, endpoint: Endpoint) -> None:
    """Nothing: a container's address can be reached directly wherever FORWARD lets it."""


def remove(world: World, network: LiveNetwork, endpoint: Endpoint) -> None:
    """Nothing."""
