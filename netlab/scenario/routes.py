"""Routes as a scenario writes them: ``10.8.0.0/16 via 198.51.100.9``, ``10.9.0.0/16 dev ext0 table 100``."""

from __future__ import annotations

import ipaddress
import re
from typing import Literal, cast

from netlab.model.family import FAMILIES, Family
from netlab.model.problem import Position
from netlab.model.scenario import HostRoute, HostRule
from netlab.scenario.addresses import address, subnet
from netlab.scenario.rules import RuleError, parse_rule
from netlab.scenario.tree import Report, Value, shown

_HOST_ROUTE = re.compile(
    r"(?P<to>\S+)(?: via (?P<via>\S+))?(?: dev (?P<dev>\S+))?(?: table (?P<table>[0-9]{1,9}))?", re.ASCII
)
#: the kernel's own tables (rtnetlink(7)): default, main and local
_RESERVED_TABLES = (0, 253, 254, 255)


def read_host_routes(path: str, value: Value | None, report: Report) -> tuple[HostRoute, ...]:
    """``x-netlab.host.routes``: to a prefix or ``default``, by a next hop, an interface, or both."""
    found = []
    for item in value or ():
        match = _HOST_ROUTE.fullmatch(" ".join(item.text.split()))
        if match is None or not (match["via"] or match["dev"]):
            what = f"{shown(item.text)} is not DESTINATION [via ADDRESS] [dev INTERFACE] [table NUMBER]"
            report.add(item.at, f"{path}.routes: {what}")
            continue
        try:
            target = None if match["to"] == "default" else subnet(match["to"])
            hop = address(match["via"]) if match["via"] else None
        except ValueError as error:
            report.add(item.at, f"{path}.routes: {error}")
            continue
        if target is not None and hop is not None and target.version != hop.version:
            report.add(item.at, f"{path}.routes: {target} and {hop} are not of one family")
        table = int(match["table"]) if match["table"] else None
        if table in _RESERVED_TABLES:
            report.add(item.at, f"{path}.routes: table {table} is the kernel's own; leave it out for main")
        found.append(
            HostRoute(
                str(target or "default"), str(hop) if hop else None, match["dev"], Position(*item.at), table
            )
        )
    return tuple(found)


def read_routing_policy(path: str, value: Value | None, report: Report) -> tuple[HostRule, ...]:
    """``x-netlab.host.routing_policy``: a command for the family of a line's addresses, or for each."""
    found = []
    for item in value or ():
        words = item.text.split()
        families = {Family.of(word) for word in words if _is_prefix(word)}
        if len(families) > 1:
            report.add(item.at, f"{path}.routing_policy: {shown(item.text)} has addresses of both families")
        for family in families or FAMILIES:
            option = "ip -6" if family is Family.IPV6 else "ip"
            try:
                argv = parse_rule(f"{option} rule add {item.text}")
            except RuleError as error:
                report.add(item.at, f"{path}.routing_policy: {error}")
                break
            found.append(HostRule(argv, Position(*item.at), at_boot=True))
    return tuple(found)


def _is_prefix(word: str) -> bool:
    try:
        ipaddress.ip_network(word, strict=False)
    except ValueError:
        return False
    return True


def read_routes(
    path: str, value: Value | None, report: Report
) -> tuple[Literal["host", "none"] | tuple[tuple[str, str], ...], tuple[Position, ...]]:
    """An outside node's ``routes``: a word, or (destination, next hop) of each; and where each one is."""
    if value is None:
        return "host", ()
    if isinstance(value.data, str):
        return cast(Literal["host", "none"], value.text), ()
    found: list[tuple[str, str]] = []
    positions: list[Position] = []
    for item in value:
        destination, via = _route_words(item)
        if isinstance(item.data, dict) and not (destination and via):
            continue  # a key is missing, which was reported
        try:
            hop = address(via)
            target = None if destination == "default" else subnet(destination)
        except ValueError as error:
            written = destination if isinstance(item.data, dict) else item.text
            what = error if via else f"{shown(written)} is not DESTINATION via ADDRESS"
            report.add(item.at, f"{path}.routes: {what}")
            continue
        if target is not None and target.version != hop.version:
            report.add(item.at, f"{path}.routes: {target} and {hop} are not of one family")
        found.append((str(target or "default"), str(hop)))
        positions.append(item.position)
    return tuple(found), tuple(positions)


def _route_words(item: Value) -> tuple[str, str]:
    if isinstance(item.data, dict):
        to, hop = item.get("to"), item.get("via")
        return (to.text if to is not None else "", hop.text if hop is not None else "")
    destination, _, via = item.text.partition(" via ")
    return destination.strip(), via.strip()
