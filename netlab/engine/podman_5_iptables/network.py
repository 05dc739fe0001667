"""What Podman 5 adds to a network's rules: DNS, packets of no known connection, and strict isolation."""

from __future__ import annotations

from netlab.engine.podman.host_state import HostState, LiveNetwork
from netlab.engine.podman_4 import network as podman_4
from netlab.engine.podman_4.chains import FORWARD, INPUT, ISOLATION_2, ISOLATION_3
from netlab.engine.tables import Tables
from netlab.model.family import Family

_COMMENT = '-m comment --comment "netavark firewall rules"'
_JUMP_FORWARD, _JUMP_INPUT = f"{_COMMENT} -j {FORWARD}", f"{_COMMENT} -j {INPUT}"
_INVALID = "-m conntrack --ctstate INVALID -j DROP"


def setup(state: HostState, network: LiveNetwork) -> None:
    """A container joins: whatever of the network's rules is not there, in both families that it has."""
    for family in network.families:
        tables = state.tables[family]
        podman_4.add_nat(tables, network, family)
        _isolate(tables, network)
        podman_4.add_forward(tables, network, family, _JUMP_FORWARD)
        tables.insert("filter", FORWARD, _INVALID, "packets of no known connection")
        tables.new_chain("filter", INPUT)
        tables.insert("filter", "INPUT", _JUMP_INPUT, "what containers ask the host")
        for text in _dns(state, network, family):
            tables.append("filter", INPUT, text, f"{network.title} asks the host for names")


def _isolate(tables: Tables, network: LiveNetwork) -> None:
    for chain in (ISOLATION_2, ISOLATION_3):
        tables.new_chain("filter", chain)
    if network.options.isolate == "no":
        reason = f"strictly isolated networks do not reach {network.title}"
        tables.insert("filter", ISOLATION_3, f"-o {network.bridge} -j DROP", reason)
    else:
        strict = network.options.isolate == "strict"
        podman_4.add_isolation(tables, network, ISOLATION_3 if strict else ISOLATION_2)
    reason = "strictly isolated networks are isolated ones, too"
    tables.append("filter", ISOLATION_3, f"-j {ISOLATION_2}", reason)


def _dns(state: HostState, network: LiveNetwork, family: Family) -> list[str]:
    subnet, port = network.subnet(family), state.dns_port
    return [f"-s {subnet} -p {word} -m {word} --dport {port} -j ACCEPT" for word in ("udp", "tcp")]


def teardown(state: HostState, network: LiveNetwork) -> None:
    """The last container has left: away with the network's rules."""
    podman_4.teardown(state, network)
    for family in network.families:
        tables = state.tables[family]
        for text in _dns(state, network, family):
            tables.delete("filter", INPUT, text)
        tables.delete("filter", ISOLATION_3, f"-o {network.bridge} -j DROP")
