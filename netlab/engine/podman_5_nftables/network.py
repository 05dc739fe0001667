"""A network's chains and rules (netavark, src/firewall/nft.rs: setup_network, teardown_network)."""

from __future__ import annotations

from netlab.engine.podman.host_state import HostState, LiveNetwork
from netlab.engine.podman.netavark_table import NetavarkTable
from netlab.engine.podman_5_nftables.chains import (
    FORWARD,
    INPUT,
    ISOLATION_1,
    ISOLATION_2,
    ISOLATION_3,
    POSTROUTING,
    base,
    chain_of,
)
from netlab.model.family import Family

#: What is not masqueraded: multicast; in IPv6 netavark writes ff::00/8, which is another prefix.
_MULTICAST = {Family.IPV4: "224.0.0.0/4", Family.IPV6: "::/8"}


def setup(state: HostState, network: LiveNetwork) -> None:
    """A container joins: the table, and whatever of the network's rules is not there."""
    table = base(state)
    _isolate(table, network)
    for family in network.families:
        if chain_of(network, family) not in table.chains:
            _subnet(table, network, family)


def _isolate(table: NetavarkTable, network: LiveNetwork) -> None:
    name, bridge = network.title, f'"{network.bridge}"'
    if network.options.isolate != "no":
        if not table.has(ISOLATION_1, bridge):
            text = f"iifname {bridge} oifname != {bridge} jump {_next(network)}"
            table.add(ISOLATION_1, text, f"{name} is isolated: what leaves it must not enter another one")
        if not table.has(ISOLATION_2, bridge):
            table.add(
                ISOLATION_2, f"oifname {bridge} drop", f"{name} is isolated from other isolated networks"
            )
    elif not table.has(ISOLATION_3, bridge):
        reason = f"strictly isolated networks do not reach {name}"
        table.insert(ISOLATION_3, f"oifname {bridge} drop", reason)
    if not table.has(ISOLATION_3, f"jump {ISOLATION_2}"):
        table.add(ISOLATION_3, f"jump {ISOLATION_2}", "strictly isolated networks are isolated ones, too")


def _next(network: LiveNetwork) -> str:
    """Where what leaves an isolated network is dropped: before isolated networks, or before all others."""
    return ISOLATION_3 if network.options.isolate == "strict" else ISOLATION_2


def _subnet(table: NetavarkTable, network: LiveNetwork, family: Family) -> None:
    name, subnet, ip = network.title, network.subnet(family), family.nft
    chain = chain_of(network, family)
    table.chain(chain)
    table.add(chain, f"{ip} daddr {subnet} accept", f"within {name} addresses stay as they are")
    table.add(
        chain,
        f"{ip} daddr != {_MULTICAST[family]} masquerade",
        f"what leaves {name} takes the host's address",
    )
    table.add(
        INPUT,
        f"{ip} saddr {subnet} meta l4proto {{ tcp, udp }} th dport 53 accept",
        f"{name} asks the host for names",
    )
    table.add(
        FORWARD, f"{ip} daddr {subnet} ct state established,related accept", f"answers to what {name} asked"
    )
    table.add(FORWARD, f"{ip} saddr {subnet} accept", f"{name} may go out")
    table.add(POSTROUTING, f"{ip} saddr {subnet} jump {chain}", f"to the addresses of what leaves {name}")


def teardown(state: HostState, network: LiveNetwork) -> None:
    """The last container has left: away with the network's rules; the base chains stay."""
    table = state.table
    if table is None:
        return
    for family in network.families:
        for chain in (INPUT, FORWARD, POSTROUTING):
            table.delete(chain, f"addr {network.subnet(family)} ")
        table.drop_chain(chain_of(network, family))
    for chain in (ISOLATION_1, ISOLATION_2, ISOLATION_3):
        table.delete(chain, f'"{network.bridge}"')
