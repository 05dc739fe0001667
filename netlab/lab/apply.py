"""Turn a plan into living namespaces.

The order is what makes it fast and ready at once (figures: Linux 6.18, 2 cores):

1. every namespace, and its settings that name no interface, before links exist: they are what links start
   with
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
import select
from collections.abc import Callable, Container, Iterable, Mapping
from functools import partial

from netlab.kernel import dump, message, netns, process, rulecopy, ruleset, sysctl
from netlab.kernel.message import End, Message
from netlab.kernel.netlink import RTNLGRP_IPV6_ROUTE, RTNLGRP_LINK, NetlinkError, RouteSocket
from netlab.lab.layout import Layout, Pair, Space, layout
from netlab.model.errors import LabError, MachineError, Problem, ScenarioError
from netlab.model.family import Family
from netlab.model.plan import Interface, Plan, Route
from netlab.model.rules import IptablesRuleset, NftFile, NftTable, Ruleset

#: Descriptors beside one a namespace and one a namespace being built
_SPARE_DESCRIPTORS = 64
#: The kernel serves waiting links once a second
_READY_MS = 10_000


class Applied:
    """A plan that stands. The namespaces live as long as these descriptors (and what runs inside)."""

    def __init__(self, plan: Plan, namespaces: dict[str, int], indexes: dict[str, dict[str, int]]) -> None:
        self.plan = plan
        #: the network namespace of each node that owns one, as a descriptor
        self.namespaces = namespaces
        #: of each namespace's owner: interface name → ifindex
        self.indexes = indexes

    def namespace_of(self, node: str) -> int:
        """The descriptor of the namespace in which ``node`` lives, its own or another's; raises KeyError."""
        return self.namespaces[self.plan.node(node).namespace]

    def run_commands(self) -> None:
        """Run the administrators' lines, node by node in the order of the plan.

        Raises ScenarioError with the position of the first line that fails and the tool's own words.
        """
        if not any(node.commands for node in self.plan.nodes):
            return
        from netlab.kernel.launch import TOOL, Program, Sandbox

        sandbox = Sandbox()
        try:
            for node in self.plan.nodes:
                for rule in node.commands:
                    process.find(rule.argv[0])
                    done = sandbox.run(Program(rule.argv, self.namespaces[node.namespace], TOOL))
                    if done.code != 0:
                        words = (done.errors or done.output).strip() or f"exit code {done.code}"
                        raise ScenarioError([Problem(rule.position, f"{rule.text}: {words}")])
        finally:
            sandbox.close()

    def close(self) -> None:
        """Let go of every namespace; the kernel takes them down, in one sweep, in the background."""
        for fd in self.namespaces.values():
            os.close(fd)
        self.namespaces.clear()


