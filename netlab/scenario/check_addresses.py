"""Static addresses against subnets and each other; subnets against subnets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from netlab.model.engine_names import is_docker
from netlab.model.family import Address, Network, parse_address
from netlab.model.scenario import ComposeNetwork, Host
from netlab.model.version import STILL, Span, Version
from netlab.scenario.addresses import address, interface_address, loose_subnet, parsed_text, subnet
from netlab.scenario.assemble import Parts
from netlab.scenario.check_ipam import check_ipam, gateway_of
from netlab.scenario.networks import BRIDGE_NAME
from netlab.scenario.refusals import release
from netlab.scenario.services import Draft
from netlab.scenario.tree import Mark, Report, Value, shown

DOCKER0 = "docker0"
#: what docker0 gets when daemon.json says nothing: the first of Docker's default address pools
DOCKER0_SUBNET = "172.17.0.0/16"


#: Versions of Docker that accept a static address on a network without a configured subnet (moby#51583).
STATIC_ANYWHERE = Span("29.0.4", STILL)
#: Versions for which the subnet 0.0.0.0/26 means one of that size from the pools (moby#50114).
SIZED_SUBNETS = Span("29", STILL)


@dataclass(frozen=True, slots=True)
class _Known:
    """A network's subnets, and the addresses in them that no container can have, with the reason."""

    subnets: tuple[Network, ...]
    reserved: dict[Address, str]


def check_addresses(parts: Parts, report: Report) -> None:
    """Report addresses outside their subnet or taken twice, and subnets and bridges that clash."""
    known = {network.key: _known(network) for network in parts.networks}
    external = {network.key for network in parts.networks if network.external}
    taken: dict[tuple[str, str, Address], str] = {}
    anywhere = {host.name for host in parts.hosts if Version(*release(host.engine)) in STATIC_ANYWHERE}
    for draft in parts.drafts:
        if draft.service.replicas:
            _service(draft, known, external, taken, draft.service.host in anywhere, report)
    for host in parts.hosts:
        networks = _networks_on(host, parts)
        for network in networks:
            check_ipam(network, _ipam(network, parts), release(host.engine), report)
        _overlaps(host, networks, parts.root, report)
        _bridges(host, networks, parts.root, report)


def _ipam(network: ComposeNetwork, parts: Parts) -> Value | None:
    """Where a network's address management is written."""
    place = parts.netlab if network.external else parts.root
    networks = place.get("networks")
    value = networks.get(network.key) if networks is not None else None
    return value.get("ipam") if value is not None else None


def _networks_on(host: Host, parts: Parts) -> list[ComposeNetwork]:
    used = {
        attachment.network
        for draft in parts.drafts
        if draft.service.host == host.name
        for attachment in draft.service.networks
    }
    return [network for network in parts.networks if network.key in used]


def _known(network: ComposeNetwork) -> _Known:
    subnets: list[Network] = []
    reserved: dict[Address, str] = {}
    for pool in network.pools:
        if pool.subnet is None:
            continue
        net = subnet(pool.subnet)
        subnets.append(net)
        if net.version == 4 and net.prefixlen < 31:
            reserved[net.network_address] = "the network's own address"
            reserved[net.broadcast_address] = "the broadcast address"
        gateway = gateway_of(network, net, pool.gateway, pool.ip_range)
        if gateway is not None:
            reserved[gateway] = "the gateway's"
        for name, text in pool.aux_addresses.items():
            found = parsed_text(address, text)
            if found is not None:
                reserved[found] = f"reserved by aux_addresses.{name}"
    return _Known(tuple(subnets), reserved)


def _service(
    draft: Draft,
    known: dict[str, _Known],
    external: set[str],
    taken: dict[tuple[str, str, Address], str],
    anywhere: bool,
    report: Report,
) -> None:
    service = draft.service
    written = draft.source.get("networks")
    for attachment in service.networks:
        facts = known.get(attachment.network)
        entry = written.get(attachment.network) if written is not None else None
        if facts is None or entry is None or report.broken(f"networks.{attachment.network}"):
            continue
        for key, text in (
            ("ipv4_address", attachment.ipv4_address),
            ("ipv6_address", attachment.ipv6_address),
        ):
            value = entry.get(key)
            if text is None or value is None:
                continue
            path = f"services.{service.name}.networks.{attachment.network}"
            wrong = None
            sized = any(net.network_address.is_unspecified for net in facts.subnets)
            if not sized and (facts.subnets or not anywhere or attachment.network in external):
                wrong = _static(text, attachment.network, facts, attachment.network in external)
            if not wrong and service.replicas > 1:
                wrong = f"{service.replicas} containers cannot share the address {text}"
            if not wrong:
                place = (service.host, attachment.network, parse_address(text))
                first = taken.setdefault(place, service.name)
                wrong = None if first == service.name else f"the address {text} is services.{first}'s already"
            if wrong:
                report.add(value.at, f"{path}: {wrong}")


