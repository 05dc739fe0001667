"""What the rest of netlab knows of a container engine: a state machine that can describe its host.

``start(host)`` is the engine's first start on a host, ``step(state, event)`` its reaction to one event, and
``describe(state)`` returns the resulting state of the host, as a :class:`HostFacts`. plan, lab and diff use
nothing else. A state belongs to its engine: no other module looks inside. It never changes once it is handed
out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from netlab.engine.refusal import Refused, Subject
from netlab.model.event import ContainerSpec, Event, NetworkSpec
from netlab.model.plan import (
    FirewalldZone,
    ForgottenConnections,
    Interface,
    Listener,
    NetworkFacts,
    Publication,
    Resolver,
    Route,
    Sysctl,
    UserNetwork,
)
from netlab.model.rules import IptablesRuleset, NftTable
from netlab.model.scenario import Host

__all__ = [
    "ContainerState",
    "Engine",
    "EngineNote",
    "FirewalldZone",
    "HostFacts",
    "NetworkState",
    "ParentFacts",
    "Refused",
]

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class EngineNote:
    """What a user should know, although nothing is refused.

    ``subject`` and ``name`` say what it is about, as those of a :class:`Refused` do. ``by_chance``: a real
    engine decides this differently each time.
    """

    subject: Subject
    name: str
    text: str
    by_chance: bool = False


@dataclass(frozen=True, slots=True)
class NetworkState:
    """A network that the engine knows, whether or not it has a bridge at the moment.

    ``spec`` is what it was created from; None for a network of the engine's own, which no scenario creates or
    removes. The members of ``facts`` are in order of attachment.
    """

    spec: NetworkSpec | None
    facts: NetworkFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    """A container that was started and not removed, and what the engine has put into its namespace.

    ``starts`` counts how often it was started. If that number or ``running`` changes, the container gets a
    new namespace. A stopped container has an empty one.
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
    #: what a rootless container has in place of a link to the host; the peer of its interface is left open
    user_network: UserNetwork | None = None
    sysctls: tuple[Sysctl, ...] = ()
    rulesets: tuple[IptablesRuleset | NftTable, ...] = ()
    #: contents of /etc/hosts and /etc/resolv.conf; empty: the machine's own
    hosts_file: str = ""
    resolv_conf: str = ""
    #: whose it is, where a host has two engines
    engine: str = ""
    #: what conntrack on the host forgets when the container starts and stops
    forgets: ForgottenConnections | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentFacts:
    """What is on the host itself, where the engine lives in a namespace of its user's (rootless Docker).

    ``inside`` is the host as the engine sees it, under the name of that namespace's node. ``interface`` is
    the namespace's, and ``user_network`` the program behind it; the interface's peer is left open.
    """

    inside: Host
    interface: Interface
    user_network: UserNetwork
    sysctls: tuple[Sysctl, ...] = ()
    rulesets: tuple[IptablesRuleset, ...] = ()
    listeners: tuple[Listener, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What is on one host by now.

    ``sysctls`` and ``rulesets`` are complete and in order: they include what the host had before the engine
    started, because the engine may change the same keys and tables. :class:`netlab.engine.sysctls.Sysctls`
    and :func:`netlab.engine.tables.tables_of` start with the host's own.
    ``interfaces`` are only the engine's: bridges, and the host's ends of links to containers.
    """

    #: the engine's name; another than the scenario's if a setting chooses one (Docker's firewall-backend)
    engine: str
    #: whether its daemon runs; if not, a DaemonStart must come before any other event. True without a daemon.
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
    #: what it told firewalld
    firewalld: FirewalldZone = field(default_factory=FirewalldZone)
    notes: tuple[EngineNote, ...] = ()
    #: in how many ways what is left to chance could have come out; ``host.choice`` says which one it is
    choices: int = 1
    #: what the engine began and could not end, in its own words, each with what that leaves
    failures: tuple[str, ...] = ()
    #: the next ifindex that the kernel gives; 0: the engine does not count, so no other can be beside it
    next_index: int = 0
    #: of an engine in a namespace of its user's: the host itself, of which everything else here says nothing
    parent: ParentFacts | None = None


class Engine(Protocol[S]):
    """One engine at one generation; ``S`` is whatever it keeps its state in."""

    @property
    def name(self) -> str:
        """``docker-20.10``: the name in scenarios."""
        ...

    def start(self, host: Host) -> S:
        """The engine's first start on a host; raises :class:`Refused` for a configuration that it rejects.

        ``host.firewall.rulesets`` and ``host.sysctls`` include those of its firewall (ufw, firewalld).
        """
        ...

    def step(self, state: S, event: Event) -> S:
        """The state after one more event; raises :class:`Refused` with the real engine's own words."""
        ...

    def describe(self, state: S) -> HostFacts:
        """What is on the host in this state."""
        ...
