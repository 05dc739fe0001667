"""What mends a flow that a routing table, a sysctl or a missing listener ended.  Pure.

A remedy is a guess from the routing table's answer: you try it, and drop it if it does not help.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from netlab.journey.advise import Advice
from netlab.journey.expect import destination
from netlab.model.family import Family, bare, split_endpoint
from netlab.model.journey import Journey
from netlab.model.plan import Node, Plan

_QUESTION: Final = re.compile(r"ip route get (\S+) from \S+(?: iif (\S+))?")
#: what kernels say of a packet that fails the reverse path filter: EXDEV, and EINVAL since Linux 6.13
_REVERSE_PATH: Final = ("Invalid cross-device link", "Invalid argument")
_NO_HOST: Final = "No route to host"
_NO_NETWORK: Final = "Network is unreachable"
#: types of routes that turn packets away
_REFUSING: Final = ("unreachable", "prohibit", "blackhole")


class Settings(Protocol):
    """What a node's kernel says now."""

    def sysctl(self, node: str, name: str) -> str | None:
        """The value of a sysctl; None if it does not exist."""

    def routes(self, node: str, family: Family) -> Sequence[str]:
        """The lines of ``ip route show table all``."""


def cause(journey: Journey) -> str:
    """What to do if nothing listens, in words; empty for anything else."""
    decision = journey.decided_by
    if decision.kind != "socket" or journey.outcome not in ("refused", "unreachable", "closed"):
        return ""
    node = decision.node or "the node that was reached"
    if decision.rule:
        return f"{decision.rule}."
    port, protocol = split_endpoint(destination(journey))[1], journey.flow.to.rpartition("/")[2]
    return (
        f"Nothing on {node} listens on {port}/{protocol}: start a program there that does,"
        f" or write {port} under listen in the scenario."
    )


def remedies(journey: Journey, plan: Plan, settings: Settings) -> Iterator[Advice]:
    """Commands that may fix what the routing table refused, the likeliest first; none for anything else."""
    decision = journey.decided_by
    node = decision.node
    if decision.kind != "route" or node is None:
        return
    question, _, answer = (decision.rule or "").partition(": ")
    asked = _QUESTION.match(question)
    dst, iif = (asked[1], asked[2]) if asked is not None else (split_endpoint(destination(journey))[0], None)
    if asked is None:
        answer = {"ENETUNREACH": _NO_NETWORK, "EHOSTUNREACH": _NO_HOST}.get(journey.errno or "", "")
    family = Family.of(dst)
    yield from _filters(node, family, dst, iif, answer, settings)
    yield from _refusing_routes(node, family, dst, settings)
    if answer in (_NO_NETWORK, _NO_HOST):
        hop = next_hop(plan, node, dst)
        if hop is not None:
            tool = _ip(family)
            yield Advice(
                node, "ip route", (*tool, "route", "add", dst, *hop), (*tool, "route", "del", dst, *hop)
            )


def _filters(
    node: str, family: Family, dst: str, iif: str | None, answer: str, settings: Settings
) -> Iterator[Advice]:
    """Sysctls by which a packet that came in may have been turned away."""
    if iif is None:
        return
    if family is Family.IPV6:
        yield from _set(node, settings, "1", "net.ipv6.conf.all.forwarding")
        return
    if answer in _REVERSE_PATH:
        yield from _set(node, settings, "0", "net.ipv4.conf.all.rp_filter", f"net.ipv4.conf.{iif}.rp_filter")
    if ipaddress.ip_address(dst).is_loopback:
        yield from _set(node, settings, "1", f"net.ipv4.conf.{iif}.route_localnet")
    if answer == _NO_HOST:
        yield from _set(node, settings, "1", "net.ipv4.ip_forward")


def _set(node: str, settings: Settings, value: str, *names: str) -> Iterator[Advice]:
    """A command that sets the sysctls that have another value; none if all have it."""
    found = {name: settings.sysctl(node, name) for name in names}
    wrong = {name: was for name, was in found.items() if was is not None and was != value}
    if wrong:
        yield Advice(
            node,
            "sysctl",
            ("sysctl", "-w", *(f"{name}={value}" for name in wrong)),
            ("sysctl", "-w", *(f"{name}={was}" for name, was in wrong.items())),
        )


def _refusing_routes(node: str, family: Family, dst: str, settings: Settings) -> Iterator[Advice]:
    """The narrowest route that turns packets to ``dst`` away, to be deleted."""
    found: list[tuple[int, tuple[str, ...]]] = []
    for line in settings.routes(node, family):
        words = line.split()
        if len(words) < 2 or words[0] not in _REFUSING:
            continue
        network = _network(words[1], family)
        if network is not None and ipaddress.ip_address(dst) in network:
            found.append((network.prefixlen, _without(words, "error", "pref", "expires", "proto")))
    for _, route in sorted(found, reverse=True)[:1]:
        tool = _ip(family)
        yield Advice(node, "ip route", (*tool, "route", "del", *route), (*tool, "route", "add", *route))


def _without(words: Sequence[str], *keys: str) -> tuple[str, ...]:
    """A route as it is shown, without what ``ip route add`` does not take or need."""
    kept: list[str] = []
    pairs = iter(words[2:])
    for key, value in zip(pairs, pairs, strict=False):
        if key not in keys:
            kept += [key, value]
    return (*words[:2], *kept)


def _network(word: str, family: Family) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(
            ("::/0" if family is Family.IPV6 else "0.0.0.0/0") if word == "default" else word
        )
    except ValueError:
        return None


def _ip(family: Family) -> tuple[str, ...]:
    return ("ip", "-6") if family is Family.IPV6 else ("ip",)


def next_hop(plan: Plan, node: str, dst: str) -> tuple[str, ...] | None:
    """``("dev", "eth0")`` or ``("via", address)`` with which a node may reach an address; None if there is
    neither.

    A neighbour that has the address itself, or else a host on one of the node's links.
    """
    try:
        home = plan.node(plan.node(node).namespace)
    except KeyError:
        return None
    owners = [other for other in plan.nodes if _has(other, dst)]
    for interface in home.interfaces:
        for address in interface.addresses:
            link = ipaddress.ip_interface(address).network
            if any(_on(other, str(link)) == dst for other in owners):
                return "dev", interface.name
    for interface in home.interfaces:
        for address in interface.addresses:
            link = ipaddress.ip_interface(address).network
            if Family.of(bare(address)) is not Family.of(dst):
                continue
            for other in plan.nodes:
                near = _on(other, str(link)) if other.kind == "host" and other is not home else None
                if near is not None:
                    return "via", near
    return None


def _has(node: Node, address: str) -> bool:
    return any(bare(own) == address for interface in node.interfaces for own in interface.addresses)


def _on(node: Node, link: str) -> str | None:
    """The node's address on a link."""
    network = ipaddress.ip_network(link)
    for interface in node.interfaces:
        for address in interface.addresses:
            if ipaddress.ip_interface(address).network == network:
                return bare(address)
    return None
