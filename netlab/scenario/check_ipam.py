"""Address management that the engines of a scenario's hosts refuse, each as its version does.

From 25.0 on the API looks at a network's pools; before, a subnet with host bits is taken without them, and of
an ``ip_range`` only the host part counts. Seen on 20.10.24, 26.1.5 and 28.5.2; /31 and /32 came with 23.0
(moby#42626).
"""

from __future__ import annotations

import ipaddress

from netlab.model.family import Address, Network
from netlab.model.scenario import ComposeNetwork
from netlab.scenario.addresses import address, loose_subnet, parsed, parsed_text
from netlab.scenario.refusals import Release
from netlab.scenario.tree import Report, Value

INHIBIT = "com.docker.network.bridge.inhibit_ipv4"


def check_ipam(network: ComposeNetwork, ipam: Value | None, since: Release, report: Report) -> None:
    """Report what an engine of that release refuses of a network's ``ipam``."""
    config = ipam.get("config") if ipam is not None else None
    for entry in config or ():
        written = entry.get("subnet")
        net = parsed(loose_subnet, written)
        if net is None or written is None:
            continue
        where = f"networks.{network.key}.ipam"
        if since >= (25,):
            _validated(where, net, written, entry.get("ip_range"), report)
        if since < (23,) and net.version == 4 and net.prefixlen > 30:
            gateway = entry.get("gateway")
            shown = gateway.text if gateway is not None else ""
            reason = f"failed to allocate gateway ({shown}): No available addresses on this pool"
            report.refuse(written.at, where, reason)
        _reserved_twice(where, network, net, entry, report)


def _validated(where: str, net: Network, written: Value, part: Value | None, report: Report) -> None:
    """What the API looks at (moby, api/types/network/ipam.go)."""
    prefix = "invalid network config: invalid"
    if _has_host_bits(written.text, net):
        report.refuse(written.at, where, f"{prefix} subnet {written.text}: it should be {net}")
    within = parsed(loose_subnet, part)
    if within is None or part is None:
        return
    if within.prefixlen < net.prefixlen:
        reason = f"CIDR block is bigger than its parent subnet {net}"
    elif not within.subnet_of(net):  # type: ignore[arg-type]
        reason = f"parent subnet {net} doesn't contain ip-range"
    elif _has_host_bits(part.text, within):
        reason = f"it should be {within}"
    else:
        return
    report.refuse(part.at, where, f"{prefix} ip-range {part.text}: {reason}")


def _has_host_bits(text: str, net: Network) -> bool:
    return address(text.partition("/")[0]) != net.network_address


def _reserved_twice(where: str, network: ComposeNetwork, net: Network, entry: Value, report: Report) -> None:
    """Each auxiliary address is allocated, after the gateway's."""
    pool = next((pool for pool in network.pools if pool.subnet == str(net)), None)
    if pool is None:
        return
    gateway = gateway_of(network, net, pool.gateway, pool.ip_range)
    taken: set[object] = {gateway} if gateway is not None else set()
    aux = entry.get("aux_addresses")
    for name, value in aux.pairs() if aux is not None else ():
        own = parsed(address, value)
        if own is not None and own in taken:
            reason = f"failed to allocate secondary ip address ({name}:{value.text}): Address already in use"
            report.refuse(value.at, where, reason)
        taken.add(own)


def gateway_of(
    network: ComposeNetwork, net: Network, gateway: str | None, ip_range: str | None
) -> Address | None:
    """The gateway's address: the one in the file, otherwise the first one that Docker assigns, if it does."""
    if gateway is not None:
        return parsed_text(address, gateway)
    modes = {value for key, value in network.driver_opts.items() if ".gateway_mode_" in key}
    if network.internal and ("isolated" in modes or INHIBIT in network.driver_opts):
        return None
    within = ipaddress.ip_network(ip_range) if ip_range is not None else net
    small = net.version == 4 and net.num_addresses <= 2
    return max(within.network_address, net.network_address + (0 if small else 1))
