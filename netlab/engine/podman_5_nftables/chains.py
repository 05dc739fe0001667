"""netavark's table, its base chains, and the names of the others (netavark, src/firewall/nft.rs)."""

from __future__ import annotations

from netlab.engine.podman.host_state import HostState, LiveNetwork
from netlab.engine.podman.netavark_table import NetavarkTable
from netlab.model.family import Family

INPUT, FORWARD, POSTROUTING, PREROUTING, OUTPUT = "INPUT", "FORWARD", "POSTROUTING", "PREROUTING", "OUTPUT"
DNAT = "NETAVARK-HOSTPORT-DNAT"
SETMARK = "NETAVARK-HOSTPORT-SETMARK"
ISOLATION_1, ISOLATION_2, ISOLATION_3 = (f"NETAVARK-ISOLATION-{number}" for number in (1, 2, 3))
MARK = "0x00002000"

_HOOKS = {
    INPUT: "type filter hook input priority filter; policy accept",
    FORWARD: "type filter hook forward priority filter; policy accept",
    POSTROUTING: "type nat hook postrouting priority srcnat; policy accept",
    PREROUTING: "type nat hook prerouting priority dstnat; policy accept",
    OUTPUT: "type nat hook output priority dstnat; policy accept",
}
#: Rules that are there once: (chain, the part by which netavark knows them, text, reason).
_ONCE = (
    (
        POSTROUTING,
        MARK,
        f"meta mark & {MARK} == {MARK} masquerade",
        "what was marked on its way to a published port takes the address of the bridge",
    ),
    (
        SETMARK,
        "mark set",
        f"meta mark set meta mark | {MARK}",
        "mark what has to be masqueraded behind its DNAT",
    ),
    (
        PREROUTING,
        f"jump {DNAT}",
        f"fib daddr type local jump {DNAT}",
        "what is sent to an address of the host may be for a published port",
    ),
    (
        OUTPUT,
        f"jump {DNAT}",
        f"fib daddr type local jump {DNAT}",
        "what the host sends to itself may be for a published port",
    ),
    (FORWARD, "drop", "ct state invalid drop", "packets of no known connection"),
    (FORWARD, f"jump {ISOLATION_1}", f"jump {ISOLATION_1}", "isolated networks first"),
)


def base(state: HostState) -> NetavarkTable:
    """The table with its base chains and the rules that they always have; what is there stays."""
    table = state.table = state.table or NetavarkTable()
    for name, hook in _HOOKS.items():
        table.chain(name, hook)
    for name in (DNAT, SETMARK, ISOLATION_1, ISOLATION_2, ISOLATION_3):
        table.chain(name)
    for chain, part, text, reason in _ONCE:
        if not table.has(chain, part):
            table.add(chain, text, reason)
    return table


def chain_of(network: LiveNetwork, family: Family, dnat: bool = False) -> str:
    """The chain of a subnet: ``nv_2f259bab_10_88_0_0_nm16``, or the one with its published ports."""
    subnet = str(network.subnet(family)).replace(".", "_").replace(":", "-").replace("/", "_nm")
    return f"nv_{network.spec.id[:8]}_{subnet}{'_dnat' if dnat else ''}"
