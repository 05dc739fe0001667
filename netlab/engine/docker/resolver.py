"""Docker's embedded DNS server: what a container's own namespace has for it (libnetwork/resolver_unix.go).

It listens on two ports that the kernel picked; rules redirect port 53 of 127.0.0.11 to them. A container has
it once it is on a user-defined network, whatever the value of ``iptables`` in daemon.json.
"""

from __future__ import annotations

from functools import cache

from netlab.engine.docker.host_state import HostState
from netlab.model.family import Family
from netlab.model.plan import RESOLVER
from netlab.model.rules import Chain, IptablesRuleset, NftChain, NftRule, NftTable, Rule, Table

OUTPUT = "DOCKER_OUTPUT"
POSTROUTING = "DOCKER_POSTROUTING"


def ruleset(state: HostState, *, udp: int, tcp: int) -> IptablesRuleset | NftTable:
    """The rules that lead to the server's ports, and back: one object for all containers alike."""
    return (_nftables if state.daemon.nftables else _iptables)(udp, tcp)


def _reasons(protocol: str) -> tuple[str, str]:
    return (
        f"DNS queries over {protocol.upper()} go to Docker's own DNS server",
        f"DNS answers over {protocol.upper()} come from port 53, which was asked",
    )


@cache
def _iptables(udp: int, tcp: int) -> IptablesRuleset:
    """Only the base chains that Docker uses: iptables creates others only on demand."""
    to, back = [], []
    for protocol, port in (("tcp", tcp), ("udp", udp)):  # each is inserted in front, UDP first
        match = f"-p {protocol} -m {protocol}"
        asked, answered = _reasons(protocol)
        to.append(
            Rule(f"-d {RESOLVER}/32 {match} --dport 53 -j DNAT --to-destination {RESOLVER}:{port}", asked)
        )
        back.append(Rule(f"-s {RESOLVER}/32 {match} --sport {port} -j SNAT --to-source :53", answered))
    why = "Docker's own DNS server"
    chains = (
        Chain("OUTPUT", "ACCEPT", (Rule(f"-d {RESOLVER}/32 -j {OUTPUT}", why),)),
        Chain("POSTROUTING", "ACCEPT", (Rule(f"-d {RESOLVER}/32 -j {POSTROUTING}", why),)),
        Chain(OUTPUT, None, tuple(to)),
        Chain(POSTROUTING, None, tuple(back)),
    )
    return IptablesRuleset(Family.IPV4, (Table("nat", chains),))


@cache
def _nftables(udp: int, tcp: int) -> NftTable:
    to, back = [], []
    for protocol, port in (("udp", udp), ("tcp", tcp)):
        asked, answered = _reasons(protocol)
        to.append(
            NftRule(f"ip daddr {RESOLVER} {protocol} dport 53 counter dnat to {RESOLVER}:{port}", asked)
        )
        back.append(NftRule(f"ip saddr {RESOLVER} {protocol} sport {port} counter snat to :53", answered))
    return NftTable(
        "ip",
        "docker-dns",
        chains=(
            NftChain("dns-dnat", "type nat hook output priority dstnat; policy accept", tuple(to)),
            NftChain("dns-snat", "type nat hook postrouting priority srcnat; policy accept", tuple(back)),
        ),
    )
