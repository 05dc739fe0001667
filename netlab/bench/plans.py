"""Plans of any size for the benchmarks of applying them: one host, its bridges, N containers, one client."""

from __future__ import annotations

from netlab.model.family import Family
from netlab.model.plan import Interface, NetworkFacts, Node, Plan, Responder, Route, Sysctl
from netlab.model.rules import Chain, IptablesRuleset, Rule, Ruleset, Table

#: What Docker 20.10 sets in each container, and on a host with a container network
_CONTAINER = (("net.ipv4.ip_unprivileged_port_start", "0"),)
_HOST = (("net.ipv4.ip_forward", "1"), ("net.ipv6.conf.all.forwarding", "1"))


def star(
    containers: int, *, networks: int = 1, rulesets: tuple[Ruleset, ...] = (), client: bool = True
) -> Plan:
    """A plan with ``containers`` dual-stack containers spread over ``networks`` bridges of one host.

    Container ``cN`` has 10.B.x.y and fd00:B::…, where B counts the bridges from 1; the client is
    198.51.100.2 and 2001:db8:1::2 on the segment ``ext`` with the host's ext0.
    """
    ports: list[Interface] = []
    nodes: list[Node] = []
    members: list[list[tuple[str, str, tuple[str, ...]]]] = [[] for _ in range(networks)]
    for number in range(containers):
        bridge, place = number % networks + 1, number // networks + 2
        name = f"c{number}"
        addresses = (f"10.{bridge}.{place >> 8}.{place & 255}/16", f"fd00:{bridge}::{place:x}/64")
        port = f"veth{number:x}"
        mac = f"02:42:0a:{bridge:02x}:{place >> 8:02x}:{place & 255:02x}"
        ports.append(
            Interface(port, "veth", mac=f"06:42:0a:{mac[9:]}", peer=(name, "eth0"), master=f"br{bridge}")
        )
        members[bridge - 1].append((name, "eth0", addresses))
        nodes.append(
            Node(
                name,
                "container",
                name,
                interfaces=(Interface("eth0", "veth", mac=mac, peer=("host", port), addresses=addresses),),
                routes=(Route("default", f"10.{bridge}.0.1"), Route("default", f"fd00:{bridge}::1")),
                sysctls=tuple(Sysctl(key, value, "a benchmark's") for key, value in _CONTAINER),
                responders=(Responder("tcp", 80, name),),
                host="host",
            )
        )
    bridges = [
        Interface(
            f"br{bridge}",
            "bridge",
            mac=f"02:42:00:00:{bridge:02x}:01",
            addresses=(f"10.{bridge}.0.1/16", f"fd00:{bridge}::1/64"),
        )
        for bridge in range(1, networks + 1)
    ]
    outside: list[Node] = []
    external: list[Interface] = []
    if client:
        external = [_outer("ext0", ("ext", "host"), "02:00:00:00:00:01", 1)]
        outside = [_CLIENT, _SEGMENT]
    host = Node(
        "host",
        "host",
        "host",
        interfaces=(*external, *bridges, *ports),
        sysctls=tuple(Sysctl(key, value, "a benchmark's") for key, value in _HOST),
        rulesets=rulesets,
    )
    facts = tuple(
        NetworkFacts(
            f"nw{bridge}",
            f"nw{bridge}",
            "host",
            f"br{bridge}",
            (f"10.{bridge}.0.0/16", f"fd00:{bridge}::/64"),
            (f"10.{bridge}.0.1", f"fd00:{bridge}::1"),
            False,
            tuple(members[bridge - 1]),
        )
        for bridge in range(1, networks + 1)
    )
    return Plan("star", "star", (host, *nodes, *outside), facts, ())


def _outer(name: str, peer: tuple[str, str], mac: str, place: int) -> Interface:
    addresses = (f"198.51.100.{place}/24", f"2001:db8:1::{place:x}/64")
    return Interface(name, "veth", mac=mac, peer=peer, addresses=addresses)


_CLIENT = Node(
    "client",
    "outside",
    "client",
    interfaces=(_outer("eth0", ("ext", "client"), "02:00:00:00:00:02", 2),),
    routes=(Route("default", "198.51.100.1"), Route("default", "2001:db8:1::1")),
)
_SEGMENT = Node(
    "ext",
    "segment",
    "ext",
    interfaces=(
        Interface("br0", "bridge", mac="02:00:00:00:01:00"),
        Interface("host", "veth", peer=("host", "ext0"), master="br0"),
        Interface("client", "veth", peer=("client", "eth0"), master="br0"),
    ),
)


def published(ports: int, container: str = "10.1.0.2", bridge: str = "br1") -> IptablesRuleset:
    """What Docker 20.10 writes for ``ports`` published ports of one container, from 10000 up."""
    reason = "a benchmark's"
    numbers = range(10000, 10000 + ports)
    masquerade = f"-s {container}/32 -d {container}/32 -p tcp -m tcp --dport {{}} -j MASQUERADE"
    translate = f"! -i {bridge} -p tcp -m tcp --dport {{0}} -j DNAT --to-destination {container}:{{0}}"
    accept = f"-d {container}/32 ! -i {bridge} -o {bridge} -p tcp -m tcp --dport {{}} -j ACCEPT"

    def each(text: str) -> tuple[Rule, ...]:
        return tuple(Rule(text.format(number), reason) for number in numbers)

    local = Rule("-m addrtype --dst-type LOCAL -j DOCKER", reason)
    return IptablesRuleset(
        Family.IPV4,
        (
            Table(
                "filter",
                (
                    Chain("INPUT", "ACCEPT"),
                    Chain("FORWARD", "ACCEPT", (Rule(f"-o {bridge} -j DOCKER", reason),)),
                    Chain("OUTPUT", "ACCEPT"),
                    Chain("DOCKER", None, each(accept)),
                ),
            ),
            Table(
                "nat",
                (
                    Chain("PREROUTING", "ACCEPT", (local,)),
                    Chain("INPUT", "ACCEPT"),
                    Chain("OUTPUT", "ACCEPT", (local,)),
                    Chain("POSTROUTING", "ACCEPT", each(masquerade)),
                    Chain("DOCKER", None, each(translate)),
                ),
            ),
        ),
    )
