"""A network's chains and rules (netavark 1.4, src/firewall/varktables/types.rs: get_network_chains)."""

from __future__ import annotations

from netlab.engine.podman.host_state import HostState, LiveNetwork
from netlab.engine.podman_4.chains import FORWARD, ISOLATION_1, ISOLATION_2, ISOLATION_3, chain_of
from netlab.engine.tables import Tables
from netlab.model.family import Family

JUMP_ISOLATION = f"-j {ISOLATION_1}"
_JUMP_FORWARD = f'-m comment --comment "netavark firewall plugin rules" -j {FORWARD}'
#: What is not masqueraded.
_MULTICAST = {Family.IPV4: "224.0.0.0/4", Family.IPV6: "ff00::/8"}


def setup(state: HostState, network: LiveNetwork) -> None:
    """A container joins: whatever of the network's rules is not there, in both families that it has."""
    for family in network.families:
        tables = state.tables[family]
        add_nat(tables, network, family)
        if network.options.isolate != "no":
            add_isolation(tables, network, ISOLATION_2)
        add_forward(tables, network, family, _JUMP_FORWARD)


def add_nat(tables: Tables, network: LiveNetwork, family: Family) -> None:
    """The chain of a network with the source addresses of what leaves it, and the jump to it."""
    name, chain, subnet = network.title, chain_of(network), network.subnet(family)
    tables.new_chain("nat", chain)
    tables.append("nat", chain, f"-d {subnet} -j ACCEPT", f"within {name} addresses stay as they are")
    leaving = f"what leaves {name} takes the host's address"
    tables.append("nat", chain, f"! -d {_MULTICAST[family]} -j MASQUERADE", leaving)
    tables.append("nat", "POSTROUTING", f"-s {subnet} -j {chain}", f"to the addresses of what leaves {name}")


def add_isolation(tables: Tables, network: LiveNetwork, to: str) -> None:
    """An isolated network: what leaves it goes through the chain ``to``, which drops what enters another."""
    name, bridge = network.title, network.bridge
    for chain in (ISOLATION_1, ISOLATION_2):
        tables.new_chain("filter", chain)
    tables.insert("filter", "FORWARD", JUMP_ISOLATION, "isolated networks first")
    leaving = f"{name} is isolated: what leaves it must not enter another one"
    tables.insert("filter", ISOLATION_1, f"-i {bridge} ! -o {bridge} -j {to}", leaving)
    reason = f"{name} is isolated from other isolated networks"
    tables.insert("filter", ISOLATION_2, f"-o {bridge} -j DROP", reason)


def add_forward(tables: Tables, network: LiveNetwork, family: Family, jump: str) -> None:
    """NETAVARK_FORWARD, and what it accepts of a network; ``jump`` leads there, behind isolated networks."""
    name = network.title
    tables.new_chain("filter", FORWARD)
    at = 0 if network.options.isolate == "no" else 1
    tables.insert("filter", "FORWARD", jump, "to the rules of containers' networks", at)
    answers, leaving = forwards(network, family)
    tables.append("filter", FORWARD, answers, f"answers to what {name} asked")
    tables.append("filter", FORWARD, leaving, f"{name} may go out")


def forwards(network: LiveNetwork, family: Family) -> tuple[str, str]:
    """What NETAVARK_FORWARD accepts of a network: answers, and what leaves it."""
    subnet = network.subnet(family)
    return f"-d {subnet} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", f"-s {subnet} -j ACCEPT"


def teardown(state: HostState, network: LiveNetwork) -> None:
    """The last container has left: away with the network's rules; the base chains and their jumps stay.

    netavark also takes out the jump to NETAVARK_ISOLATION_1, though other isolated networks may need it.
    """
    chain, bridge = chain_of(network), network.bridge
    for family in network.families:
        tables = state.tables[family]
        tables.delete("nat", "POSTROUTING", f"-s {network.subnet(family)} -j {chain}")
        tables.flush("nat", chain)
        tables.remove_chain("nat", chain)
        for text in forwards(network, family):
            tables.delete("filter", FORWARD, text)
        if network.options.isolate != "no":
            tables.delete("filter", "FORWARD", JUMP_ISOLATION)
            for to in (ISOLATION_2, ISOLATION_3):
                tables.delete("filter", ISOLATION_1, f"-i {bridge} ! -o {bridge} -j {to}")
            tables.delete("filter", ISOLATION_2, f"-o {bridge} -j DROP")
