"""The network around a testbed's host, in the words of a scenario."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from netlab.bench.real.testbed import CGROUP, Testbed, cgroup_roots, sweep_cgroups
from netlab.model.family import FAMILIES, Family, bare
from netlab.model.scenario import Host, Scenario

#: For flows: errors would otherwise be lost to the rate limit, and a packet's fate with them.
UNLIMITED = {"net.ipv4.icmp_ratelimit": "0", "net.ipv6.icmp.ratelimit": "0"}


def lay_out(testbed: Testbed, scenario: Scenario, host: Host) -> None:
    """Make what exists before the engine starts: segments, nodes outside, the host's links and settings."""
    early = {key: value for key, value in host.sysctls.items() if testbed.has(key)}
    # as at boot: what goes for all links is set before there are any
    testbed.sysctls(early)
    testbed.ip(["link set lo up"])
    segments = sorted({i.segment for i in host.interfaces})
    for segment in segments:
        name = f"seg-{segment}"
        testbed.run(["ip", "netns", "add", name])
        testbed.sysctls({f"net.ipv6.conf.{who}.disable_ipv6": "1" for who in ("all", "default")}, name)
        testbed.ip(["link add br0 type bridge", "link set br0 up"], name)
        # A frame that is switched between neighbours is no business of a host's iptables.
        tools = ("iptables", "ip6tables", "arptables")
        testbed.sysctls({f"net.bridge.bridge-nf-call-{tool}": "0" for tool in tools}, name)
    for interface in host.interfaces:
        _plug(testbed, "", interface.name, interface.segment, interface.addresses)
    for node in scenario.outside:
        if not any(i.segment in segments for i in node.interfaces):
            continue
        testbed.run(["ip", "netns", "add", node.name])
        testbed.ip(["link set lo up"], node.name)
        for interface in node.interfaces:
            _plug(testbed, node.name, interface.name, interface.segment, interface.addresses)
        if node.routes == "host":
            for family in FAMILIES:
                via = [bare(a) for i in host.interfaces for a in i.addresses if Family.of(a) is family]
                has = [a for i in node.interfaces for a in i.addresses if Family.of(a) is family]
                if via and has:
                    testbed.ip([f"route add default via {via[0]}"], node.name)
        elif node.routes != "none":
            testbed.ip([f"route add {to} via {via}" for to, via in node.routes], node.name)
    for number, bridge in enumerate(host.bridges):
        testbed.ip(
            [
                f"link add {bridge.name} type bridge",
                f"link set {bridge.name} address 02:00:5e:00:53:{number:02x}",
                f"link set {bridge.name} up",
            ]
            + [f"addr add {a} dev {bridge.name} {given(a)}" for a in bridge.addresses]
        )
    testbed.sysctls({key: value for key, value in host.sysctls.items() if key not in early})


def given(address: str) -> str:
    """How an administrator's tools add an address: with its broadcast address, or ready at once."""
    return "brd +" if Family.of(address) is Family.IPV4 else "nodad"


def _plug(testbed: Testbed, node: str, name: str, segment: str, addresses: Sequence[str]) -> None:
    """A veth from a node to a segment's bridge; addresses without duplicate detection."""
    seg, port = f"seg-{segment}", f"{node or 'host'}-{name}"[:15]
    peer = ["ip", "link", "add", port, "type", "veth", "peer", "name", name]
    testbed.run([*peer, "netns", node or str(1)], seg)
    testbed.ip([f"link set {port} master br0", f"link set {port} up"], seg)
    testbed.ip(
        [f"link set {name} up"] + [f"addr add {a} dev {name} {given(a)}" for a in addresses],
        node,
    )


def sweep_stale() -> None:
    """Remove the cgroups of runs that were killed: nothing else of a testbed outlives its owner."""
    names = {path.name for root in cgroup_roots() for path in root.glob(f"{CGROUP}-*-*")}
    for name in names:
        if not Path("/proc", name.split("-")[-2]).exists():
            sweep_cgroups(name)
