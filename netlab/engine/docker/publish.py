"""Publishing: which host endpoints a container's port mappings become, and who listens on them."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from netlab.engine.docker.host_state import Binding, Container, Endpoint, HostState, LiveNetwork
from netlab.engine.docker.ports import PortError
from netlab.engine.refusal import Refused
from netlab.model.family import Family, bare, endpoint
from netlab.model.plan import Backend, Listener
from netlab.model.scenario import PortMapping

#: How often the daemon tries another port of a range, or of its own choice (maxAllocatePortAttempts).
ATTEMPTS = 10
#: Up to this many elements, Go's sort.Sort uses insertion sort (maxInsertion in sort/zsortinterface.go, Go
#: 1.19).
INSERTION_SORT = 12


def ordered(state: HostState, mappings: tuple[PortMapping, ...]) -> list[PortMapping]:
    """The mappings in the order in which Docker programs them.

    Up to 26 by go-connections' SortPortMap: larger host port first, then larger container port, tcp first;
    the bindings of one container port stay together. From 27 by container port, ascending, after those with a
    given host port.
    """
    return sorted(mappings, key=_ascending) if state.traits.ports_ascending else descending(mappings)


def _ascending(mapping: PortMapping) -> tuple[bool, int, int, tuple[int, int], tuple[int, int]]:
    """cmpPortBindingReqs: exact host ports before ranges, TCP before UDP before SCTP, IPv4 before IPv6."""
    low, high = mapping.host_ports or (0, 0)
    address = ipaddress.ip_address(mapping.host_ip) if mapping.host_ip else None
    host = (address.version, int(address)) if address is not None else (0, 0)
    protocol = ("tcp", "udp", "sctp").index(mapping.protocol)
    return (low != high or not low, mapping.container_port, protocol, (low, high), host)


def descending(mappings: tuple[PortMapping, ...]) -> list[PortMapping]:
    """go-connections' SortPortMap, which links use in every generation.

    Its comparison (nat/sort.go, portMapSorter.Less) is not an order: of two TCP bindings of one container
    port, each is less than the other, and so are two ports of which one has the larger host port and the
    other the larger container port. The result then depends on Go's insertion sort (sort.Sort, up to twelve)
    and its input: the container ports in the order in which JSON spells a map, each with its bindings in the
    given order.
    """
    given = sorted(mappings, key=lambda m: f"{m.container_port}/{m.protocol}")
    entries = _insertion_sorted(given) if len(given) <= INSERTION_SORT else sorted(given, key=_rank)
    groups: dict[tuple[int, str], list[PortMapping]] = {}
    for mapping in entries:
        groups.setdefault((mapping.container_port, mapping.protocol), []).append(mapping)
    return [mapping for group in groups.values() for mapping in group]


def _rank(mapping: PortMapping) -> tuple[int, int, bool]:
    start = mapping.host_ports[0] if mapping.host_ports else 0
    return (-start, -mapping.container_port, mapping.protocol != "tcp")


def _insertion_sorted(mappings: list[PortMapping]) -> list[PortMapping]:
    out = mappings.copy()
    for end in range(1, len(out)):
        for at in range(end, 0, -1):
            if not _less(out[at], out[at - 1]):
                break
            out[at - 1], out[at] = out[at], out[at - 1]
    return out


def _less(one: PortMapping, other: PortMapping) -> bool:
    (start, port, _), (other_start, other_port, _) = _rank(one), _rank(other)
    return start < other_start or port < other_port or (port == other_port and one.protocol == "tcp")


def undecided(mappings: tuple[PortMapping, ...]) -> bool:
    """Whether :func:`descending` compares two container ports each of which is less than the other."""
    return any(
        _less(one, other) and _less(other, one)
        for one, other in itertools.combinations(mappings, 2)
        if (one.container_port, one.protocol) != (other.container_port, other.protocol)
    )


@dataclass(frozen=True, slots=True)
class _Side:
    host: str
    container: str


def _sides(
    state: HostState, network: LiveNetwork, endpoint: Endpoint, mapping: PortMapping
) -> Iterator[_Side]:
    """The (host address, container address) pairs of a mapping (validatePortBindingIPv4 and IPv6)."""
    host_ip = mapping.host_ip
    default = network.host_ip or "0.0.0.0"
    v4, v6 = (endpoint.addresses.get(family) for family in Family)
    if state.traits.dual_stack_proxy:
        yield _Side(host_ip or default, str(v4))
        return
    wanted = host_ip or default
    if v4 is not None and ":" not in wanted:
        yield _Side(wanted, str(v4))
    inner = v6 if v6 is not None else (v4 if state.daemon.userland_proxy else None)
    if inner is None or (state.traits.proxy_minds_disable_ipv6 and _ipv6_disabled(state)):
        return
    if host_ip:
        if ":" in host_ip:
            yield _Side(host_ip, str(inner))
    elif default == "0.0.0.0":
        yield _Side("::", str(inner))
    elif ":" in default:
        yield _Side(default, str(inner))


def _ipv6_disabled(state: HostState) -> bool:
    return state.sysctls.get("net.ipv6.conf.all.disable_ipv6") == "1"


def bind(
    state: HostState,
    network: LiveNetwork,
    endpoint: Endpoint,
    mappings: tuple[PortMapping, ...],
    families: tuple[Family, ...],
) -> list[Binding]:
    """Allocate the host ports of a container's mappings, of these families of the host.

    Raises :class:`Refused`, and nothing is allocated then.
    """
    made: list[Binding] = []
    if not state.traits.ports_ascending and undecided(mappings):
        text = (
            "Docker's order of these ports is no order (of two, the one has the larger host port and "
            "the other the larger container port): in which order their rules stand is left to chance"
        )
        state.note("container", endpoint.node, text, by_chance=True)
    for mapping in ordered(state, mappings):
        twin: Binding | None = None
        for side in _sides(state, network, endpoint, mapping):
            if Family.of(side.host) not in families:
                continue
            if network.modes[Family.of(side.host)] == "routed":
                made.append(_routed(state, network, endpoint, mapping, side))
                continue
            try:
                port = _request(state, side.host, mapping, twin)
            except PortError as error:
                release(state, made)
                reason = f"driver failed programming external connectivity: {error}"
                raise Refused("container", endpoint.node, reason) from error
            twin = Binding(
                endpoint.node,
                network.name,
                mapping.protocol,
                side.host,
                port,
                side.container,
                mapping.container_port,
            )
            made.append(twin)
    return made


def _routed(
    state: HostState, network: LiveNetwork, endpoint: Endpoint, mapping: PortMapping, side: _Side
) -> Binding:
    """A routed network's port is open at the container's address, and takes no port of the host."""
    if mapping.host_ports and not state.traits.routed_ignores_host_ports:
        raise Refused(
            "container",
            endpoint.node,
            f"host port must not be specified in mapping {mapping.host_ports[0]}:{mapping.container_port}/"
            f"{mapping.protocol} because NAT is disabled",
        )
    port = mapping.container_port
    return Binding(endpoint.node, network.name, mapping.protocol, side.host, 0, side.container, port)


def _request(state: HostState, host: str, mapping: PortMapping, twin: Binding | None) -> int:
    allocator = state.ports
    ports = mapping.host_ports
    if state.traits.one_port_for_both and twin is not None:
        ports = (twin.host_port, twin.host_port)
    for _ in range(ATTEMPTS):
        port = allocator.request(host, mapping.protocol, ports)
        if not _in_use(state, host, mapping.protocol, port):
            return port
        allocator.release(host, mapping.protocol, port)
        if ports is not None and ports[0] == ports[1]:
            break  # there is no other
    kind = f"{mapping.protocol}{Family.of(host).value}"
    where = f"{kind} {endpoint(host, port)}"
    raise PortError(f"Error starting userland proxy: listen {where}: bind: address already in use")


def _in_use(state: HostState, host: str, protocol: str, port: int) -> bool:
    """Whether another socket of the host has the port: a wildcard against an address, or a daemon's own."""
    if any(own.port == port and own.protocol == protocol for own in state.host.listen):
        return True
    if state.neighbour.listens(protocol, host, port):
        return True
    family = Family.of(host)
    if host == family.any:
        return any(
            state.ports.taken(bare(address), protocol, port) for address in _host_addresses(state, family)
        )
    return state.ports.taken(family.any, protocol, port)


