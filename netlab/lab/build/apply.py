"""Apply a plan: create its namespaces, links, addresses, routes, sysctls and rules.

The order makes it fast, and the lab ready at once (figures: Linux 6.18, 2 cores):

1. every namespace, and its settings that name no interface, before its links exist: they are what links
   start with; those of containers are made by a thread, while the first ones' links are made. As soon as a
   host's is there the tools begin to load its rules, and have until the end
2. the veth pairs, 64 a message batch, the bridge's end up and a port at once, the other end put straight into
   its namespace under its own name, index and MAC
3. in each namespace: settings that name an interface, links up, addresses, routes
4. the bridges up, last, so that a thousand ports do not flood each other's first multicasts
5. a wait for what the kernel does in its own time. Each port's state is read once: that runs the link watch
   work, which else serves only a hundred links a pass, and the rest a second later. An IPv6 address takes
   packets only when a work queue has added its local route, nodad or not; and a router asks for its
   neighbours only from a link-local address that is ready, or else a second later

Nothing is named in the file system: closing the descriptors is the whole teardown.
"""

from __future__ import annotations

import errno
import os
import resource
import select
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial

from netlab.kernel import netns, process, sysctl
from netlab.kernel.netlink import dump, message
from netlab.kernel.netlink.message import LinkEnd, Message
from netlab.kernel.netlink.socket import BATCH, RTNLGRP_IPV6_ROUTE, RTNLGRP_LINK, NetlinkError, RouteSocket
from netlab.kernel.sandbox.launcher import TOOL, Program, Sandbox
from netlab.lab.build import real_firewall
from netlab.lab.build.layout import Layout, Space, VethPair, layout
from netlab.lab.build.namespaces import Namespaces
from netlab.lab.build.rulesets import Rulesets
from netlab.model.errors import LabError, MachineError
from netlab.model.plan import Interface, Plan, Route
from netlab.model.problem import Problem, ScenarioError
from netlab.model.scenario import HostRule

#: Descriptors beside one a namespace and one a namespace being built
_SPARE_DESCRIPTORS = 64
#: The kernel serves waiting links once a second, and on a machine that is busy enough a lot later
_READY_MS = 60_000


class Applied:
    """A plan that was applied. The namespaces exist as long as these descriptors, and the programs inside."""

    def __init__(self, plan: Plan, namespaces: dict[str, int], indexes: dict[str, dict[str, int]]) -> None:
        self.plan = plan
        #: the network namespace of each node that owns one, as a descriptor
        self.namespaces = namespaces
        #: of each namespace's owner: interface name → ifindex
        self.indexes = indexes

    def namespace_of(self, node: str) -> int:
        """The descriptor of the node's namespace, its own or another node's; raises KeyError."""
        return self.namespaces[self.plan.node(node).namespace]

    def run_commands(self) -> None:
        """Run the administrators' lines, node by node in the order of the plan.

        Raises ScenarioError with the position of the first line that fails and the tool's own words.
        """
        run_rules(
            [(rule, self.namespaces[node.namespace]) for node in self.plan.nodes for rule in node.commands]
        )

    def close(self) -> None:
        """Let go of every namespace; the kernel takes them down, in one sweep, in the background."""
        for fd in self.namespaces.values():
            os.close(fd)
        self.namespaces.clear()


def run_rules(rules: Sequence[tuple[HostRule, int]]) -> None:
    """Run lines, each in a namespace (a descriptor), one after the other.

    Raises ScenarioError with the position of the first line that fails and the tool's own words.
    """
    if not rules:
        return
    sandbox = Sandbox()
    try:
        for rule, namespace in rules:
            process.find(rule.argv[0])
            sysctl.demand_br_netfilter(rule.text)
            done = sandbox.run(Program(rule.argv, namespace, TOOL))
            if done.code != 0:
                words = (done.errors or done.output).strip() or f"exit code {done.code}"
                raise ScenarioError([Problem(rule.position, f"{rule.text}: {words}")])
    finally:
        sandbox.close()


def apply(plan: Plan, private: str = "") -> Applied:
    """Create everything in ``plan`` except processes; after that, the first packet of any flow arrives.

    For a single-threaded process (a thread's namespaces are changed and restored). ``private`` is the folder
    for the files of a real firewall (``run: real``). Raises MachineError if the machine lacks something,
    LabError if the kernel or a tool refuses; then nothing is left behind.
    """
    build = Build(layout(plan), private=private)
    try:
        build.run()
    except OSError as error:
        build.abandon()
        raise LabError(error.strerror or str(error)) from error
    except BaseException:
        build.abandon()
        raise
    return Applied(plan, build.namespaces, {name: s.indexes for name, s in build.layout.spaces.items()})


