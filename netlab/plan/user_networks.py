"""Rootless containers: the link to the program that is their network, and its node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from netlab.engine.contract import ContainerState, HostFacts, ParentFacts
from netlab.model.identifiers import link_local, mac
from netlab.model.plan import Interface, Node, Sysctl, UserNetwork

_SILENT = tuple(
    Sysctl(
        f"net.ipv6.conf.{which}.disable_ipv6", "1", "a program takes its frames, and the kernel sends none"
    )
    for which in ("all", "default")
)


def linked(container: ContainerState) -> tuple[Interface, ...]:
    """A container's interfaces, each with its peer."""
    own = container.user_network
    if own is None:
        return container.interfaces
    return tuple(_plugged(own, one) if one.name == own.interface else one for one in container.interfaces)


def linked_parent(parent: ParentFacts) -> Interface:
    """The interface of a rootless engine's namespace, with its peer."""
    return _plugged(parent.user_network, parent.interface)


def _plugged(own: UserNetwork, interface: Interface) -> Interface:
    return replace(interface, peer=(own.wire, own.interface))


def wires(container: ContainerState) -> Iterator[Node]:
    """The node with the other end of a container's link, where its program takes the frames."""
    own = container.user_network
    if own is not None:
        yield wire(own, next(one for one in container.interfaces if one.name == own.interface))


def wire(own: UserNetwork, end: Interface) -> Node:
    """The node with the other end of a link."""
    its = Interface(
        name=own.interface,
        kind="veth",
        # not the program's: the kernel drops frames to another address before it looks at them
        mac=mac(own.program, own.node, "wire", own.mac),
        mtu=end.mtu,
        peer=(own.node, own.interface),
        reason=f"{own.program} of {own.node}",
    )
    return Node(own.wire, "segment", own.wire, own.wire, interfaces=(its,), sysctls=_SILENT)


def on_host(facts: HostFacts, interfaces: Iterable[Interface]) -> Iterator[UserNetwork]:
    """The programs on a host, which has these interfaces of its own."""
    local = {one.name: link_local(one.mac) for one in interfaces if one.mac}
    for container in facts.containers:
        own = container.user_network
        if own is not None:
            seen = tuple((address, as_ or local[own.interface]) for address, as_ in own.seen_as)
            yield replace(own, seen_as=seen)