def apply(plan: Plan) -> Applied:
    """Build everything in ``plan`` but processes; the first packet of any flow then finds its way.

    For a single-threaded process (a thread's namespaces are changed and restored). Raises MachineError
    where the machine lacks something, LabError where the kernel or a tool refuses; nothing is left then.
    """
    build = Build(layout(plan))
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
    """The work in progress: what must be closed if it fails.

    ``standing``: namespaces that are there already, in which the layout has only what is to be added.
    """

    def __init__(self, plan: Layout, standing: Mapping[str, int] | None = None) -> None:
        self.layout = plan
        self.standing = standing or {}
        self.namespaces: dict[str, int] = dict(self.standing)
        self.sockets: dict[str, RouteSocket] = {}
        self.alike = _alike((space for space in plan.spaces.values() if space.rulesets), self.standing)
        self.rulesets = {spaces[0].name: _Loader(spaces[0]) for spaces in self.alike}

    def run(self) -> None:
        """Build it, and return when all of it is ready; raises NetlinkError, LabError, MachineError."""
        spaces = self.layout.spaces
        _allow_descriptors(2 * len(spaces) + _SPARE_DESCRIPTORS)
        with netns.returning():
            self._make_namespaces()
            self._make_links()
            self._configure()
            self._run_firewalls()
            self._copy_rulesets()
            self._raise_bridges()
            for loader in self.rulesets.values():
                loader.finish(self.namespaces)
            self._wait_for_addresses()
        for sock in self.sockets.values():
            sock.close()
        self.sockets.clear()

    def abandon(self) -> None:
        """Leave nothing behind of what was made here."""
        for loader in self.rulesets.values():
            loader.cancel()
        for sock in self.sockets.values():
            sock.close()
        for name, fd in self.namespaces.items():
            if name not in self.standing:
                os.close(fd)
        self.namespaces.clear()

    def _make_namespaces(self) -> None:
        corrections: tuple[tuple[str, str], ...] | None = None
        ipv6 = os.access("/proc/sys/net/ipv6", os.X_OK)
        for space, proc in zip(self.layout.spaces.values(), sysctl.instances(), strict=False):
            fresh = space.name not in self.standing
            if not fresh:
                netns.enter(self.standing[space.name])
            elif space.programs:
                self._make_owned(space)
            else:
                netns.unshare()
            sock = self.sockets[space.name] = RouteSocket()
            if fresh and not space.programs:
                self.namespaces[space.name] = netns.of_socket(sock.fileno())
            if fresh:
                if corrections is None:
                    corrections = sysctl.inherited()
                sysctl.write_all(corrections, proc)
                if ipv6 and ("net.ipv6.conf.all.disable_ipv6", "1") not in space.sysctls:
                    sysctl.write(*sysctl.NO_DUPLICATE_DETECTION, proc)
            sysctl.write_all(space.settings(of_interfaces=False), proc)
            if space.name in self.rulesets:
                self.rulesets[space.name].begin(self.namespaces)

    def _make_owned(self, space: Space) -> None:
        from netlab.kernel import userns

        fd = self.namespaces[space.name] = userns.create_network()
        netns.enter(fd)

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
                self.sockets[space.name].send(messages)

    def _make_pairs(self, pairs: Iterable[Pair]) -> None:
        batches: dict[str, list[Message]] = {}
        for pair in pairs:
            near, far = pair.near, pair.far
            master = near.indexes[pair.near_end.master] if pair.near_end.master else 0
            messages = batches.setdefault(near.name, [])
            messages.append(
                message.veth(
                    _end(near, pair.near_end),
                    _end(far, pair.far_end),
                    self.namespaces[far.name],
                    master=master,
                    up=pair.near_end.up,
                )
            )
            if pair.near_end.hairpin:
                messages.append(message.hairpin(near.indexes[pair.near_end.name], pair.near_end.name))
        for name, messages in batches.items():
            self.sockets[name].send(messages)

    def _configure(self) -> None:
        """Everything in each namespace but bridges, and but routes where there are bridges."""
        near_ends = {(pair.near.name, pair.near_end.name) for pair in self.layout.pairs}
        neighbours: dict[str, list[Message]] = {}
        for space, index, address, mac in self.layout.neighbours():
            entry = message.permanent_neighbour(index, address, message.mac_bytes(mac))
            neighbours.setdefault(space.name, []).append(entry)
        for space, proc in zip(self.layout.spaces.values(), sysctl.instances(), strict=False):
            late = space.settings(of_interfaces=True)
            if late:
                netns.enter(self.namespaces[space.name])
                sysctl.write_all(late, proc)
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

    def _run_firewalls(self) -> None:
        for space in self.layout.spaces.values():
            if space.firewall is not None and space.name not in self.standing:
                from netlab.lab import realfirewall

                realfirewall.start(space.firewall, self.namespaces[space.name])

    def _copy_rulesets(self) -> None:
        """What the first of some namespaces that are to have the same rules has now, the others get."""
        for first, *others in self.alike:
            if others:
                self.rulesets[first.name].finish(self.namespaces)
                netns.enter(self.namespaces[first.name])
                rules = rulecopy.read()
                for space in others:
                    netns.enter(self.namespaces[space.name])
                    rulecopy.write(rules)

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
        """Have the kernel see to links whose carrier has changed, and wait where it does not at once."""
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
        """Return when every IPv6 address has its local route."""
        for space in self.layout.spaces.values():
            wait_for_addresses(self.layout, space, self.sockets[space.name], self.namespaces[space.name])

    def _wait_for(self, name: str, waiting: set[int]) -> None:
        """Before Linux 6.8 asking does not run the link watch work: wait for its notifications.

        A port stays down for good if its other end is to be down, so those do not count.
        """
        for pair in self.layout.pairs:
            if pair.near.name == name and not pair.far_end.up:
                waiting.discard(pair.near.indexes[pair.near_end.name])
        if not waiting:
            return
        netns.enter(self.namespaces[name])
        with RouteSocket() as sock:
            sock.join(RTNLGRP_LINK)
            _wait(
                sock,
                lambda: all(link.ready for link in dump.links(self.sockets[name]) if link.index in waiting),
                f"links of {name}",
            )