class Build:
    """The work in progress: everything that must be closed if it fails.

    ``standing``: existing namespaces; for these, the layout contains only additions.
    """

    def __init__(self, plan: Layout, standing: Mapping[str, int] | None = None, *, private: str = "") -> None:
        self.layout = plan
        self.private = private
        self.standing = standing or {}
        spaces = plan.spaces.values()
        self.rulesets = Rulesets(spaces, self.standing)
        self.made = Namespaces(spaces, self.standing, self.rulesets.first)
        self.namespaces = self.made.descriptors
        self.sockets = self.made.sockets

    def run(self) -> None:
        """Build it, and return when all of it is ready; raises NetlinkError, LabError, MachineError."""
        _allow_descriptors(2 * len(self.layout.spaces) + _SPARE_DESCRIPTORS)
        with netns.returning():
            with self.made.making():
                self.rulesets.begin(self.namespaces)
                self._make_links()
            self._configure()
            self._run_firewalls()
            self.rulesets.copy(self.namespaces)
            self._raise_bridges()
            self.rulesets.finish(self.namespaces)
            self._wait_for_addresses()
        self.made.close_sockets()

    def abandon(self) -> None:
        """Remove everything that was created here."""
        self.rulesets.cancel()
        self.made.abandon()

    def _make_links(self) -> None:
        """Bridges and pairs, so that in each namespace what the plan has before its bridges is older.

        Age shows: MASQUERADE takes the address of the first device that has one (inet_select_addr).
        """
        older = [space for space in self.layout.spaces.values() if not space.before_bridges]
        self._make_bridges(older)
        first = [pair for pair in self.layout.pairs if pair.older]
        self._make_pairs(first)
        self._make_bridges(space for space in self.layout.spaces.values() if space.before_bridges)
        self._make_pairs(pair for pair in self.layout.pairs if not pair.older)

    def _make_bridges(self, spaces: Iterable[Space]) -> None:
        for space in spaces:
            messages = [
                message.bridge(b.name, space.indexes[b.name], b.mac, b.mtu, b.txqlen) for b in space.bridges
            ]
            if messages:
                self.made.settle(space)
                self.sockets[space.name].send(messages)

    def _make_pairs(self, pairs: Iterable[VethPair]) -> None:
        batches: dict[str, list[Message]] = {}
        for pair in pairs:
            self.made.settle(pair.near)
            self.made.settle(pair.far)
            messages = batches.setdefault(pair.near.name, [])
            messages += self._pair(pair)
            if len(messages) >= BATCH:
                self.sockets[pair.near.name].send(messages)
                messages.clear()
        for name, messages in batches.items():
            self.sockets[name].send(messages)

    def _pair(self, pair: VethPair) -> Iterator[Message]:
        near, far = pair.near, pair.far
        yield message.veth(
            _end(near, pair.near_end),
            _end(far, pair.far_end),
            self.namespaces[far.name],
            master=near.indexes[pair.near_end.master] if pair.near_end.master else 0,
            up=pair.near_end.up,
        )
        if pair.near_end.hairpin:
            yield message.hairpin(near.indexes[pair.near_end.name], pair.near_end.name)

    def _configure(self) -> None:
        """Everything in each namespace except bridges, and routes where there are bridges."""
        near_ends = {(pair.near.name, pair.near_end.name) for pair in self.layout.pairs}
        neighbours: dict[str, list[Message]] = {}
        for space, index, address, mac in self.layout.neighbours():
            entry = message.permanent_neighbour(index, address, message.mac_bytes(mac))
            neighbours.setdefault(space.name, []).append(entry)
        self._write_late_settings()
        for space in self.layout.spaces.values():
            messages = [message.raise_link(1, "lo")]
            for interface in space.interfaces:
                if interface.kind == "bridge":
                    continue
                far = (space.name, interface.name) not in near_ends
                messages += _configuration(space, interface, far=far)
            if not space.bridges:
                messages += _routes(space)
                messages += neighbours.get(space.name, ())
            self.sockets[space.name].send(messages)
        self._late_neighbours = neighbours

    def _write_late_settings(self) -> None:
        with closing(sysctl.instances()) as instances:
            for space, proc in zip(self.layout.spaces.values(), instances, strict=False):
                late = space.settings(of_interfaces=True)
                if late:
                    netns.enter(self.namespaces[space.name])
                    sysctl.write_all(late, proc)

    def _run_firewalls(self) -> None:
        for space in self.layout.spaces.values():
            if space.firewall is not None and space.name not in self.standing:
                place = real_firewall.FirewallNode(space.name, self.namespaces[space.name], self.private)
                real_firewall.start(space.firewall, place)

    def _raise_bridges(self) -> None:
        self._settle((pair.near, pair.near_end) for pair in self.layout.pairs)
        bridges = [(space, bridge) for space in self.layout.spaces.values() for bridge in space.bridges]
        for space, bridge in bridges:
            index = space.indexes[bridge.name]
            messages = addresses_of(space, bridge)
            if bridge.up:
                messages.append(message.raise_link(index, bridge.name))
            messages.append(message.snooping(index, bridge.name))
            self.sockets[space.name].send(messages)
        self._settle(bridges)
        for space in self.layout.spaces.values():
            if space.bridges:
                self.sockets[space.name].send([*_routes(space), *self._late_neighbours.get(space.name, ())])

    def _settle(self, interfaces: Iterable[tuple[Space, Interface]]) -> None:
        """Make the kernel handle links whose carrier has changed, and wait for it if necessary."""
        requests: dict[str, list[Message]] = {}
        for space, interface in interfaces:
            request = message.get_link(space.indexes[interface.name], interface.name)
            requests.setdefault(space.name, []).append(request)
        for name, asked in requests.items():
            answers = [dump.link(data) for data in self.sockets[name].ask(asked)]
            waiting = {link.index for link in answers if link.up and not link.ready and link.kind == "veth"}
            if waiting:
                self._wait_for(name, waiting)

    def _wait_for_addresses(self) -> None:
        """Return when every IPv6 address has its local route; those of bridges come last."""
        for space in sorted(self.layout.spaces.values(), key=lambda space: bool(space.bridges)):
            wait_for_addresses(self.layout, space, self.sockets[space.name], self.namespaces[space.name])

    def _wait_for(self, name: str, waiting: set[int]) -> None:
        """Before Linux 6.8, a query does not run the link watch work: wait for its notifications.

        A port stays down if its other end is meant to be down, so such ports do not count.
        """
        for pair in self.layout.pairs:
            if pair.near.name == name and not pair.far_end.up:
                waiting.discard(pair.near.indexes[pair.near_end.name])
        if not waiting:
            return
        netns.enter(self.namespaces[name])
        with RouteSocket(name) as sock:
            sock.join(RTNLGRP_LINK)
            _wait(
                sock,
                lambda: all(link.ready for link in dump.links(self.sockets[name]) if link.index in waiting),
                f"links of {name}",
            )


