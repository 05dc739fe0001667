"""A network's chains and rules (netavark, src/firewall/varktables/types.rs: get_network_chains)."""

from __future__ import annotations

from netlab.engine.podman.host_state import HostState, LiveNetwork
from netlab.engine.podman_5_iptables.chains import (
    FORWARD,
    INPUT,
    ISOLATION_1,
    ISOLATION_2,
    ISOLATION_3,
    chain_of,
)
from netlab.engine.tables import Tables
from netlab.model.family import Family

_COMMENT = '-m comment --comment "netavark firewall rules"'
_JUMP_FORWARD, _JUMP_INPUT = f"{_COMMENT} -j {FORWARD}", f"{_COMMENT} -j {INPUT}"
_JUMP_ISOLATION = f"-j {ISOLATION_1}"
_INVALID = "-m conntrack --ctstate INVALID -j DROP"
#: What is not masqueraded.
_MULTICAST = {Family.IPV4: "224.0.0.0/4", Family.IPV6: "ff00::/8"}


def setup(world: HostState, network: LiveNetwork) -> None:
    """A container joins: whatever of the network's rules is not there, in both families that it has."""
    for family in network.families:
        tables = world.tables[family]
        _nat(tables, network, family)
        _isolate(tables, network)
        _filter(tables, network, family)


def _nat(tables: Tables, network: LiveNetwork, family: Family) -> None:
    name, chain, subnet = network.title, chain_of(network), network.subnet(family)
    tables.new_chain("nat", chain)
    tables.append("nat", chain, f"-d {subnet} -j ACCEPT", f"within {name} addresses stay as they are")
    leaving = f"what leaves {name} takes the host's address"
    tables.append("nat", chain, f"! -d {_MULTICAST[family]} -j MASQUERADE", leaving)
    tables.append("nat", "POSTROUTING", f"-s {subnet} -j {chain}", f"to the addresses of what leaves {name}")


def _isolate(tables: Tables, network: LiveNetwork) -> None:
    name, bridge = network.title, network.bridge
    tables.new_chain("filter", ISOLATION_2)
    tables.new_chain("filter", ISOLATION_3)
    if network.options.isolate != "no":
        tables.new_chain("filter", ISOLATION_1)
        tables.insert("filter", "FORWARD", _JUMP_ISOLATION, "isolated networks first")
        leaving = f"{name} is isolated: what leaves it must not enter another one"
        tables.insert("filter", ISOLATION_1, f"-i {bridge} ! -o {bridge} -j {_next(network)}", leaving)
        reason = f"{name} is isolated from other isolated networks"
        tables.insert("filter", ISOLATION_2, f"-o {bridge} -j DROP", reason)
    else:
        reason = f"strictly isolated networks do not reach {name}"
        tables.insert("filter", ISOLATION_3, f"-o {bridge} -j DROP", reason)
    reason = "strictly isolated networks are isolated ones, too"
    tables.append("filter", ISOLATION_3, f"-j {ISOLATION_2}", reason)


def _next(network: LiveNetwork) -> str:
    """Where what leaves an isolated network is dropped: before isolated networks, or before all others."""
    return ISOLATION_3 if network.options.isolate == "strict" else ISOLATION_2


def _filter(tables: Tables, network: LiveNetwork, family: Family) -> None:
    name, subnet = network.title, network.subnet(family)
    for chain in (FORWARD, INPUT):
        tables.new_chain("filter", chain)
    tables.insert("filter", "INPUT", _JUMP_INPUT, "what containers ask the host")
    at = 0 if network.options.isolate == "no" else 1
    tables.insert("filter", "FORWARD", _JUMP_FORWARD, "to the rules of containers' networks", at)
    tables.insert("filter", FORWARD, _INVALID, "packets of no known connection")
    answers = f"-d {subnet} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    tables.append("filter", FORWARD, answers, f"answers to what {name} asked")
    tables.append("filter", FORWARD, f"-s {subnet} -j ACCEPT", f"{name} may go out")
    for text in _dns(network, family):
        tables.append("filter", INPUT, text, f"{name} asks the host for names")


def _dns(network: LiveNetwork, family: Family) -> list[str]:
    subnet = network.subnet(family)
    return [f"-s {subnet} -p {word} -m {word} --dport 53 -j ACCEPT" for word in ("udp", "tcp")]


def teardown(world: HostState, network: LiveNetwork) -> None:
    """The last container has left: away with the network's rules; the base chains and their jumps stay.

    netavark also takes out the jump to NETAVARK_ISOLATION_1, though other isolated networks may need it.
    """
    for family in network.families:
        tables, subnet, bridge = world.tables[family], network.subnet(family), network.bridge
        chain = chain_of(network)
        tables.delete("nat", "POSTROUTING", f"-s {subnet} -j {chain}")
        tables.flush("nat", chain)
        tables.remove_chain("nat", chain)
        answers = f"-d {subnet} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
        tables.delete("filter", FORWARD, answers)
        tables.delete("filter", FORWARD, f"-s {subnet} -j ACCEPT")
        for text in _dns(network, family):
            tables.delete("filter", INPUT, text)
        if network.options.isolate != "no":
            tables.delete("filter", "FORWARD", _JUMP_ISOLATION)
            tables.delete("filter", ISOLATION_1, f"-i {bridge} ! -o {bridge} -j {_next(network)}")
            tables.delete("filter", ISOLATION_2, f"-o {bridge} -j DROP")
        tables.delete("filter", ISOLATION_3, f"-o {bridge} -j DROP")
