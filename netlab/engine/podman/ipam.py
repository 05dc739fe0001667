"""Podman's address management: subnets of its pools, and within them each time the address after the last.

Source: containers/common, libnetwork/netavark/ipam.go and pkg/config (default_subnet_pools).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from netlab.engine.ipam import PoolError
from netlab.model.family import Address, Family, Network

#: (base, size of each network), in the order of allocation.
DEFAULT_POOLS: tuple[tuple[Network, int], ...] = tuple(
    (ipaddress.ip_network(base), 24)
    for base in ("10.89.0.0/16", "10.90.0.0/15", "10.92.0.0/14", "10.96.0.0/11", "10.128.0.0/9")
)
#: The subnet of the network ``podman``.
DEFAULT_SUBNET = "10.88.0.0/16"


@dataclass(slots=True)
class Leases:
    """One subnet of one network: who has which address, and which one was given out last.

    ``range`` is the part that addresses are given out of; the subnet itself if None.
    """

    subnet: Network
    gateway: Address
    range: Network | None = None
    _taken: dict[int, str] = field(default_factory=dict)
    _last: int | None = None

    @property
    def family(self) -> Family:
        """The family of the subnet."""
        return Family.IPV4 if self.subnet.version == 4 else Family.IPV6

    def take(self, address: str, owner: str) -> Address:
        """Take one particular address; raises PoolError with Podman's words."""
        wanted = ipaddress.ip_address(address)
        if wanted not in self.subnet:
            raise PoolError(f"requested static ip {wanted} not in any subnet on network")
        if int(wanted) in self._taken:
            holder = self._taken[int(wanted)]
            raise PoolError(
                f"IPAM error: requested ip address {wanted} is already allocated to container ID {holder}"
            )
        self._taken[int(wanted)] = owner
        return wanted

    def next(self, owner: str) -> Address:
        """The free address after the last one that was given out; raises PoolError if there is none."""
        first, last = self._bounds()
        number = first if self._last is None else self._last + 1
        for _ in range(2 * (len(self._taken) + 2)):  # past what is taken, the gateway, and the end
            if number > last:
                number = first
            if number not in self._taken and number != int(self.gateway):
                self._taken[number] = owner
                self._last = number
                return ipaddress.ip_address(number) if self.family == 4 else ipaddress.IPv6Address(number)
            number += 1
        ends = (str(type(self.gateway)(end)) for end in (first, last))
        raise PoolError(f"IPAM error: failed to find free IP in range: {' - '.join(ends)}")

    def _bounds(self) -> tuple[int, int]:
        within = self.range or self.subnet
        last = int(within.broadcast_address)
        if self.range is None and self.family is Family.IPV4:
            last -= 1
        return int(within.network_address) + 1, last

    def release(self, address: Address) -> None:
        """Give an address back."""
        self._taken.pop(int(address), None)