def _host_addresses(state: HostState, family: Family) -> Iterator[str]:
    yield family.loopback
    for interface in state.host.interfaces:
        yield from (a for a in interface.addresses if Family.of(a) is family)
    for network in state.networks.values():
        gateway = network.gateway(family)
        if gateway is not None:
            yield str(gateway)


def release(state: HostState, bindings: list[Binding]) -> None:
    """Give the host ports back."""
    for binding in bindings:
        if binding.host_port:
            state.ports.release(binding.host_address, binding.protocol, binding.host_port)


def listeners(state: HostState) -> Iterator[Listener]:
    """The sockets for published ports, container by container in the order of their start.

    They belong to dockerd or its children, and end with it, whether the containers run or not.
    """
    if not state.running:
        return
    for container in state.containers.values():
        for binding in container.bindings:
            if binding.host_port:
                yield _listener(state, container, binding)


def _listener(state: HostState, container: Container, binding: Binding) -> Listener:
    network = state.networks[binding.network]
    proxied = state.daemon.userland_proxy
    reason = f"port {binding.port} of {container.spec.node} on {network.title}, published"
    address, v6only = binding.host_address, (True if binding.family is Family.IPV6 else None)
    if state.traits.dual_stack_proxy and address in ("0.0.0.0", "::"):
        address, v6only = "::", False
    argv = (
        "-proto", binding.protocol,
        "-host-ip", binding.host_address,
        "-host-port", str(binding.host_port),
        "-container-ip", binding.address,
        "-container-port", str(binding.port),
        *(("-use-listen-fd",) if state.traits.listen_fd else ()),
    )  # fmt: skip
    return Listener(
        protocol=binding.protocol,
        address=address,
        port=binding.host_port,
        v6only=v6only,
        process="docker-proxy" if proxied else "dockerd",
        backend=Backend(binding.address, binding.port) if proxied else None,
        backlog=4096 if proxied else state.traits.dockerd_backlog,
        reason=reason,
        argv=argv if proxied else (),
    )
