"""Derive subnets of external networks without a known subnet from the static addresses on them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import replace

from netlab.model.family import Address, Family, Network, parse_address
from netlab.model.scenario import ComposeNetwork, Pool
from netlab.scenario.addresses import subnet
from netlab.scenario.services import Draft
from netlab.scenario.tree import Report, Value

#: the smallest subnet that is derived
PREFIXES = {Family.IPV4: 24, Family.IPV6: 64}
_KEYS = {Family.IPV4: "ipv4_address", Family.IPV6: "ipv6_address"}


def with_subnets(
    networks: tuple[ComposeNetwork, ...], drafts: Iterable[Draft], report: Report
) -> tuple[ComposeNetwork, ...]:
    """The networks, external ones with a subnet for each family of which a service has a static address.

    Each derived subnet is a warning, at the first address that it was derived from.
    """
    drafts = tuple(drafts)
    return tuple(_derived(network, drafts, report) if network.external else network for network in networks)


def _derived(network: ComposeNetwork, drafts: Iterable[Draft], report: Report) -> ComposeNetwork:
    for family in Family:
        statics = dict(_statics(network.key, family, drafts))
        configured = any(_family_of(pool) is family for pool in network.pools)
        if statics and not configured and not report.broken(f"networks.{network.key}"):
            pool = _pool(family, list(statics))
            first = next(iter(statics.values()))
            where = f"x-netlab.networks.{network.key}.ipam.config"
            said = f"{where} says which IPv{family} subnet this external network has"
            report.warn(first.at, f"nothing in {said}: {pool.subnet} is assumed")
            ipv6 = True if family is Family.IPV6 else network.enable_ipv6
            network = replace(network, pools=(*network.pools, pool), enable_ipv6=ipv6)
    return network


def _family_of(pool: Pool) -> Family | None:
    return Family.of(pool.subnet) if pool.subnet else None


def _statics(key: str, family: Family, drafts: Iterable[Draft]) -> Iterable[tuple[Address, Value]]:
    """The static addresses of one family on a network, each with its place."""
    for draft in drafts:
        written = draft.source.get("networks")
        entry = written.get(key) if written is not None else None
        value = entry.get(_KEYS[family]) if entry is not None else None
        for attachment in draft.service.networks:
            text = attachment.ipv4_address if family is Family.IPV4 else attachment.ipv6_address
            if attachment.network == key and text is not None and value is not None:
                yield parse_address(text), value


def _pool(family: Family, addresses: list[Address]) -> Pool:
    """The smallest subnet of a usual size that contains all of them, and a gateway that is not one of
    them.
    """
    prefix = PREFIXES[family]
    while any(address not in _around(addresses[0], prefix) for address in addresses):
        prefix -= 1
    net = _around(addresses[0], prefix)
    taken = {int(address) for address in addresses}
    first = int(net.network_address)
    number = next(n for n in range(first + 1, first + len(taken) + 2) if n not in taken)
    gateway = str(ipaddress.ip_address(number)) if number != first + 1 else None
    return Pool(subnet=str(net), gateway=gateway)


def _around(address: Address, prefix: int) -> Network:
    return subnet(str(ipaddress.ip_network(f"{address}/{prefix}", strict=False)))
