"""Names of chains and rules that several layouts share."""

from __future__ import annotations

from netlab.engine.docker.host_state import HostState
from netlab.engine.tables import Tables
from netlab.model.family import Family

DOCKER = "DOCKER"
STAGE_1 = "DOCKER-ISOLATION-STAGE-1"
STAGE_2 = "DOCKER-ISOLATION-STAGE-2"
USER = "DOCKER-USER"

#: With WSL2's mirrored networking: what Windows sends to 127.0.0.1 (mirroredWSL2Workaround).
MIRRORED = "-d 127.0.0.0/8 -i loopback0 -j RETURN"
MIRRORED_REASON = "what Windows sends to 127.0.0.1 is left to the userland proxy (WSL2, mirrored mode)"

LOOPBACK = {Family.IPV4: "127.0.0.0/8", Family.IPV6: "::1/128"}
TO_LOCAL = "-m addrtype --dst-type LOCAL -j DOCKER"


def output_rule(family: Family, hairpin: bool) -> str:
    """The jump from nat OUTPUT; with the userland proxy, loopback addresses are left to it."""
    return TO_LOCAL if hairpin else f"! -d {LOOPBACK[family]} {TO_LOCAL}"


def skip_mirrored(state: HostState, tables: Tables) -> None:
    """Leave what Windows sends to 127.0.0.1 to the userland proxy (mirroredWSL2Workaround)."""
    if tables.family is Family.IPV4 and state.wsl2_mirrored and state.daemon.userland_proxy:
        tables.insert("nat", DOCKER, MIRRORED, MIRRORED_REASON)
