"""The facts for reading a trace: addresses, names of interfaces, and rules.

They come from a plan, from the kernel, or from a test; nothing here makes queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from netlab.model.family import Family, bare
from netlab.model.journey import RuleHit
from netlab.model.plan import Backend, Interface, Listener, Node, Plan
from netlab.model.rules import IptablesRuleset, NftTable
from netlab.model.trace import BaseChain, Step

#: (family, table, chain, handle)
RuleName = tuple[str, str, str, int]
#: (node, family, table, chain, rule's text)
ReasonKey = tuple[str, str, str, str, str]


@dataclass(slots=True)
class TracedNode:
    """A namespace whose hooks are read: its interfaces, base chains and rules."""

    name: str
    interfaces: Mapping[int, str] = field(default_factory=dict)
    macs: frozenset[bytes] = frozenset()
    base_chains: Mapping[tuple[str, str, str], BaseChain] = field(default_factory=dict)
    rules: Mapping[RuleName, str] = field(default_factory=dict)
    #: the words for each step, and for the steps of a packet at one hook
    hits: dict[Step, RuleHit] = field(default_factory=dict)
    met: dict[tuple[Step, ...], tuple[RuleHit, ...]] = field(default_factory=dict)
    #: steps, hook and version of a packet → a base chain that it passed without an event, empty for none
    gaps: dict[tuple[tuple[Step, ...], str, int], str] = field(default_factory=dict)
    #: the steps of a packet at one hook → the last accept of a rule, and of a policy, in filter chains there
    accepts: dict[tuple[Step, ...], tuple[Step | None, Step | None]] = field(default_factory=dict)

    def take_rules(self, rules: Mapping[RuleName, str]) -> None:
        """The rules have changed: forget the words for the previous ones."""
        self.rules = rules
        self.hits.clear()
        self.met.clear()

    def interface(self, index: int | None) -> str | None:
        """The name of an interface, ``#7`` if it is gone, None for none."""
        return None if index is None else self.interfaces.get(index, f"#{index}")


