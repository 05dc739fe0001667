"""The child process that changes a running lab to another plan.

Everything in both plans stays: namespaces, links, connections, and rules that others added.
"""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netlab.kernel import announce, libc, netns, sysctl
from netlab.kernel.channel import Channel, Disconnected
from netlab.kernel.netlink import dump, message
from netlab.kernel.netlink.message import Message
from netlab.kernel.netlink.socket import NetlinkError, RouteSocket
from netlab.lab import codec, state
from netlab.lab.build import namespaces, ruleset_edits
from netlab.lab.build.apply import Build, addresses_of, lost_addresses, run_rules, wait_for_addresses
from netlab.lab.build.layout import Layout, Space, VethPair, layout
from netlab.lab.build.plan_comparison import PlanComparison
from netlab.lab.build.rule_changes import RuleChanges
from netlab.lab.node import process
from netlab.lab.services import dns
from netlab.model.error_messages import to_message
from netlab.model.errors import LabError
from netlab.model.family import bare
from netlab.model.identifiers import link_local
from netlab.model.plan import Sysctl
from netlab.model.rules import ADDED_SINCE

if TYPE_CHECKING:
    from netlab.model.plan import Interface, Node, Plan
    from netlab.model.rules import Ruleset


def main(reports: Channel, files: list[int], path: str, wanted: dict[str, Any]) -> int:
    """Change the lab in ``path`` to a plan; the exit code of the child.

    ``files`` hold the plan, the lab's history, and what was found on its hosts (see :func:`as_found`).
    """
    written: list[state.Prepared] = []
    try:
        with open(f"{path}/plan.json", "rb") as file:
            before = codec.loads(file.read())
        text, happened, seen = (_content(fd) for fd in files)
        found = codec.decode(json.loads(seen))
        marks = (frozenset(wanted[mark]) for mark in ("renewed", "flushed", "reloaded"))
        change = PlanComparison(as_found(before, found), codec.loads(text), *marks)
        # Before anything is changed: a disk without space must be found out by now.
        for name, content in (("plan.json", text), (state.HISTORY, happened)):
            written.append(state.Prepared(f"{path}/{name}", content))
        work = _Reconcile(change, f"{path}/private", frozenset(name for name, *_ in found))
        work.prepare()
        reports.send({"event": "leaving", **change.leaving()})
        reports.receive()
        try:
            work.run()
        except Exception as error:
            failure = LabError(error.strerror) if isinstance(error, NetlinkError) else error
            reports.send({"event": "undone", **_taken_back(work, failure), "failure": to_message(failure)})
            return 0
        while written:
            written.pop().commit()
        reports.send({"event": "changed", **change.coming()})
    except Disconnected:
        return 1
    except BaseException as error:
        reports.send({"event": "error", **to_message(error)})
    finally:
        for prepared in written:
            prepared.drop()
    return 0


def _taken_back(work: _Reconcile, error: Exception) -> dict[str, Any]:
    """Undo a change that has failed; what has to start again. Raises ``error`` if that fails, too."""
    try:
        return work.take_back()
    except Exception as second:
        raise error from second


def _content(fd: int) -> bytes:
    with open(fd, "rb") as file:
        return file.read()


#: A host's name, the rulesets that were found there, and the settings.
_Found = tuple[str, tuple["Ruleset", ...], tuple[tuple[str, str], ...]]


def as_found(plan: Plan, found: tuple[_Found, ...]) -> Plan:
    """A plan with what others have made of its hosts in the place of what they had."""
    nodes = {node.name: node for node in plan.nodes}
    for name, rulesets, sysctls in found:
        node, values = nodes[name], dict(sysctls)
        live = {ruleset_edits.key_of(ruleset): ruleset for ruleset in rulesets}
        kept = tuple(r for r in node.rulesets if ruleset_edits.key_of(r) not in live)
        settings = [s for s in node.sysctls if s.key not in values]
        settings += [Sysctl(key, value, ADDED_SINCE) for key, value in sysctls]
        nodes[name] = replace(node, rulesets=(*kept, *rulesets), sysctls=tuple(settings))
    return replace(plan, nodes=tuple(nodes.values()))


