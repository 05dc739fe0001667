"""A network's rules (iptabler/network.go)."""

from __future__ import annotations

from collections.abc import Callable

from netlab.engine.docker.chains import DOCKER, STAGE_1, STAGE_2
from netlab.engine.docker.host_state import HostState, LiveNetwork
from netlab.engine.docker_20_10.network import internal_drops
from netlab.engine.docker_28.chains import BRIDGE, CT, FORWARD
from netlab.engine.tables import IptablesError, Tables
from netlab.model.family import Family

#: The chain with the drops of internal networks.
INTERNAL = STAGE_1


def add(state: HostState, network: LiveNetwork) -> None:
    """Insert the rules of a network: after those of others, except for NAT and the second isolation stage."""
    for family in state.families():
        if family in network.families:
            add_family(state, network, family, FORWARD, forwarding)


def add_family(
    state: HostState,
    network: LiveNetwork,
    family: Family,
    forward: str,
    forwarding: Callable[[Tables, LiveNetwork, Family], None],
) -> None:
    """The rules of one family; ``forward`` is the chain that decides on what is forwarded.

    ``forwarding`` writes what may be forwarded to and from a network that is not internal.
    """
    tables = state.tables[family]
    if network.internal:
        internal(tables, network, family, INTERNAL, forward)
        return
    source_nat(tables, network, family, hairpin=not state.daemon.userland_proxy)
    skip_nat(state, tables, network, family)
    if network.modes[family] == "routed":
        route(tables, network)
    isolate(tables, network)
    forwarding(tables, network, family)


def remove(state: HostState, network: LiveNetwork, forward: str = FORWARD) -> None:
    """Take the rules of a network out again."""
    for family in state.families():
        tables = state.tables[family]
        for table, chain, text in texts(network, family, INTERNAL, forward):
            tables.delete(table, chain, text)
        remove_isolation(tables, network)


