"""What was captured of real daemons: ``tests/data/captures``."""

from __future__ import annotations

from pathlib import Path

CAPTURES = Path(__file__).parents[1] / "data" / "captures"
#: The folder of each daemon's captures, and the engine that stands for it.
DAEMONS = {
    "19.03.15": "docker-19.03",
    "20.10.24": "docker-20.10",
    "23.0.18": "docker-23",
    "24.0.9": "docker-24",
    "25.0.6": "docker-25",
    "26.1.5": "docker-26",
    "27.5.1": "docker-27",
    "28.0.0": "docker-28.0.0",
    "28.0.1": "docker-28.0.1",
    "28.1.1": "docker-28.1.1",
    "28.5.2": "docker-28",
    "29.0.0": "docker-29.0.0",
    "29-iptables": "docker-29",
    "29-nftables": "docker-29-nftables",
}
#: ... and of each Podman, with netavark's firewall driver.
PODMAN = {
    "podman-5.4.2-iptables": "podman-5-iptables",
    "podman-5.4.2-nftables": "podman-5-nftables",
}
#: Recordings of Podman in which the second network of a container was set up before the first.
MIRRORED = {("podman-5.4.2-nftables", "p09")}
#: Where IPv6 rules must be asked for.
OLD = ("20.10.24", "23.0.18", "24.0.9", "25.0.6", "26.1.5")


def scenario_file(daemon: str, config: str, kind: str = "flows") -> Path:
    """The scenario of a configuration, as each generation must be asked for it; ``kind``: flows or rules."""
    special = {"19.03.15": "1903", **dict.fromkeys(OLD, "old")}.get(daemon, "")
    chosen = CAPTURES / "scenarios" / f"{config}.{special}.{kind}.yaml"
    return chosen if chosen.exists() else CAPTURES / "scenarios" / f"{config}.{kind}.yaml"
