"""The daemon's tables, base chains and verdict maps (nftabler.go); there is no DOCKER-USER."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.engine.docker.chains import MIRRORED_REASON
from netlab.engine.docker.host_state import HostState
from netlab.engine.nft import WorkingNftChain, WorkingNftTable
from netlab.engine.refusal import Refused
from netlab.model.family import FAMILIES, Family

TABLE = "docker-bridges"
NAT = "nat-prerouting-and-output"
RAW = "raw-PREROUTING"
MAPS = (
    "filter-forward-in-jumps",
    "filter-forward-out-jumps",
    "nat-postrouting-in-jumps",
    "nat-postrouting-out-jumps",
)

#: Groups of rules in a chain, which keep their order.
INITIAL = 0
RAW_PORTS = 1
FORWARD_MARKED, FORWARD_LINKS, FORWARD_ICC, FORWARD_PORTS, FORWARD_FINAL = 1, 2, 3, 4, 5

_OUTPUT = {Family.IPV4: "ip daddr != 127.0.0.0/8 ", Family.IPV6: "ip6 daddr != ::1 "}


def start(state: HostState) -> None:
    """Fresh tables; raises :class:`Refused` where forwarding is off, which this backend never turns on."""
    if state.daemon.ip_forward and state.sysctls.get("net.ipv4.ip_forward") != "1":
        raise Refused(
            "daemon",
            "ip-forward",
            "cannot create network with the nftables backend: IPv4 forwarding is disabled: check your host's "
            "firewalling and set sysctl net.ipv4.ip_forward=1, or disable this check using daemon option "
            "--ip-forward=false",
        )
    state.nft.start()
    for family, switch in zip(FAMILIES, (state.daemon.iptables, state.daemon.ip6tables), strict=True):
        if switch:
            table = _table(family, hairpin=not state.daemon.userland_proxy)
            if family is Family.IPV4 and state.wsl2_mirrored and state.daemon.userland_proxy:
                text = 'iifname "loopback0" ip daddr 127.0.0.0/8 counter return'
                table.chains[NAT].add(INITIAL, text, MIRRORED_REASON)
            state.nft.tables[family] = table


def leave(state: HostState) -> None:
    """What the iptables backend cleans up: both tables."""
    state.nft.clear()


def forward_policy(state: HostState, turned_on: bool) -> None:
    """None: this backend leaves forwarding to the administrator."""


def user_chain(state: HostState) -> None:
    """None: the administrator's rules belong in a separate table."""


def tables(state: HostState) -> Iterator[tuple[Family, WorkingNftTable]]:
    """The tables that the backend keeps."""
    yield from state.nft.tables.items()


def _table(family: Family, hairpin: bool) -> WorkingNftTable:
    table = WorkingNftTable(family, TABLE, maps={name: {} for name in MAPS})

    def chain(name: str, hook: str, *rules: tuple[str, str]) -> None:
        table.chains[name] = WorkingNftChain(name, hook)
        for text, reason in rules:
            table.chains[name].add(INITIAL, text, reason)

    local = f"fib daddr type local counter jump {NAT}"
    chain(
        "filter-FORWARD",
        "type filter hook forward priority filter; policy accept",
        ("oifname vmap @filter-forward-in-jumps", "to the rules of the network that the packet enters"),
        ("iifname vmap @filter-forward-out-jumps", "to the rules of the network that the packet leaves"),
    )
    chain(
        "nat-OUTPUT",
        "type nat hook output priority dstnat; policy accept",
        (
            local if hairpin else _OUTPUT[family] + local,
            "what the host sends to itself may be for a published port",
        ),
    )
    chain(
        "nat-POSTROUTING",
        "type nat hook postrouting priority srcnat; policy accept",
        ("iifname vmap @nat-postrouting-out-jumps", "source addresses of what leaves a network"),
        ("oifname vmap @nat-postrouting-in-jumps", "source addresses of what enters a network"),
    )
    chain(
        "nat-PREROUTING",
        "type nat hook prerouting priority dstnat; policy accept",
        (local, "what is sent to an address of the host may be for a published port"),
    )
    chain(NAT, "")
    chain(RAW, "type filter hook prerouting priority raw; policy accept")
    return table
