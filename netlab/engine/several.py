"""Docker and Podman on one host, as one engine: each acts on what the other has left.

Neither knows of the other. Both write to the same tables of iptables and read the same settings, so before
one of them acts, it gets the present state of the host (:class:`HostFound`). What both have made is put
together: iptables' tables as the one that acted last has left them, then Docker's native tables, then
netavark's, in the order in which they come into being on a host whose Docker starts at boot.

Measured: Docker 20.10.24 and Podman 4.3.1 together (tests/conformance/test_beside.py); Podman 4.3.1, 5.4.2
and 5.8.6 on a host with FORWARD's policy DROP, as Docker leaves it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from netlab.engine.contract import ContainerState, Engine, HostFacts, NetworkState
from netlab.engine.refusal import Refused
from netlab.engine.sysctls import KERNEL
from netlab.model.event import (
    Connect,
    ContainerRemove,
    ContainerRestart,
    ContainerStart,
    ContainerStop,
    Disconnect,
    Event,
    HostFound,
    HostReboot,
    Neighbour,
    NetworkCreate,
    NetworkReload,
    NetworkRemove,
)
from netlab.model.plan import Sysctl
from netlab.model.rules import ADDED_SINCE, IptablesRuleset, NftTable
from netlab.model.scenario import Host


@dataclass(frozen=True, slots=True)
class Both:
    """The states of both engines, and the number of the one that acted last."""

    states: tuple[Any, Any]
    last: int = 0


@dataclass(frozen=True, slots=True)
class SeveralEngines:
    """Two engines on one host; the first has a daemon, which starts before anything else happens."""

    engines: tuple[Engine[Any], Engine[Any]]

    @property
    def name(self) -> str:
        """``docker-28+podman-5-nftables``."""
        return "+".join(one.name for one in self.engines)

    def start(self, host: Host) -> Both:
        """Docker's daemon starts, and Podman is installed; raises :class:`Refused`."""
        first, second = self.engines
        plain = replace(host, daemon={}, proxy="shared", environment={})  # these are Docker's
        return Both((first.start(replace(host, choice=1)), second.start(plain)))

    def step(self, state: Both, event: Event) -> Both:
        """The engine that the event is about acts; raises :class:`Refused`."""
        match event:
            case HostFound():
                return self._found(state, event)
            case HostReboot():
                raise Refused(
                    "event", "", "netlab does not reproduce a reboot of a host with two engines yet"
                )
        return self._act(state, self._whose(state, event), event)

    def describe(self, state: Both) -> HostFacts:
        """What is on the host, of both."""
        one, other = self._facts(state)
        last = (one, other)[state.last]
        return HostFacts(
            engine=f"{one.engine}+{other.engine}",
            running=one.running and other.running,
            networks=(*one.networks, *(_apart(network, one) for network in other.networks)),
            containers=(*_owned(one), *_owned(other)),
            interfaces=(*one.interfaces, *other.interfaces),
            routes=(*one.routes, *other.routes),
            sysctls=tuple(_sysctls((other, one) if last is one else (one, other))),
            rulesets=(*_iptables(one, last), *_native(one), *_native(other)),
            listeners=(*one.listeners, *other.listeners),
            proxy=one.proxy,
            publications=(*one.publications, *other.publications),
            resolvers=(*one.resolvers, *other.resolvers),
            firewalld=one.firewalld,
            notes=(*one.notes, *other.notes),
            choices=one.choices * other.choices,
            failures=(*one.failures, *other.failures),
            next_index=max(one.next_index, other.next_index),
        )

    def _facts(self, state: Both) -> tuple[HostFacts, HostFacts]:
        one, other = (engine.describe(own) for engine, own in zip(self.engines, state.states, strict=True))
        return one, other

    def _act(self, state: Both, number: int, event: Event) -> Both:
        own = state.states[number]
        if number != state.last:
            facts = self._facts(state)
            found = _difference(facts[number], facts[state.last])
            own = self.engines[number].step(own, found)
        return _with(state, number, self.engines[number].step(own, event))

    def _whose(self, state: Both, event: Event) -> int:
        """The number of the engine that an event is about; what is about the host is the first one's."""
        match event:
            case NetworkCreate(spec):
                return self._number(spec.engine)
            case ContainerStart(spec_):
                return self._number(spec_.engine)
            case NetworkRemove(name):
                facts = self._facts(state)
                return int(any(network.facts.name == name for network in facts[1].networks))
            case NetworkReload(node=""):
                return 1
            case (
                ContainerStop(node=node)
                | ContainerRestart(node=node)
                | ContainerRemove(node=node)
                | Connect(node=node)
                | Disconnect(node=node)
                | NetworkReload(node=node)
            ):
                facts = self._facts(state)
                return int(any(container.spec.node == node for container in facts[1].containers))
        return 0

    def _number(self, name: str) -> int:
        return int(name == self.engines[1].name)

    def _found(self, state: Both, found: HostFound) -> Both:
        """Both engines find what others have done to the host; a native table is its owner's."""
        facts = self._facts(state)
        for number in (1 - state.last, state.last):
            tables = {(one.family, one.name) for one in _native(facts[number])}
            mine = tuple(
                one
                for one in found.rulesets
                if isinstance(one, IptablesRuleset) or (one.family, one.name) in tables
            )
            own = self.engines[number].step(state.states[number], replace(found, rulesets=mine))
            state = _with(state, number, own)
        return state


