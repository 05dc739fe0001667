"""Docker's address management: pools, and addresses within them, lowest free first."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from netlab.model.family import Address, Family, Network

#: Docker's pools for bridge networks: (base, size of each network), in the order of allocation.
DEFAULT_POOLS: tuple[tuple[str, int], ...] = (
    ("172.17.0.0/16", 16),
    ("172.18.0.0/16", 16),
    ("172.19.0.0/16", 16),
    ("172.20.0.0/14", 16),
    ("172.24.0.0/14", 16),
    ("172.28.0.0/14", 16),
    ("192.168.0.0/16", 20),
)


class PoolError(ValueError):
    """An address or a pool is unavailable; the text is Docker's."""


@dataclass(slots=True)
class AddressPool:
    """One subnet of one network: what is taken in it, and where the next free address is looked for.

    ``range`` is the part that addresses are given out of (``ip_range``); the subnet itself if None.
    """

    subnet: Network
    range: Network | None = None
    gateway: Address | None = None
    _taken: set[int] = field(default_factory=set)
    _low: int = 0

    @property
    def family(self) -> Family:
        """The family of the subnet."""
        return Family.IPV4 if self.subnet.version == 4 else Family.IPV6

    def _reserved(self, number: int) -> bool:
        """The network's own address, and IPv4's broadcast, are never given out."""
        first = int(self.subnet.network_address)
        if number == first:
            return self.subnet.num_addresses > 2 or self.subnet.version == 6
        last = int(self.subnet.broadcast_address)
        return self.subnet.version == 4 and self.subnet.num_addresses > 2 and number == last

    def take(self, address: str) -> Address:
        """Take one particular address; raises PoolError."""
        wanted = ipaddress.ip_address(address)
        if wanted not in self.subnet:
            raise PoolError(f"Invalid address {wanted}: It does not belong to any of this network's subnets")
        if int(wanted) in self._taken or self._reserved(int(wanted)):
            raise PoolError("Address already in use")
        self._taken.add(int(wanted))
        return wanted

    def reserve(self, address: str) -> None:
        """Keep an auxiliary address from being given out."""
        wanted = ipaddress.ip_address(address)
        if wanted in self.subnet:
            self._taken.add(int(wanted))

    def next(self) -> Address:
        """The lowest free address of the range; raises PoolError if there is none."""
        within = self.range or self.subnet
        number = max(self._low, int(within.network_address))
        last = int(within.broadcast_address)
        while number in self._taken or self._reserved(number):
            number += 1
        if number > last:
            raise PoolError(
                f"no available IPv{self.subnet.version} addresses on this network's address pools"
            )
        self._taken.add(number)
        self._low = number + 1
        return ipaddress.ip_address(number) if self.subnet.version == 4 else ipaddress.IPv6Address(number)

    def release(self, address: Address) -> None:
        """Give an address back."""
        self._taken.discard(int(address))
        self._low = min(self._low, int(address))


@dataclass(slots=True)
class Pools:
    """All subnets in use on one host, and those that a network without a subnet is given one of."""

    defaults: tuple[tuple[Network, int], ...]
    #: subnets that Docker finds on the host's own interfaces
    foreign: tuple[Network, ...] = ()
    used: list[Network] = field(default_factory=list)

    def _free(self, base: Network, size: int) -> Network | None:
        """The first subnet of that size of a pool that overlaps with nothing in use; None without one.

        Each clash leads past the end of what is in the way, so a large pool takes no long search.
        """
        step = 1 << (base.max_prefixlen - size)
        taken = sorted(
            (int(other.network_address), int(other.broadcast_address))
            for other in (*self.used, *self.foreign)
            if other.version == base.version
        )
        first = int(base.network_address)
        for low, high in taken:
            if low >= first + step:
                break
            if high >= first:
                first += ((high - first) // step + 1) * step
        if first > int(base.broadcast_address):
            return None
        return ipaddress.ip_network((first, size))

    def _overlaps(self, subnet: Network, others: Iterable[Network]) -> bool:
        return any(other.version == subnet.version and subnet.overlaps(other) for other in others)

    def elect(self, family: Family, prefix: int | None = None) -> Network:
        """A predefined subnet, of the pools' size or another, that overlaps with nothing in use.

        Raises PoolError.

        Source: ipamutils' local scope pools, ipam/allocator.go getPredefinedPool.
        """
        subnet = self.peek(family, prefix)
        if subnet is not None:
            self.used.append(subnet)
            return subnet
        raise PoolError(
            f"could not find an available, non-overlapping {'IPv4' if family == 4 else 'IPv6'} address pool "
            "among the defaults to assign to the network"
        )

    def peek(self, family: Family, prefix: int | None = None) -> Network | None:
        """The subnet that :meth:`elect` would take; None if there is none left."""
        for base, size in self.defaults:
            wanted = size if prefix is None else prefix
            if base.version == family and base.prefixlen <= wanted:
                subnet = self._free(base, wanted)
                if subnet is not None:
                    return subnet
        return None

    def claim(self, subnet: Network) -> None:
        """Take the subnet that the user asked for; raises PoolError when another network overlaps it."""
        if self._overlaps(subnet, self.used):
            raise PoolError("Pool overlaps with other one on this address space")
        self.used.append(subnet)

    def release(self, subnet: Network) -> None:
        """Give a subnet back."""
        if subnet in self.used:
            self.used.remove(subnet)
