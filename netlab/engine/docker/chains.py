"""Names of chains and rules that several layouts share."""

from __future__ import annotations

from netlab.model.family import Family

DOCKER = "DOCKER"
STAGE_1 = "DOCKER-ISOLATION-STAGE-1"
STAGE_2 = "DOCKER-ISOLATION-STAGE-2"
USER = "DOCKER-USER"

LOOPBACK = {Family.IPV4: "127.0.0.0/8", Family.IPV6: "::1/128"}
TO_LOCAL = "-m addrtype --dst-type LOCAL -j DOCKER"


def output_rule(family: Family, hairpin: bool) -> str:
    """The jump from nat OUTPUT; with the userland proxy, loopback addresses are left to it."""
    return TO_LOCAL if hairpin else f"! -d {LOOPBACK[family]} {TO_LOCAL}"
