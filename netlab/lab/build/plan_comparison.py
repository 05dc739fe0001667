"""Compare two plans of one lab: which namespaces and links stay, which processes end and start."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from netlab.kernel.netlink import conntrack
from netlab.lab import codec
from netlab.lab.build import workloads

if TYPE_CHECKING:
    from netlab.model.plan import Interface, Listener, Node, Plan


class PlanComparison:
    """``renewed``: nodes that were stopped or started; ``flushed``: hosts whose rules were emptied;
    ``reloaded``: hosts whose firewall was reloaded.
    """

    def __init__(
        self,
        before: Plan,
        after: Plan,
        renewed: frozenset[str],
        flushed: frozenset[str],
        reloaded: frozenset[str],
    ) -> None:
        self.before = before
        self.after = after
        self.renewed = renewed
        self.flushed = flushed
        self.reloaded = reloaded
        self._old = {node.name: node for node in before.nodes}
        self._new = {node.name: node for node in after.nodes}
        #: the namespaces to be made
        self.fresh = frozenset(name for name, node in self._new.items() if self._is_fresh(name, node))
        self._ends = [_ends(plan) for plan in (before, after)]

    def reversed(self) -> PlanComparison:
        """What takes the change back: the same links and namespaces are made anew."""
        return PlanComparison(self.after, self.before, self.renewed, frozenset(), frozenset())

    def _is_fresh(self, name: str, node: Node) -> bool:
        if node.namespace != name:
            return False
        old = self._old.get(name)
        if old is None or old.namespace != name or name in self.renewed:
            return True
        return bool(node.command) != bool(old.command)  # a program has its own user namespace

    def stays(self, namespace: str, interface: str) -> bool:
        """Whether an interface is in both plans, and neither it nor its peer is recreated."""
        return (namespace, interface) in self._staying

    @cached_property
    def _staying(self) -> set[tuple[str, str]]:
        old, new = self._ends
        same = {
            key
            for key, one in new.items()
            if key in old and key[0] not in self.fresh and _same_link(old[key], one)
        }
        return {key for key in same if new[key].peer is None or self._namespace_of(new[key].peer) in same}

    def _namespace_of(self, peer: tuple[str, str] | None) -> tuple[str, str] | None:
        return peer and (self._new[peer[0]].namespace, peer[1])

    # -- processes

    def leaving(self) -> dict[str, Any]:
        """What ends before anything is changed: all that runs in ``nodes``, ``commands``, ``listeners``."""
        gone = [name for name in self._old if name not in self._new or self._is_gone(name)]
        ended = [
            name
            for name, node in self._old.items()
            if node.command and (name in gone or _command(self.after, name) != _command(self.before, name))
        ]
        return {
            "nodes": gone,
            "commands": ended,
            "listeners": self._listeners(self._old, self._new),
        }

    def _listeners(self, these: dict[str, Node], those: dict[str, Node]) -> list[dict[str, Any]]:
        """The listeners of hosts that only one plan has, by node."""
        found = []
        for name, node in these.items():
            others = those[name].listeners if name in those else ()
            only = self._without(node.listeners, others)
            if only:
                found.append({"node": name, "mode": node.proxy, "listeners": codec.encode(tuple(only))})
        return found

    def _is_gone(self, name: str) -> bool:
        return name in self.renewed or self._new[name].namespace in self.fresh

    def coming(self) -> dict[str, Any]:
        """The processes that start, and the orders to running ones, after everything else."""
        gone = set(self.leaving()["nodes"])
        old, new = (_ports(plan) for plan in (self.before, self.after))
        kept = {key for key in old.keys() & new.keys() if key[1][2] not in gone and key[0] not in self.fresh}
        opened: dict[str, list[Any]] = {}
        for key, port in new.items():
            if key not in kept:
                opened.setdefault(key[0], []).append(port)
        return {
            "names": [n for n, node in self._new.items() if n not in self._old and node.kind != "segment"],
            "gone": [name for name in self._old if name not in self._new],
            "close": [key[1] for key in old if key not in kept],
            "responders": list(opened.items()),
            "proxies": self._listeners(self._new, self._old),
            **self._commands(),
        }

    def _commands(self) -> dict[str, Any]:
        ended = set(self.leaving()["commands"])
        starting, etc_files = [], {}
        for name, node in self._new.items():
            if not node.command:
                continue
            command = workloads.command_of(self.after, node)
            if name in ended or name not in self._old or not self._old[name].command:
                starting.append(command)
            elif command["etc"] != workloads.command_of(self.before, self._old[name])["etc"]:
                etc_files[name] = command["etc"]
        return {"commands": starting, "etc": etc_files}

    def _without(self, these: Iterable[Listener], those: Iterable[Listener]) -> list[Listener]:
        """Listeners that the others do not include, or that lead to a restarted container."""
        others = set(those)
        return [one for one in these if one not in others or self._leads_to_renewed(one)]

    def _leads_to_renewed(self, listener: Listener) -> bool:
        return any(
            (p.protocol, p.host_port) == (listener.protocol, listener.port) and p.node in self.renewed
            for plan in (self.before, self.after)
            for p in plan.publications
        )

    # -- connections

    def forget_connections(self, host: Node, namespace: int) -> None:
        """Have a host's conntrack forget what the engine makes it forget when a container goes or comes."""
        addresses: set[str] = set()
        endpoints: set[tuple[str, int]] = set()
        for nodes, opens in ((self._old, False), (self._new, True)):
            for node in nodes.values():
                if node.forgets is None or node.host != host.name or not self._moved(node.name):
                    continue
                addresses.update(node.forgets.answered_by)
                endpoints.update(node.forgets.udp_opened if opens else node.forgets.udp_closed)
        if addresses:
            conntrack.delete(namespace, conntrack.answered_by(addresses))
        if endpoints:
            conntrack.delete(namespace, conntrack.sent_to(conntrack.UDP, endpoints))

    def _moved(self, name: str) -> bool:
        if name in self.renewed or name not in self._old or name not in self._new:
            return True
        return self._old[name].interfaces != self._new[name].interfaces


def _ends(plan: Plan) -> dict[tuple[str, str], Interface]:
    return {(node.namespace, i.name): i for node in plan.nodes for i in node.interfaces}


def _command(plan: Plan, name: str) -> tuple[object, ...]:
    command = workloads.command_of(plan, plan.node(name))
    return command["argv"], command["hostname"]


def _same_link(old: Interface, new: Interface) -> bool:
    return (old.kind, old.peer, old.index, old.mac) == (new.kind, new.peer, new.index, new.mac)


def _ports(plan: Plan) -> dict[tuple[str, tuple[str, int, str]], tuple[str, int, str, str]]:
    """(namespace, (protocol, port, node)) → the order for the responder."""
    return {
        (namespace, (protocol, port, node)): (protocol, port, node, service)
        for namespace, ports in workloads.responders_of(plan)
        for protocol, port, node, service in ports
    }