@dataclass(slots=True)
class Topology:
    """Everything beside the trace itself.

    ``owners`` maps an address to the nodes that have it. ``hosts`` are the nodes whose hooks make legs;
    ``guests`` maps a node in another node's namespace to that one.
    """

    hosts: frozenset[str] = frozenset()
    #: the nodes whose hooks were traced: the hosts, and more nodes with the wide instrument
    looked_at: frozenset[str] = frozenset()
    #: host → MAC address → the host's interface to it
    ports: dict[str, dict[str, str]] = field(default_factory=dict)
    #: node → interface → the segment or bridge that it is plugged into
    segments: dict[str, dict[str, str]] = field(default_factory=dict)
    #: container → its host
    homes: dict[str, str] = field(default_factory=dict)
    owners: dict[str, tuple[str, ...]] = field(default_factory=dict)
    guests: dict[str, str] = field(default_factory=dict)
    listeners: dict[str, tuple[Listener, ...]] = field(default_factory=dict)
    #: rootless container → the program of its user's that is its network
    programs: dict[str, str] = field(default_factory=dict)
    #: rootless container, or namespace of a rootless engine → the host that this program is on
    carriers: dict[str, str] = field(default_factory=dict)
    #: node → (protocol, port) on which the lab's built-in server answers there
    responders: dict[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    reasons: dict[ReasonKey, str] = field(default_factory=dict)
    traced: dict[str, TracedNode] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Everything except ``traced``, which is read from the kernel before a measurement."""
        return {
            "hosts": sorted(self.hosts),
            "owners": {address: list(nodes) for address, nodes in self.owners.items()},
            "guests": self.guests,
            "homes": self.homes,
            "ports": self.ports,
            "segments": self.segments,
            "programs": self.programs,
            "carriers": self.carriers,
            "listeners": {node: [asdict(one) for one in some] for node, some in self.listeners.items()},
            "responders": {node: [list(one) for one in some] for node, some in self.responders.items()},
            "reasons": [[*key, reason] for key, reason in self.reasons.items()],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Topology:
        """The inverse of :meth:`to_json`."""
        facts = cls(frozenset(data["hosts"]), guests=data["guests"], homes=data["homes"], ports=data["ports"])
        facts.segments = data["segments"]
        facts.programs = data["programs"]
        facts.carriers = data["carriers"]
        facts.owners = {address: tuple(nodes) for address, nodes in data["owners"].items()}
        for node, some in data["listeners"].items():
            facts.listeners[node] = tuple(_listener(one) for one in some)
        facts.responders = {
            node: tuple((protocol, port) for protocol, port in some)
            for node, some in data["responders"].items()
        }
        facts.reasons = {(a, b, c, d, e): reason for a, b, c, d, e, reason in data["reasons"]}
        return facts

    def namespace(self, node: str) -> str:
        """The node whose namespace ``node`` shares."""
        return self.guests.get(node, node)

    @property
    def traced_nodes(self) -> frozenset[str]:
        """The nodes in whose hooks a packet is followed."""
        return self.looked_at or self.hosts | self.programs.keys() | self.led_into

    @property
    def led_into(self) -> frozenset[str]:
        """The nodes in which a proxy of a rootless engine's makes its connections."""
        return frozenset(one.inside for some in self.listeners.values() for one in some if one.inside)

    def home(self, node: str) -> str | None:
        """The host on which a node is, or which it is; None for one outside."""
        place = self.namespace(node)
        return place if place in self.hosts else self.homes.get(place)

    def start(self, origin: str, via: str | None = None) -> str | None:
        """The traced node that sees a packet of ``origin`` first; None if that is unknown.

        A frame that is made by hand for ``via`` passes no hook of its sender, to which it may come back.
        """
        if via is not None:
            return self.home(origin) or self.start(via)
        place = self.namespace(origin)
        return place if place in self.traced_nodes else self.home(origin)

    def port(self, host: str, mac: bytes) -> str | None:
        """The interface of a host to a MAC address; None if that is unknown."""
        return self.ports.get(host, {}).get(mac.hex(":"))

    def segment(self, node: str, interface: str | None) -> str:
        """What an interface is plugged into; where that is not known, the interface itself."""
        return self.segments.get(node, {}).get(interface or "", f"{node}/{interface}")

    def owner(self, address: str, seen_from: str) -> str | None:
        """The node with an address, from the point of view of ``seen_from``; None if unknown.

        Hosts may have networks with the same addresses: of several nodes, it is the one on the same host.
        """
        if is_loopback(address):
            return seen_from
        nodes = self.owners.get(address, ())
        if seen_from in nodes or not nodes:
            return seen_from if nodes else None
        here = self.home(seen_from)
        return next((node for node in nodes if self.home(node) == here), nodes[0])

    def owns(self, node: str, address: str) -> bool:
        """Whether an address is one of the node's own namespace."""
        return is_loopback(address) or self.namespace(node) in self.owners.get(address, ())

    def proxy(self, node: str, protocol: str, address: str, port: int) -> str:
        """The name of the userland proxy that serves this endpoint of the node; otherwise empty."""
        found = self._listener(node, protocol, address, port)
        return found.process if found is not None and found.backend is not None else ""

    def inside(self, node: str, protocol: str, address: str, port: int) -> str:
        """The rootless container into which the proxy that serves this endpoint leads; otherwise empty."""
        found = self._listener(node, protocol, address, port)
        return "" if found is None else found.inside

    def backend(self, node: str, protocol: str, address: str, port: int) -> Backend | None:
        """Where the userland proxy that serves this endpoint connects to."""
        found = self._listener(node, protocol, address, port)
        return None if found is None else found.backend

    def holder(self, node: str, protocol: str, address: str, port: int) -> str:
        """The name of the process that holds this endpoint and never accepts; otherwise empty."""
        found = self._listener(node, protocol, address, port)
        return found.process if found is not None and found.backend is None else ""

    def _listener(self, node: str, protocol: str, address: str, port: int) -> Listener | None:
        found = [
            listener
            for listener in self.listeners.get(node, ())
            if (listener.protocol, listener.port) == (protocol, port) and _takes(listener, address)
        ]
        return next((one for one in found if one.backend is not None), found[0] if found else None)

    def answers_itself(self, node: str, protocol: str, address: str, port: int) -> str:
        """The server of netlab on this port of a node: the responder or the proxy; otherwise empty."""
        if (protocol, port) in self.responders.get(self.namespace(node), ()):
            return "built-in server"
        return self.proxy(node, protocol, address, port)


def is_loopback(address: str) -> bool:
    """127.0.0.0/8 or ::1."""
    return address.startswith("127.") or address == "::1"


def _takes(listener: Listener, address: str) -> bool:
    family = Family.of(address)
    if listener.address in ("", "0.0.0.0", "::"):
        if listener.v6only is None:
            return family is Family.IPV4
        return family is Family.IPV6 or not listener.v6only
    return listener.address == address


def _listener(data: dict[str, Any]) -> Listener:
    backend = Backend(**data["backend"]) if data["backend"] else None
    return Listener(**{**data, "backend": backend, "argv": tuple(data["argv"])})


def topology_of(plan: Plan) -> Topology:
    """The facts of a plan; ``traced`` must be read from the kernel."""
    facts = Topology(hosts=frozenset(node.name for node in plan.nodes if node.kind == "host"))
    for node in plan.nodes:
        if node.namespace != node.name:
            facts.guests[node.name] = node.namespace
        if node.kind == "segment":
            continue
        if node.host:
            facts.homes[node.name] = node.host
        for interface in node.interfaces:
            if interface.peer and interface.mac:
                host, port = interface.peer
                facts.ports.setdefault(host, {})[interface.mac.lower()] = port
        facts.segments[node.name] = {
            interface.name: segment_of(plan, node, interface) for interface in node.interfaces
        }
        for interface in node.interfaces:
            for address in interface.addresses:
                own = facts.owners.setdefault(bare(address), ())
                facts.owners[bare(address)] = (*own, node.name)
        if node.responders:
            place = node.namespace
            served = tuple((one.protocol, one.port) for one in node.responders)
            facts.responders[place] = facts.responders.get(place, ()) + served
        for one in node.user_networks:
            facts.programs[one.node] = one.program
            facts.carriers[one.node] = node.name
        if node.listeners:
            facts.listeners[node.name] = node.listeners
        for ruleset in node.rulesets:
            _reasons(facts, node.name, ruleset)
    return facts


def segment_of(plan: Plan, node: Node, interface: Interface) -> str:
    """The name of the link that an interface is on: a segment, or a bridge of a node (``host/docker0``)."""
    if interface.kind == "bridge":
        return f"{node.name}/{interface.name}"
    if interface.peer is None:
        return f"{node.name}/{interface.name}"
    peer = plan.node(interface.peer[0])
    if peer.kind == "segment":
        return peer.name
    port = next((one for one in peer.interfaces if one.name == interface.peer[1]), None)
    if port is not None and port.master:
        return f"{peer.name}/{port.master}"
    return " - ".join(sorted((f"{node.name}/{interface.name}", "/".join(interface.peer))))


def _reasons(facts: Topology, node: str, ruleset: object) -> None:
    if isinstance(ruleset, IptablesRuleset):
        for table in ruleset.tables:
            for chain in table.chains:
                for rule in chain.rules:
                    line = f"-A {chain.name} {rule.text}"
                    facts.reasons[node, ruleset.family.nft, table.name, chain.name, line] = rule.reason
    elif isinstance(ruleset, NftTable):
        for native in ruleset.chains:
            for nft_rule in native.rules:
                key = (node, ruleset.family, ruleset.name, native.name, nft_rule.text)
                facts.reasons[key] = nft_rule.reason