def wait_for_addresses(
    layout: Layout,
    space: Space,
    own: RouteSocket,
    namespace: int,
    but: Container[tuple[str, int]] = (),
) -> None:
    """Return when every IPv6 address of a namespace has its local route. Leaves the thread in it.

    ``but``: addresses, with the index of their link, that are not waited for.
    """
    wanted = [one for one in layout.ipv6_addresses(space) if one not in but]
    requests = [message.get_route(*one) for one in wanted]
    if not requests or _all_local(own, requests):
        return
    netns.enter(namespace)
    with RouteSocket(space.name) as sock:
        sock.join(RTNLGRP_IPV6_ROUTE)
        _wait(sock, partial(_all_local, own, requests), f"IPv6 addresses of {space.name}")


def lost_addresses(layout: Layout, space: Space, own: RouteSocket) -> set[tuple[str, int]]:
    """The IPv6 addresses of a namespace that have no local route now, each with the index of its link."""
    return {one for one in layout.ipv6_addresses(space) if not _all_local(own, [message.get_route(*one)])}


def _all_local(sock: RouteSocket, requests: list[Message]) -> bool:
    try:
        return all(map(dump.is_local, sock.ask(requests)))
    except NetlinkError as error:
        if error.errno != errno.ENETUNREACH:  # not even the link's fe80::/64 exists yet
            raise
        return False


def _wait(sock: RouteSocket, condition: Callable[[], bool], what: str) -> None:
    """Return when the condition holds; it is checked after each notification on ``sock``."""
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    while not condition():
        if not poll.poll(_READY_MS):
            raise LabError(f"{what} do not become ready")
        sock.discard()


def _end(space: Space, interface: Interface) -> LinkEnd:
    index = space.indexes[interface.name]
    return LinkEnd(interface.name, index, interface.mac, interface.mtu, interface.txqlen)


def addresses_of(space: Space, interface: Interface) -> list[Message]:
    """The messages that give an interface its addresses; no IPv6 ones if IPv6 is off."""
    index = space.indexes[interface.name]
    return [
        message.add_address(index, interface.name, address)
        for address in interface.addresses
        if ":" not in address or space.speaks_ipv6(interface.name)
    ]


def _configuration(space: Space, interface: Interface, *, far: bool) -> list[Message]:
    messages: list[Message] = []
    index = space.indexes[interface.name]
    if far:
        master = space.indexes[interface.master] if interface.master else 0
        if interface.up:
            messages.append(message.raise_link(index, interface.name, master=master))
        elif master:
            messages.append(message.set_master(index, interface.name, master))
        if interface.hairpin:
            messages.append(message.hairpin(index, interface.name))
    return messages + addresses_of(space, interface)


def _routes(space: Space) -> list[Message]:
    return [
        message.route(route, space.indexes[route.interface] if route.interface else 0)
        for route in space.routes
        if not _is_ipv6(route) or space.speaks_ipv6(route.interface)
    ]


def _is_ipv6(route: Route) -> bool:
    return ":" in f"{route.destination}{route.via or ''}{route.source or ''}"


def _allow_descriptors(count: int) -> None:
    """Raise this process's soft limit of open files as far as needed; MachineError if it cannot be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        raise MachineError(
            f"the lab needs {count} open files, the limit is {hard}: raise it (ulimit -Hn, LimitNOFILE=)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