def _static(text: str, network: str, facts: _Known, external: bool) -> str | None:
    """What is wrong with a static address on a network; None if nothing is."""
    found = parse_address(text)
    subnets = [net for net in facts.subnets if net.version == found.version]
    if not subnets:
        where = f"x-netlab.networks.{network}" if external else f"networks.{network}"
        return f"a static address needs a subnet: add {where}.ipam.config with an IPv{found.version} subnet"
    if not any(found in net for net in subnets):
        return f"the address {text} is not within {' or '.join(map(str, subnets))}"
    if found in facts.reserved:
        return f"the address {text} is {facts.reserved[found]}"
    return None


# -- subnets and bridges of one host


def _default_bridge(host: Host) -> list[tuple[Network, str]]:
    if host.daemon.get("bridge") or not is_docker(host.engine):
        return []
    bip = host.daemon.get("bip")
    if isinstance(bip, str):
        return [(interface_address(bip).network, DOCKER0)]
    return [] if host.daemon.get("default-address-pools") else [(subnet(DOCKER0_SUBNET), DOCKER0)]


def _overlaps(host: Host, networks: Iterable[ComposeNetwork], root: Value, report: Report) -> None:
    """Docker refuses a pool that overlaps another one's."""
    found: list[tuple[Network, str, Mark | None]] = [(net, name, None) for net, name in _default_bridge(host)]
    for network in networks:
        if network.external:
            continue
        for pool in network.pools:
            if pool.subnet is not None:
                net = subnet(pool.subnet)
                if net.network_address.is_unspecified and Version(*release(host.engine)) in SIZED_SUBNETS:
                    continue
                found.append((net, f"networks.{network.key}", _pool_mark(root, network.key, net)))
    for version in (4, 6):
        ordered = sorted(
            (entry for entry in found if entry[0].version == version),
            key=lambda entry: (int(entry[0].network_address), entry[0].prefixlen),
        )
        widest: tuple[Network, str, Mark | None] | None = None
        for entry in ordered:
            if widest is not None and int(entry[0].network_address) <= int(widest[0].broadcast_address):
                _overlap(widest, entry, report)
            if widest is None or int(entry[0].broadcast_address) > int(widest[0].broadcast_address):
                widest = entry


def _overlap(
    one: tuple[Network, str, Mark | None], two: tuple[Network, str, Mark | None], report: Report
) -> None:
    late, early = (two, one) if one[2] is None or (two[2] is not None and two[2] > one[2]) else (one, two)
    if late[2] is not None:
        report.add(late[2], f"{late[1]}: the subnet {late[0]} overlaps {early[0]} of {early[1]}")


def _pool_mark(root: Value, key: str, net: Network) -> Mark:
    """Where the subnet is written."""
    network = (root.get("networks") or root).get(key)
    ipam = network.get("ipam") if network is not None else None
    config = ipam.get("config") if ipam is not None else None
    for pool in config or ():
        written = pool.get("subnet")
        if written is not None and parsed_text(loose_subnet, written.text) == net:
            return written.at
    return root.at


def _bridges(host: Host, networks: Iterable[ComposeNetwork], root: Value, report: Report) -> None:
    taken: dict[str, str] = {bridge.name: "another tenant's" for bridge in host.bridges}
    taken.update({interface.name: "an interface of the host" for interface in host.interfaces})
    if not host.daemon.get("bridge") and is_docker(host.engine):
        taken.setdefault(DOCKER0, "Docker's default bridge")
    for network in networks:
        name = network.driver_opts.get(BRIDGE_NAME)
        if name is None or network.external:
            continue
        if name in taken:
            value = (root.get("networks") or root).get(network.key)
            options = value.get("driver_opts") if value is not None else None
            at = options.get(BRIDGE_NAME) if options is not None else None
            what = f"networks.{network.key}: the bridge name {shown(name)} is {taken[name]} already"
            report.add(at.at if at is not None else network.position, what)
        taken.setdefault(name, f"that of networks.{network.key}")