def wait_for_addresses(layout: Layout, space: Space, own: RouteSocket, namespace: int) -> None:
    """Return when every IPv6 address of a namespace has its local route. Leaves the thread in it."""
    requests = [message.get_route(*wanted) for wanted in layout.ipv6_addresses(space)]
    if not requests or _all_local(own, requests):
        return
    netns.enter(namespace)
    with RouteSocket() as sock:
        sock.join(RTNLGRP_IPV6_ROUTE)
        _wait(sock, partial(_all_local, own, requests), f"IPv6 addresses of {space.name}")


def _all_local(sock: RouteSocket, requests: list[Message]) -> bool:
    try:
        return all(map(dump.is_local, sock.ask(requests)))
    except NetlinkError as error:
        if error.errno != errno.ENETUNREACH:  # not even the link's fe80::/64 is there yet
            raise
        return False


def _wait(sock: RouteSocket, condition: Callable[[], bool], what: str) -> None:
    """Return when the condition holds, which is looked at after each notification that ``sock`` gets."""
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    while not condition():
        if not poll.poll(_READY_MS):
            raise LabError(f"{what} do not become ready")
        sock.discard()


def _end(space: Space, interface: Interface) -> End:
    index = space.indexes[interface.name]
    return End(interface.name, index, interface.mac, interface.mtu, interface.txqlen)


def addresses_of(space: Space, interface: Interface) -> list[Message]:
    """The messages that give an interface its addresses, but IPv6 ones where IPv6 is off."""
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
        message.route(
            route.destination,
            route.via,
            space.indexes[route.interface] if route.interface else 0,
            route.source,
        )
        for route in space.routes
        if not _is_ipv6(route) or space.speaks_ipv6(route.interface)
    ]


def _is_ipv6(route: Route) -> bool:
    return ":" in f"{route.destination}{route.via or ''}{route.source or ''}"


def _alike(spaces: Iterable[Space], standing: Container[str]) -> list[list[Space]]:
    """Namespaces grouped by their rulesets; a new container's can be had by copying the first one's."""
    groups: dict[object, list[Space]] = {}
    for space in spaces:
        new = space.kind == "container" and space.name not in standing
        copied = new and all(
            isinstance(r, IptablesRuleset) or (isinstance(r, NftTable) and not r.objects)
            for r in space.rulesets
        )
        groups.setdefault(tuple(space.rulesets) if copied else space.name, []).append(space)
    return list(groups.values())


class _Loader:
    """The rulesets of one namespace: in order, but neighbours of different families at once."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.waiting = list(space.rulesets)
        self.loading: list[ruleset.Loading] = []
        self.fresh = set(Family)

    def begin(self, namespaces: dict[str, int]) -> None:
        """Start what needs no links: nft's own text may name them. Leaves the thread in the namespace."""
        if isinstance(self.waiting[0], IptablesRuleset):
            self.advance(namespaces)

    def advance(self, namespaces: dict[str, int]) -> None:
        """Start what may start now. Leaves the thread in the namespace."""
        netns.enter(namespaces[self.space.name])
        families: set[Family] = set()
        while self.waiting:
            first = self.waiting[0]
            if not isinstance(first, IptablesRuleset):
                if not families:
                    self.fresh.clear()
                    self.loading.append(ruleset.start_nft(_text(self.waiting.pop(0))))
                return
            if first.family in families:
                return
            families.add(first.family)
            fresh = first.family in self.fresh
            self.fresh.discard(first.family)
            self.loading.append(ruleset.start_iptables(first.family, _text(self.waiting.pop(0)), fresh=fresh))

    def finish(self, namespaces: dict[str, int]) -> None:
        """Wait until all are in; raises LabError, and nothing is loading then."""
        while self.loading or self.waiting:
            while self.loading:
                self.loading.pop().finish()
            self.advance(namespaces)

    def cancel(self) -> None:
        """Stop what is loading."""
        while self.loading:
            self.loading.pop().cancel()


def _text(rules: Ruleset) -> str:
    if isinstance(rules, NftFile):
        return rules.text
    from netlab.plan import render

    return render.restore_text(rules) if isinstance(rules, IptablesRuleset) else render.nft_input(rules)


def _allow_descriptors(count: int) -> None:
    """Raise this process's soft limit of open files as far as needed; MachineError if it cannot be."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        raise MachineError(
            f"the lab needs {count} open files, the limit is {hard}: raise it (ulimit -Hn, LimitNOFILE=)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