def texts(
    network: LiveNetwork, family: Family, internal_chain: str, forward: str
) -> list[tuple[str, str, str]]:
    """Every rule that a network may have, but for isolation: (table, chain, text)."""
    br = network.bridge
    own = [
        ("filter", forward, f"-i {br} -o {br} -j ACCEPT"),
        ("filter", forward, f"-i {br} -o {br} -j DROP"),
        ("filter", forward, f"-i {br} ! -o {br} -j ACCEPT"),
        ("filter", forward, f"-i {br} -j ACCEPT"),
        ("filter", DOCKER, f"! -i {br} -o {br} -j DROP"),
        ("filter", DOCKER, f"! -i {br} -o {br} -j ACCEPT"),
        ("filter", DOCKER, _icmp(network, family)),
        ("filter", CT, f"-o {br} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
        ("filter", BRIDGE, f"-o {br} -j {DOCKER}"),
    ]
    if family in network.families:
        own += [("filter", internal_chain, text) for text in internal_drops(network, family, discovery=True)]
        target = network.source_nat(family)
        own += [
            ("nat", "POSTROUTING", f"-s {network.subnet(family)} ! -o {br} -j {target}"),
            ("nat", "POSTROUTING", f"-o {br} -m addrtype --src-type LOCAL -j {target}"),
        ]
    return own


def source_nat(tables: Tables, network: LiveNetwork, family: Family, hairpin: bool) -> None:
    """The host's address for what leaves; without the userland proxy, the bridge's for the host's own."""
    br, name = network.bridge, network.title
    target = network.source_nat(family)
    if network.masquerades(family):
        tables.insert(
            "nat",
            "POSTROUTING",
            f"-s {network.subnet(family)} ! -o {br} -j {target}",
            f"what leaves {name} takes the host's address",
        )
    from_host = f"-o {br} -m addrtype --src-type LOCAL -j {target}"
    if hairpin:
        reason = f"what the host itself sends to {name} takes the bridge's address (no userland proxy)"
        tables.insert("nat", "POSTROUTING", from_host, reason)
    else:
        tables.delete("nat", "POSTROUTING", from_host)


def skip_nat(state: HostState, tables: Tables, network: LiveNetwork, family: Family) -> None:
    """With the userland proxy, what a network sends to published ports is left to it."""
    routed_alone = state.traits.routed_skips_nat and network.modes[family] == "routed"
    if not (state.daemon.userland_proxy or routed_alone):
        return
    if network.masquerade and network.modes[family] != "isolated":
        reason = f"{network.title} reaches published ports through the userland proxy"
        tables.insert("nat", DOCKER, f"-i {network.bridge} -j RETURN", reason)


def forwarding(tables: Tables, network: LiveNetwork, family: Family) -> None:
    """What may go out, come in, and pass between the network's containers."""
    br, name = network.bridge, network.title
    outgoing(tables, network, family, FORWARD)
    try:
        unpublished(tables, network, family)
        tables.append(
            "filter",
            CT,
            f"-o {br} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            f"answers to what {name} asked",
        )
        tables.append("filter", BRIDGE, f"-o {br} -j {DOCKER}", f"published ports of {name}")
    except IptablesError as error:
        error.undone = True
        raise


def outgoing(tables: Tables, network: LiveNetwork, family: Family, chain: str) -> None:
    """What the network's containers may send, to each other and elsewhere; and pings to a routed one."""
    br, name = network.bridge, network.title
    if not network.icc:
        reason = f"containers on {name} may not reach each other (icc is off)"
        tables.append("filter", chain, f"-i {br} -o {br} -j DROP", reason)
    if network.modes[family] == "routed":
        tables.append("filter", DOCKER, _icmp(network, family), f"{name} is routed: it can be pinged")
    if network.icc:
        tables.append(
            "filter", chain, f"-i {br} -j ACCEPT", f"{name} may go out, and its containers reach each other"
        )
    else:
        tables.append("filter", chain, f"-i {br} ! -o {br} -j ACCEPT", f"{name} may go out")


def unpublished(tables: Tables, network: LiveNetwork, family: Family) -> None:
    """The end of chain DOCKER for a network: what no published port has accepted."""
    br, name = network.bridge, network.title
    unprotected = network.modes[family] == "nat-unprotected"
    verdict = "ACCEPT" if unprotected else "DROP"
    reason = f"{name} is open to all (nat-unprotected)" if unprotected else f"unpublished ports of {name}"
    tables.append("filter", DOCKER, f"! -i {br} -o {br} -j {verdict}", reason)


def internal(tables: Tables, network: LiveNetwork, family: Family, chain: str, forward: str) -> None:
    """An internal network: nothing in or out, and its containers reach each other if icc is on."""
    br, name = network.bridge, network.title
    goes_out, comes_in = internal_drops(network, family, discovery=True)
    tables.insert("filter", chain, goes_out, f"{name} is internal: nothing goes out")
    tables.insert("filter", chain, comes_in, f"{name} is internal: nothing comes in")
    if network.icc:
        reason = f"containers on {name} may reach each other (icc)"
        tables.append("filter", forward, f"-i {br} -o {br} -j ACCEPT", reason)
    else:
        reason = f"containers on {name} may not reach each other (icc is off)"
        tables.append("filter", forward, f"-i {br} -o {br} -j DROP", reason)


def _icmp(network: LiveNetwork, family: Family) -> str:
    protocol = "icmp" if family is Family.IPV4 else "ipv6-icmp"
    return f"-o {network.bridge} -p {protocol} -j ACCEPT"


def _isolation(network: LiveNetwork) -> dict[str, str]:
    br = network.bridge
    return {STAGE_1: f"-i {br} ! -o {br} -j {STAGE_2}", STAGE_2: f"-o {br} -j DROP"}


def _routed(network: LiveNetwork) -> tuple[str, str]:
    br = network.bridge
    return f"-i {br} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", f"-o {br} -j RETURN"


def route(tables: Tables, network: LiveNetwork) -> None:
    """Other networks may reach a routed one's open ports, and get their answers."""
    answers, comes_in = _routed(network)
    name = network.title
    tables.insert("filter", STAGE_1, comes_in, f"{name} is routed: other networks may enter it")
    tables.insert("filter", STAGE_1, answers, f"{name} is routed: it may answer other networks")


def isolate(tables: Tables, network: LiveNetwork) -> None:
    """Keep other networks out."""
    rules, name = _isolation(network), network.title
    tables.append("filter", STAGE_1, rules[STAGE_1], f"what leaves {name} may not enter another network")
    tables.insert("filter", STAGE_2, rules[STAGE_2], f"{name} is isolated from other networks")


def remove_isolation(tables: Tables, network: LiveNetwork) -> None:
    """Take out what keeps networks apart, in nat and in the two stages."""
    tables.delete("nat", DOCKER, f"-i {network.bridge} -j RETURN")
    for chain, text in _isolation(network).items():
        tables.delete("filter", chain, text)
    for text in _routed(network):
        tables.delete("filter", STAGE_1, text)