def _with(state: Both, number: int, own: Any) -> Both:
    one, other = state.states
    return Both((own, other) if number == 0 else (one, own), number)


def _difference(own: HostFacts, acted: HostFacts) -> HostFound:
    """What an engine finds changed since it acted itself: the other one's doing."""
    known = {ruleset.family: ruleset for ruleset in own.rulesets if isinstance(ruleset, IptablesRuleset)}
    rulesets = tuple(
        ruleset
        for ruleset in acted.rulesets
        if isinstance(ruleset, IptablesRuleset) and known.get(ruleset.family) != ruleset
    )
    values = {sysctl.key: sysctl.value for sysctl in own.sysctls}
    sysctls = tuple(
        (sysctl.key, sysctl.value)
        for sysctl in acted.sysctls
        if sysctl.key in KERNEL and values.get(sysctl.key, KERNEL[sysctl.key]) != sysctl.value
    )
    return HostFound(rulesets, sysctls, _neighbour(acted))


def _neighbour(facts: HostFacts) -> Neighbour:
    standing = {interface.name for interface in facts.interfaces}
    return Neighbour(
        facts.next_index,
        tuple(s for one in facts.networks if one.facts.bridge in standing for s in one.facts.subnets),
        tuple((one.protocol, one.address, one.port) for one in facts.listeners),
    )


def _apart(network: NetworkState, other: HostFacts) -> NetworkState:
    """Of two networks that Compose calls the same (``bridge``), the second has its engine's name."""
    if network.facts.key not in {one.facts.key for one in other.networks}:
        return network
    return replace(network, facts=replace(network.facts, key=network.facts.name))


def _owned(facts: HostFacts) -> Iterator[ContainerState]:
    for container in facts.containers:
        yield replace(container, engine=facts.engine)


def _sysctls(facts: tuple[HostFacts, HostFacts]) -> tuple[Sysctl, ...]:
    """Every setting with the value that it has by now, and the reason of the engine that wrote it."""
    found: dict[str, Sysctl] = {}
    for one in facts:
        for sysctl in one.sysctls:
            known = found.get(sysctl.key)
            if known is not None and known.value == sysctl.value and sysctl.reason == ADDED_SINCE:
                continue
            found.pop(sysctl.key, None)
            found[sysctl.key] = sysctl
    return tuple(found.values())


def _iptables(first: HostFacts, last: HostFacts) -> Iterator[IptablesRuleset]:
    """The tables as they were left; only Docker has sets."""
    sets = {one.family: one.sets for one in first.rulesets if isinstance(one, IptablesRuleset)}
    for ruleset in last.rulesets:
        if isinstance(ruleset, IptablesRuleset):
            yield replace(ruleset, sets=sets.get(ruleset.family, ruleset.sets))


def _native(facts: HostFacts) -> Iterator[NftTable]:
    yield from (ruleset for ruleset in facts.rulesets if isinstance(ruleset, NftTable))
