"""Engines by name: the habits of each version, and the rules of its firewall driver."""

from __future__ import annotations

from functools import cache
from typing import Any

from netlab.engine.podman.engine import PodmanEngine
from netlab.engine.podman.traits import IPTABLES_5, NFTABLES_5, PODMAN_4
from netlab.first_use import at_first_use

#: The traits of each engine, and the folder that has its rules.
ENGINES = {
    PODMAN_4.name: (PODMAN_4, "podman_4"),
    IPTABLES_5.name: (IPTABLES_5, "podman_5_iptables"),
    NFTABLES_5.name: (NFTABLES_5, "podman_5_nftables"),
}


@cache
def engine(name: str) -> PodmanEngine:
    """The engine of that name, its rules imported now; raises KeyError."""
    traits, folder = ENGINES[name]
    rules: Any = at_first_use(folder, {"FIREWALLER": f"netlab.engine.{folder}"})("FIREWALLER")
    return PodmanEngine(traits, rules)
