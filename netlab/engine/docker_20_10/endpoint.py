"""A container's rules beside its ports: this layout has none."""

from __future__ import annotations

from netlab.engine.docker.host_state import Endpoint, HostState, LiveNetwork


def add(state: HostState, network: LiveNetwork, endpoint: Endpoint) -> None:
    """Nothing: a container's address can be reached directly wherever FORWARD lets it."""


def remove(state: HostState, network: LiveNetwork, endpoint: Endpoint) -> None:
    """Nothing."""
