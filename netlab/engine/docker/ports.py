"""Docker's port allocator: which host port a mapping gets, per protocol and address.

Source: libnetwork's portallocator.  Ephemeral ports come from the host's ip_local_port_range, each
(address, protocol) counting on its own from where it stopped last.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from netlab.model.family import bracketed

#: The kernel's default ip_local_port_range, inclusive.
EPHEMERAL = (32768, 60999)


def port_set(text: str) -> frozenset[int]:
    """``8080,9000-9002``, as ip_local_reserved_ports has it."""
    found: set[int] = set()
    for part in filter(None, (word.strip() for word in text.split(","))):
        low, _, high = part.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    return frozenset(found)


class PortError(ValueError):
    """A port is unavailable; the text is Docker's."""


@dataclass(slots=True)
class _Ports:
    taken: set[int] = field(default_factory=set)
    last: dict[tuple[int, int], int] = field(default_factory=dict)


@dataclass(slots=True)
class PortAllocator:
    """What is allocated on one host. ``reserved`` ports are not given out where the daemon may choose any."""

    ephemeral: tuple[int, int] = EPHEMERAL
    reserved: frozenset[int] = frozenset()
    _maps: dict[tuple[str, str], _Ports] = field(default_factory=dict)

    def _map(self, address: str, protocol: str) -> _Ports:
        return self._maps.setdefault((address, protocol), _Ports())

    def taken(self, address: str, protocol: str, port: int) -> bool:
        """Whether the port is allocated for exactly this address."""
        return port in self._map(address, protocol).taken

    def request(self, address: str, protocol: str, ports: tuple[int, int] | None) -> int:
        """A port of the inclusive range (None: ephemeral); raises PortError."""
        have = self._map(address, protocol)
        shown = bracketed(address)
        if ports is not None and ports[0] == ports[1]:
            if ports[0] in have.taken:
                raise PortError(f"Bind for {shown}:{ports[0]} failed: port is already allocated")
            have.taken.add(ports[0])
            return ports[0]
        low, high = ports or self.ephemeral
        spared = self.reserved if ports is None else frozenset()
        port = have.last.get((low, high), high)
        for _ in range(low, high + 1):
            port = low if port >= high else port + 1
            if port not in have.taken and port not in spared:
                have.taken.add(port)
                have.last[low, high] = port
                return port
        raise PortError("all ports are allocated")

    def release(self, address: str, protocol: str, port: int) -> None:
        """Give a port back."""
        self._map(address, protocol).taken.discard(port)
