"""A network's chains and rules (nftabler/network.go)."""

from __future__ import annotations

from netlab.engine.docker.daemon_json import WORD
from netlab.engine.docker.host_state import HostState, LiveNetwork
from netlab.engine.docker_29_nftables.chains import (
    FORWARD_FINAL,
    FORWARD_ICC,
    FORWARD_MARKED,
    INITIAL,
    MAPS,
    tables,
)
from netlab.engine.nft import WorkingNftChain, WorkingNftTable
from netlab.engine.refusal import Refused
from netlab.model.family import Family

MARKED = "marked as accepted (bridge-accept-fwmark)"
ANSWERS = "ct state established,related counter accept"


def add(state: HostState, network: LiveNetwork) -> None:
    """Four chains for a network, and the verdict maps that lead to them."""
    if Family.IPV6 in network.families:
        _check_forwarding(state, network)
    hairpin = not state.daemon.userland_proxy
    for family, table in tables(state):
        if family not in network.families:
            continue
        into, out, nat_in, nat_out = (_chain(table, name, network.bridge) for name in MAPS)
        into.add(INITIAL, ANSWERS, f"answers to what {network.title} asked")
        out.add(INITIAL, ANSWERS, f"answers of {network.title}")
        if network.internal:
            _internal(network, into, out)
        else:
            if state.daemon.accept_mark is not None:
                into.add(FORWARD_MARKED, _marked(state.daemon.accept_mark), MARKED)
            _filter(network, family, into, out)
            _nat(network, family, hairpin, nat_in, nat_out)


def remove(state: HostState, network: LiveNetwork) -> None:
    """Take the chains of a network out again."""
    for _, table in tables(state):
        for name in MAPS:
            table.unmap(name, network.bridge)
            table.drop_chain(_name(name, network.bridge))


def _marked(accept: tuple[int, int]) -> str:
    mark, mask = accept
    match = f"{mark:#010x}" if mask == WORD else f"& {mask:#010x} == {mark:#010x}"
    return f'meta mark {match} counter accept comment "ALLOW FW MARK"'


def _check_forwarding(state: HostState, network: LiveNetwork) -> None:
    keys = ("net.ipv6.conf.all.forwarding", "net.ipv6.conf.default.forwarding")
    if state.daemon.ip_forward and any(state.sysctls.get(key) != "1" for key in keys):
        raise Refused(
            "network",
            network.name,
            "IPv6 forwarding is disabled: check your host's firewalling and set sysctls "
            "net.ipv6.conf.all.forwarding=1 and net.ipv6.conf.default.forwarding=1, or disable this check "
            "using daemon option --ip-forward=false",
        )


def _name(of: str, bridge: str) -> str:
    return f"{of.removesuffix('-jumps')}__{bridge}"


def _chain(table: WorkingNftTable, of: str, bridge: str) -> WorkingNftChain:
    name = _name(of, bridge)
    table.map_to(of, bridge, f"jump {name}")
    return table.chains.setdefault(name, WorkingNftChain(name))


def _internal(network: LiveNetwork, into: WorkingNftChain, out: WorkingNftChain) -> None:
    br, name = network.bridge, network.title
    into.add(
        INITIAL,
        f'iifname != "{br}" counter drop comment "INTERNAL NETWORK INGRESS"',
        f"{name} is internal: nothing comes in",
    )
    out.add(
        INITIAL,
        f'oifname != "{br}" counter drop comment "INTERNAL NETWORK EGRESS"',
        f"{name} is internal: nothing goes out",
    )
    into.add(FORWARD_ICC, f'counter {_icc(network)} comment "ICC"', f"containers on {name} among themselves")


def _icc(network: LiveNetwork) -> str:
    return "accept" if network.icc else "drop"


def _filter(network: LiveNetwork, family: Family, into: WorkingNftChain, out: WorkingNftChain) -> None:
    br, name = network.bridge, network.title
    into.add(
        FORWARD_ICC,
        f'iifname "{br}" counter {_icc(network)} comment "ICC"',
        f"containers on {name} among themselves (icc {'on' if network.icc else 'off'})",
    )
    out.add(INITIAL, 'counter accept comment "OUTGOING"', f"{name} may go out")
    if network.modes[family] == "nat-unprotected":
        into.add(FORWARD_FINAL, 'counter accept comment "UNPROTECTED"', f"{name} is open to all")
    else:
        into.add(
            FORWARD_FINAL, 'counter drop comment "UNPUBLISHED PORT DROP"', f"unpublished ports of {name}"
        )
    if network.modes[family] == "routed":
        match = "ip protocol icmp" if family is Family.IPV4 else "meta l4proto ipv6-icmp"
        into.add(INITIAL, f'{match} counter accept comment "ICMP"', f"{name} is routed: it can be pinged")


def _nat(
    network: LiveNetwork, family: Family, hairpin: bool, nat_in: WorkingNftChain, nat_out: WorkingNftChain
) -> None:
    br, name = network.bridge, network.title
    address = network.snat.get(family)
    verdict, comment = (f"snat to {address}", "SNAT") if address else ("masquerade", "MASQUERADE")
    if network.masquerades(family):
        match = f'oifname != "{br}" {family.nft} saddr {network.subnet(family)}'
        nat_out.add(
            INITIAL,
            f'{match} counter {verdict} comment "{comment}"',
            f"what leaves {name} takes the host's address",
        )
    if hairpin:
        nat_in.add(
            INITIAL,
            f'fib saddr type local counter {verdict} comment "{comment} FROM HOST"',
            f"what the host itself sends to {name} takes the bridge's address (no userland proxy)",
        )