class _Reconcile:
    """The work on namespaces, in the order of :meth:`run`."""

    def __init__(
        self, change: PlanComparison, private: str, found: frozenset[str], failed: _Reconcile | None = None
    ) -> None:
        """``found``: the hosts whose rules in the plan before are those that were found there.

        ``failed``: the opposite change, which got some of its way, and which this one takes back.
        """
        self.change = change
        self.private = private
        self.found = found
        self.failed = failed
        self.before = layout(change.before)
        self.after = layout(change.after)
        self.rules = RuleChanges(change, self.before, self.after, private, found)
        self.namespaces: dict[str, int] = {}
        self.sockets: dict[str, RouteSocket] = {}
        #: of each namespace: the IPv6 addresses that somebody has taken from it, with the index of their link
        self.lost: dict[str, set[tuple[str, int]]] = {}

    def prepare(self) -> None:
        """Look at the namespaces that stay, before anything is changed.

        Raises LabError where somebody has deleted an interface that is to stay: the engine would make another
        one, or fail, and netlab reproduces neither.
        """
        kept = [name for name in self.after.spaces if name not in self.change.fresh]
        with netns.returning():
            for name in filter(self._affected, kept):
                fd = os.open(f"{self.private}/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
                self.namespaces[name] = fd
                netns.enter(fd)
                self.sockets[name] = RouteSocket(name)
                there = {link.name: link.index for link in dump.links(self.sockets[name])}
                space = self.before.spaces[name]
                for interface in space.interfaces:
                    if interface.name not in there and self.change.stays(name, interface.name):
                        raise LabError(
                            f"somebody has deleted {interface.name} of {name}, and netlab does not reproduce "
                            "what the engine does then: take the lab down and up again"
                        )
                space.indexes.update(there)
                self.lost[name] = lost_addresses(self.before, space, self.sockets[name])

    def run(self) -> None:
        """Everything; raises NetlabError, OSError."""
        affected = list(self.namespaces)
        with netns.returning():
            for name in affected:
                self._remove_links(name)
                self._remove_routes(name)
            work = Build(self._additions(affected), self.namespaces)
            try:
                work.run()
            except BaseException:
                work.abandon()
                raise
            self.namespaces = work.namespaces
            for name in affected:
                self._adjust(name)
            for name in affected:
                self._change_rules(name)
                self._wait_for_addresses(name)
            for name in self.namespaces:
                self._announce(name)
            for host in (node for node in self.change.after.nodes if node.kind == "host"):
                if host.name in self.namespaces:
                    self.change.forget_connections(host, self.namespaces[host.name])
        self._configure()
        self._names()
        self._files()

    def take_back(self) -> dict[str, Any]:
        """Undo what :meth:`run` did before it failed; what the supervisor has to start again.

        Links and namespaces that were to go or to come are made anew. Raises NetlabError, OSError.
        """
        hosts = {node.name for node in self.change.after.nodes if node.kind == "host"}
        if hosts & self.change.fresh:
            raise LabError("a reboot is not taken back")
        back = _Reconcile(self.change.reversed(), self.private, self.found, failed=self)
        back.prepare()
        back.run()
        coming = back.change.coming()
        coming["close"] += [port for port in self.change.coming()["close"] if port not in coming["close"]]
        return {**coming, "names": [], "gone": []}

    def _change_rules(self, name: str) -> None:
        if self.failed is None:
            self.rules.apply(name, self.namespaces[name])
        else:
            self.failed.rules.take_back(name, self.namespaces[name])

    def _configure(self) -> None:
        """Run the lines that a host runs whenever it boots, on those that were rebooted."""
        hosts = [node for node in self.change.after.nodes if node.kind == "host"]
        rebooted = [node for node in hosts if node.name in self.change.fresh]
        run_rules(
            [
                (rule, self.namespaces[node.namespace])
                for node in rebooted
                for rule in node.commands
                if rule.at_boot
            ]
        )

    def _affected(self, name: str) -> bool:
        """Whether anything in a namespace that stays is not as before."""
        old, new = self.before.spaces[name], self.after.spaces[name]
        parts = ("interfaces", "routes", "sysctls", "rulesets", "firewall")
        return (
            any(getattr(old, part) != getattr(new, part) for part in parts)
            or any(not self.change.stays(name, i.name) for i in old.interfaces + new.interfaces)
            or name in self.change.flushed | self.change.reloaded | self.found
        )

    # -- links

    def _remove_links(self, name: str) -> None:
        interfaces = list(self.before.spaces[name].interfaces)
        if self.failed is not None:
            interfaces += self.after.spaces[name].interfaces
        going = {i.name for i in interfaces if not self.change.stays(name, i.name)}
        if going:
            found = [link for link in dump.links(self.sockets[name]) if link.name in going]
            self.sockets[name].send([message.delete_link(link.index, link.name) for link in found])

    def _remove_routes(self, name: str) -> None:
        """Routes on links that stay go before new ones come: a default route has room for one of a metric."""
        old, new = self.before.spaces[name], self.after.spaces[name]
        stays = {i.name for i in new.interfaces if self.change.stays(name, i.name)}
        going = [route for route in old.routes if route not in new.routes and route.interface in stays]
        if self.failed is not None:
            going += [route for route in new.routes if route not in old.routes and route.interface in stays]
        if not going:
            return
        indexes = {link.name: link.index for link in dump.links(self.sockets[name])}
        for route in going:
            index = indexes[route.interface] if route.interface else 0
            request = message.route(route, index, delete=True)
            self._settle(name, request, (errno.ESRCH,))

    def _additions(self, affected: list[str]) -> Layout:
        """What to create: new namespaces completely, and in the others what they lack."""
        spaces = {
            name: self._missing(name) if name in affected else space
            for name, space in self.after.spaces.items()
            if name in affected or name in self.change.fresh
        }
        pairs = [
            VethPair(spaces[p.near.name], p.near_end, spaces[p.far.name], p.far_end)
            for p in self.after.pairs
            if not self.change.stays(p.near.name, p.near_end.name)
        ]
        return Layout(spaces, pairs)

    def _missing(self, name: str) -> Space:
        old, new = self.before.spaces[name], self.after.spaces[name]
        there = {link.name: link.index for link in dump.links(self.sockets[name])}
        interfaces = [i for i in new.interfaces if not self.change.stays(name, i.name)]
        new.indexes = _indexes(new, interfaces, there)
        made = {i.name for i in interfaces}
        known = (item for item in old.sysctls if sysctl.interface_of(item[0]) not in made)
        return replace(
            new,
            interfaces=interfaces,
            routes=[r for r in new.routes if r not in old.routes or r.interface in made],
            written=frozenset(known),
            rulesets=[],
        )

    def _adjust(self, name: str) -> None:
        """Links that are in both plans, but not the same."""
        old, new = self.before.spaces[name], self.after.spaces[name]
        was = {i.name: i for i in old.interfaces}
        for interface in new.interfaces:
            if self.change.stays(name, interface.name) and interface != was[interface.name]:
                self.sockets[name].send(_differences(new, was[interface.name], interface))
                for request in _addresses(new, was[interface.name], interface):
                    self._settle(name, request, (errno.EEXIST, errno.EADDRNOTAVAIL))

    def _settle(self, name: str, request: Message, settled: tuple[int, ...]) -> None:
        """Request something that the kernel, or somebody else, may already have done."""
        try:
            self.sockets[name].send([request])
        except NetlinkError as error:
            if error.errno not in settled:
                raise

    def _wait_for_addresses(self, name: str) -> None:
        """Wait for what a namespace gets, not for what others took: a link that is down has no routes."""
        down = {link.index for link in dump.links(self.sockets[name]) if not link.up}
        space = self.after.spaces[name]
        stays = {space.indexes[i.name] for i in space.interfaces if self.change.stays(name, i.name)}
        but = {one for one in self.lost[name] if one[1] in stays}
        but |= {one for one in self.after.ipv6_addresses(space) if one[1] in down}
        wait_for_addresses(self.after, space, self.sockets[name], self.namespaces[name], but)

    def _announce(self, name: str) -> None:
        """Announce the addresses of new links: since Docker 28, a container has a different MAC at each
        start.
        """
        for interface in self.after.spaces[name].interfaces:
            if interface.kind != "veth" or interface.mac is None or self.change.stays(name, interface.name):
                continue
            speaks = self.after.spaces[name].speaks_ipv6(interface.name)
            announced = [bare(a) for a in interface.addresses if ":" not in a or speaks]
            if announced:
                netns.enter(self.namespaces[name])
                announce.send(interface.name, interface.mac, announced)

    # -- names and files

    def _names(self) -> None:
        after = {node.name: node for node in self.change.after.nodes}
        for node in self.change.before.nodes:
            kept = node.name in after and after[node.name].namespace == node.namespace
            if not kept or node.namespace in self.change.fresh:
                path = f"{self.private}/netns/{node.name}"
                if os.path.exists(path) or self.failed is None:
                    libc.umount(path)
                    os.unlink(path)
        for node in self.change.after.nodes:
            if not os.path.exists(f"{self.private}/netns/{node.name}"):
                fd = self.namespaces.get(node.namespace)
                if fd is None:
                    fd = os.open(f"{self.private}/netns/{node.namespace}", os.O_RDONLY | os.O_CLOEXEC)
                namespaces.bind_namespace(self.private, node.name, fd)

    def _files(self) -> None:
        """Write the nodes' /etc files, in place: running processes have these files mounted."""
        process.keep_etc(self.private, self.change.after)
        dns.keep(self.private, self.change.after)
        after: dict[str, Node] = {node.name: node for node in self.change.after.nodes}
        for node in self.change.before.nodes:
            now = after.get(node.name)
            for name, content in (
                ("hosts", now and now.hosts_file),
                ("resolv.conf", now and now.resolv_conf),
            ):
                path = f"{self.private}/etc/{node.name}/{name}"
                if not os.path.exists(path):
                    continue
                if content and node.name not in self.change.renewed:
                    with open(path, "w", encoding="utf-8") as file:
                        file.write(content)
                else:
                    os.unlink(path)


def _indexes(space: Space, made: list[Interface], there: dict[str, int]) -> dict[str, int]:
    """Name → index of all interfaces in a namespace: the existing ones, and free numbers for new ones."""
    indexes = dict(there)
    taken = set(there.values())
    for interface in made:
        wanted = space.indexes[interface.name]
        if wanted in taken:
            wanted = max(taken) + 1
        taken.add(wanted)
        indexes[interface.name] = wanted
    return indexes


def _differences(space: Space, old: Interface, new: Interface) -> list[Message]:
    """The messages that change an interface to the new plan."""
    index, name = space.indexes[new.name], new.name
    messages: list[Message] = []
    if old.mtu != new.mtu:
        messages.append(message.set_mtu(index, name, new.mtu))
    if old.master != new.master:
        messages.append(message.set_master(index, name, space.indexes[new.master] if new.master else 0))
    if old.hairpin != new.hairpin:
        messages.append(message.hairpin(index, name, new.hairpin))
    if old.up != new.up:
        messages.append(message.raise_link(index, name) if new.up else message.lower_link(index, name))
    return messages


def _addresses(space: Space, old: Interface, new: Interface) -> list[Message]:
    """The messages that take addresses from an interface and give it others.

    The link-local one of its MAC, which the kernel gives a link that is up, is never taken.
    """
    index = space.indexes[new.name]
    own = {f"{link_local(new.mac)}/64"} if new.mac else set()
    lost = [a for a in old.addresses if a not in new.addresses and a not in own]
    won = tuple(a for a in new.addresses if a not in old.addresses)
    messages = [message.delete_address(index, new.name, address) for address in lost]
    return messages + addresses_of(space, replace(new, addresses=won))
