"""What a container engine is to the rest of netlab: a state machine that can say what stands on its host.

``start(host)`` is the engine's first start on a host, ``step(state, event)`` what it makes of one event,
``describe(state)`` what stands by then, as a :class:`HostFacts`. plan, lab and diff know engines by nothing
else. A state is the engine's own affair: nobody else looks inside, and it never changes for whoever holds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from netlab.engine.refusal import Refused, Subject
from netlab.model.event import ContainerSpec, Event, NetworkSpec
from netlab.model.plan import (
    ForgottenConnections,
    Interface,
    Listener,
    NetworkFacts,
    Publication,
    Resolver,
    Route,
    Sysctl,
)
from netlab.model.rules import IptablesRuleset, NftTable
from netlab.model.scenario import Host

__all__ = ["ContainerState", "Engine", "EngineNote", "FirewalldZone", "HostFacts", "NetworkState", "Refused"]

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class EngineNote:
    """What a user should know though nothing is refused.

    ``subject`` and ``name`` say what it is about, as those of a :class:`Refused` do. ``by_chance``: a real
    engine decides this anew each time.
    """

    subject: Subject
    name: str
    text: str
    by_chance: bool = False


@dataclass(frozen=True, slots=True)
class NetworkState:
    """A network that the engine knows, whether or not there is a bridge for it at the moment.

    ``spec`` is what it was created from; None for a network of the engine's own, which no scenario creates or
    removes. The members of ``facts`` are in order of attachment.
    """

    spec: NetworkSpec | None
    facts: NetworkFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    """A container that the engine knows, and what the engine has put into its namespace.

    ``starts`` counts how often it was started: where the number or ``running`` changes, the namespace is a
    new one. A stopped container has a namespace with nothing in it.
    """

    spec: ContainerSpec
    running: bool = True
    starts: int = 1
    #: the node whose namespace it shares; empty: it has its own
    namespace: str = ""
    #: empty: the node's name
    hostname: str = ""
    #: the contents of /etc/hostname, where that is another name
    hostname_file: str = ""
    interfaces: tuple[Interface, ...] = ()
    routes: tuple[Route, ...] = ()
    sysctls: tuple[Sysctl, ...] = ()
    rulesets: tuple[IptablesRuleset | NftTable, ...] = ()
    #: contents of /etc/hosts and /etc/resolv.conf; empty: the machine's own
    hosts_file: str = ""
    resolv_conf: str = ""
    #: what conntrack on the host forgets when the container starts and stops
    forgets: ForgottenConnections | None = None


@dataclass(frozen=True, slots=True)
class FirewalldZone:
    """What the engine has told firewalld over D-Bus.

    ``bridges`` are in the zone ``docker``, in order; ``policy``: what is forwarded to that zone is accepted.
    """

    bridges: tuple[str, ...] = ()
    policy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What stands on one host by now, as the engine has left it.

    ``sysctls`` and ``rulesets`` hold everything, in order, what the host had before the engine started among
    it: both may change the same keys and tables. :class:`netlab.engine.sysctls.Sysctls` and
    :func:`netlab.engine.tables.tables_of` start with the host's own. ``interfaces`` are the engine's alone:
    its bridges, and the host's ends of links to containers.
    """

    #: the engine's name: another than it was asked for, where a setting of the host makes it another engine
    engine: str
    #: whether it takes events other than a start of its daemon; always True for one that needs no daemon
    running: bool = True
    networks: tuple[NetworkState, ...] = ()
    #: in order of their last start
    containers: tuple[ContainerState, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    routes: tuple[Route, ...] = ()
    sysctls: tuple[Sysctl, ...] = ()
    rulesets: tuple[IptablesRuleset | NftTable, ...] = ()
    #: sockets of the engine's processes in the host's namespace
    listeners: tuple[Listener, ...] = ()
    #: the program that serves the listeners, if a setting of the engine names one
    proxy: str = ""
    publications: tuple[Publication, ...] = ()
    #: the engine's DNS servers
    resolvers: tuple[Resolver, ...] = ()
    firewalld: FirewalldZone = FirewalldZone()
    notes: tuple[EngineNote, ...] = ()
    #: what the engine began and could not end, in its own words, each with what that leaves
    failures: tuple[str, ...] = ()


class Engine(Protocol[S]):
    """One engine at one generation; ``S`` is whatever it keeps its state in."""

    @property
    def name(self) -> str:
        """``docker-20.10``: the name in scenarios."""
        ...

    def start(self, host: Host) -> S:
        """The engine's first start on a host; raises :class:`Refused` for a configuration that it rejects.

        The host is a prepared one: the rulesets and sysctls of its own firewall are among what it has.
        """
        ...

    def step(self, state: S, event: Event) -> S:
        """What the engine makes of one event; raises :class:`Refused` with the real engine's own words."""
        ...

    def describe(self, state: S) -> HostFacts:
        """What stands on the host in this state."""
        ...
