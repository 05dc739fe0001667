"""Podman's part of a twin: which of its engines the host has, if any that netlab reproduces."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from netlab.engine.contract import HostFacts
from netlab.model.engine_names import PODMAN as ENGINES
from netlab.model.rules import IptablesRuleset, NftTable
from netlab.twin.host import DOCKER, PODMAN, Container, RealHost

#: Podman's default network, and the options of networks that netlab reproduces
DEFAULT = "podman"
OPTIONS = ("mtu", "isolate", "metric", "no_default_route")
_FOUR, _IPTABLES, _NFTABLES = ENGINES
#: how netavark's rules name a container, and its native chains a network
_NAMED = re.compile(r"\b[0-9a-f]{64}\b|\bnv_[0-9a-f]{8}_")


def podman_part(host: RealHost, notes: list[str]) -> tuple[RealHost, str]:
    """The host with what of Podman's a twin can have, and the name of Podman's engine.

    Without a container of Podman's that runs, nothing of Podman shapes packets: the name is empty.
    """
    runs = any(one.engine == PODMAN and one.running for one in host.containers)
    name = _engine(host, notes) if runs else ""
    if not name:
        return replace(
            host,
            networks=tuple(one for one in host.networks if one.engine == DOCKER),
            containers=tuple(one for one in host.containers if one.engine == DOCKER),
        ), ""
    own = [one for one in host.networks if one.engine == PODMAN]
    theirs = {one.name for one in host.networks if one.engine == DOCKER}
    lost = {one.name: "Docker has one of that name" for one in own if one.name in theirs}
    if name == _FOUR:
        lost |= {one.name: "it is an internal one of Podman 4" for one in own if one.internal}
    notes += (f"Podman's network {one} is left out: {why}" for one, why in lost.items())
    kept = tuple(one for one in host.networks if one.engine == DOCKER or one.name not in lost)
    containers = tuple(_without(one, {*lost}) for one in host.containers)
    return replace(host, networks=kept, containers=containers), name


def _without(one: Container, networks: set[str]) -> Container:
    """A container of Podman's that is not on these networks."""
    if one.engine == DOCKER:
        return one
    return replace(one, endpoints=tuple(end for end in one.endpoints if end.network not in networks))


def _engine(host: RealHost, notes: list[str]) -> str:
    major = host.podman.partition(".")[0]
    rules = "".join(host.rules.values())
    if "CNI-" in rules and "NETAVARK" not in rules:
        notes.append("Podman's networks are CNI's, and not netavark's: its containers are left out")
    elif not major.isdigit() or int(major) < 4:
        notes.append(
            f"netlab does not know Podman {host.podman or 'of this host'}: its containers are left out"
        )
    elif major == "4":
        return _FOUR
    elif "table inet netavark" in host.nft:
        return _NFTABLES
    else:
        return _IPTABLES
    return ""


def with_found_ids(facts: HostFacts, host: RealHost) -> HostFacts:
    """What the engines would have left, with the host's ids of containers and networks in Podman's rules."""
    real = {one.name: one.id for one in host.networks if one.engine == PODMAN}
    for one in host.containers:
        if one.engine == PODMAN:
            real[one.name] = real[f"{one.name}-{PODMAN}"] = one.id
    planned = {one.spec.id: one.spec.name for one in facts.containers}
    planned |= {one.spec.id: one.spec.name for one in facts.networks if one.spec is not None}
    ids = {old: real[name] for old, name in planned.items() if name in real}
    short = {f"nv_{old[:8]}_": f"nv_{new[:8]}_" for old, new in ids.items()}
    words = {**ids, **short}
    return replace(facts, rulesets=tuple(_renamed(facts.rulesets, words))) if words else facts


def _renamed(
    rulesets: Iterable[IptablesRuleset | NftTable], words: Mapping[str, str]
) -> Iterator[IptablesRuleset | NftTable]:
    def read(text: str) -> str:
        return _NAMED.sub(lambda match: words.get(match[0], match[0]), text)

    for one in rulesets:
        if isinstance(one, IptablesRuleset):
            tables = (
                replace(
                    table,
                    chains=tuple(
                        replace(c, rules=tuple(replace(r, text=read(r.text)) for r in c.rules))
                        for c in table.chains
                    ),
                )
                for table in one.tables
            )
            yield replace(one, tables=tuple(tables))
        else:
            chains = (
                replace(c, name=read(c.name), rules=tuple(replace(r, text=read(r.text)) for r in c.rules))
                for c in one.chains
            )
            yield replace(one, objects=tuple(map(read, one.objects)), chains=tuple(chains))
