"""A network's rules (setupIPTables, isolateNetwork)."""

from __future__ import annotations

from netlab.engine.docker.chains import DOCKER, STAGE_1, STAGE_2, TO_LOCAL, output_rule
from netlab.engine.docker.host_state import HostState, LiveNetwork
from netlab.engine.tables import Tables
from netlab.model.family import Family


def add(state: HostState, network: LiveNetwork) -> None:
    """Put in the rules of a network: each to the front, so that the newest network comes first."""
    hairpin = not state.daemon.userland_proxy
    for family in state.families():
        if family not in network.families:
            continue
        tables = state.tables[family]
        if network.internal:
            _internal(tables, network, family, state.traits.internal_discovery)
        else:
            _nat(tables, network, family, hairpin)
            if state.traits.takes_hairpin_out and not hairpin:
                tables.delete("nat", "POSTROUTING", _to_network(network, family))
            _icc(tables, network)
            _out(tables, network)
            _jumps(tables, family, hairpin)
            _in(tables, network)
        tables.move_to_top("filter", "FORWARD", f"-j {STAGE_1}", "networks are isolated from each other")
    if not network.internal:
        for family in state.families():
            _isolate(state.tables[family], network)


def remove(state: HostState, network: LiveNetwork) -> None:
    """Take the rules of a network out again."""
    discovery = state.traits.internal_discovery
    hairpin = not state.daemon.userland_proxy
    for family in state.families():
        tables = state.tables[family]
        for table, chain, text in _texts(network, family, discovery):
            tables.delete(table, chain, text)
        if hairpin or state.traits.takes_hairpin_out:
            tables.delete("nat", "POSTROUTING", _to_network(network, family))


def _to_network(network: LiveNetwork, family: Family) -> str:
    """What the host itself sends to a network."""
    return f"-o {network.bridge} -m addrtype --src-type LOCAL -j {network.source_nat(family)}"


def _texts(network: LiveNetwork, family: Family, discovery: bool) -> list[tuple[str, str, str]]:
    br = network.bridge
    own = [
        ("filter", "FORWARD", f"-i {br} -o {br} -j ACCEPT"),
        ("filter", "FORWARD", f"-i {br} -o {br} -j DROP"),
        ("filter", "FORWARD", f"-i {br} ! -o {br} -j ACCEPT"),
        ("filter", "FORWARD", f"-o {br} -j {DOCKER}"),
        ("filter", "FORWARD", f"-o {br} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
        ("filter", STAGE_1, f"-i {br} ! -o {br} -j {STAGE_2}"),
        ("filter", STAGE_2, f"-o {br} -j DROP"),
        ("nat", DOCKER, f"-i {br} -j RETURN"),
    ]
    if family in network.families:
        subnet = network.subnet(family)
        own.append(("nat", "POSTROUTING", f"-s {subnet} ! -o {br} -j {network.source_nat(family)}"))
        own += [("filter", STAGE_1, text) for text in internal_drops(network, family, discovery)]
    return own


def _nat(tables: Tables, network: LiveNetwork, family: Family, hairpin: bool) -> None:
    br, name = network.bridge, network.title
    masquerade = network.masquerades(family)
    if masquerade:
        tables.insert(
            "nat",
            "POSTROUTING",
            f"-s {network.subnet(family)} ! -o {br} -j {network.source_nat(family)}",
            f"what leaves {name} takes the host's address",
        )
    if masquerade and not hairpin:
        tables.insert(
            "nat", DOCKER, f"-i {br} -j RETURN", f"{name} reaches published ports through the userland proxy"
        )
    if hairpin:
        tables.insert(
            "nat",
            "POSTROUTING",
            _to_network(network, family),
            f"what the host itself sends to {name} takes the bridge's address (no userland proxy)",
        )


def _icc(tables: Tables, network: LiveNetwork) -> None:
    br, name = network.bridge, network.title
    accept, drop = f"-i {br} -o {br} -j ACCEPT", f"-i {br} -o {br} -j DROP"
    if network.icc:
        tables.delete("filter", "FORWARD", drop)
        tables.insert("filter", "FORWARD", accept, f"containers on {name} may reach each other (icc)")
    else:
        tables.delete("filter", "FORWARD", accept)
        tables.append(
            "filter", "FORWARD", drop, f"containers on {name} may not reach each other (icc is off)"
        )


def _out(tables: Tables, network: LiveNetwork) -> None:
    br = network.bridge
    tables.insert("filter", "FORWARD", f"-i {br} ! -o {br} -j ACCEPT", f"{network.title} may go out")


def _jumps(tables: Tables, family: Family, hairpin: bool) -> None:
    tables.append(
        "nat", "PREROUTING", TO_LOCAL, "what is sent to an address of the host may be for a published port"
    )
    tables.append(
        "nat",
        "OUTPUT",
        output_rule(family, hairpin),
        "what the host sends to itself may be for a published port",
    )


def _in(tables: Tables, network: LiveNetwork) -> None:
    br, name = network.bridge, network.title
    tables.insert("filter", "FORWARD", f"-o {br} -j {DOCKER}", f"published ports of {name}")
    tables.insert(
        "filter",
        "FORWARD",
        f"-o {br} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        f"answers to what {name} asked",
    )


def _isolate(tables: Tables, network: LiveNetwork) -> None:
    br, name = network.bridge, network.title
    tables.insert(
        "filter",
        STAGE_1,
        f"-i {br} ! -o {br} -j {STAGE_2}",
        f"what leaves {name} may not enter another network",
    )
    tables.insert("filter", STAGE_2, f"-o {br} -j DROP", f"{name} is isolated from other networks")


def forget_isolation(state: HostState, network: LiveNetwork) -> None:
    """Take the isolation of a network out, which no reload of the host's firewall brings back."""
    br = network.bridge
    for family in state.families():
        tables = state.tables[family]
        tables.delete("filter", STAGE_1, f"-i {br} ! -o {br} -j {STAGE_2}")
        tables.delete("filter", STAGE_2, f"-o {br} -j DROP")


def internal_drops(network: LiveNetwork, family: Family, discovery: bool) -> tuple[str, str]:
    """The rules that isolate an internal network in both directions (setupInternalNetworkRules).

    With ``discovery``, IPv6 frames between its containers pass, with any addresses.
    """
    br, subnet = network.bridge, network.subnet(family)
    if family is Family.IPV4 or not discovery:
        return f"! -d {subnet} -i {br} -j DROP", f"! -s {subnet} -o {br} -j DROP"
    return f"! -d {subnet} -i {br} ! -o {br} -j DROP", f"! -s {subnet} ! -i {br} -o {br} -j DROP"


def _internal(tables: Tables, network: LiveNetwork, family: Family, discovery: bool) -> None:
    name = network.title
    goes_out, comes_in = internal_drops(network, family, discovery)
    tables.insert("filter", STAGE_1, goes_out, f"{name} is internal: nothing goes out")
    tables.insert("filter", STAGE_1, comes_in, f"{name} is internal: nothing comes in")
    _icc(tables, network)
