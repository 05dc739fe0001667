"""Addresses, subnets and ports are given out in Docker's order."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.engine.docker.ports import EPHEMERAL, PortAllocator, PortError
from netlab.engine.ipam import DEFAULT_POOLS, AddressPool, PoolError, Pools
from netlab.model.family import Family


def pool(subnet: str, within: str | None = None) -> AddressPool:
    return AddressPool(ipaddress.ip_network(subnet), ipaddress.ip_network(within) if within else None)


def defaults(*foreign: str) -> Pools:
    pools = tuple((ipaddress.ip_network(base), size) for base, size in DEFAULT_POOLS)
    return Pools(pools, tuple(map(ipaddress.ip_network, foreign)))


def test_the_lowest_free_address_comes_first_and_holes_are_filled() -> None:
    made = pool("192.0.2.0/29")
    assert [str(made.next()) for _ in range(3)] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    made.release(ipaddress.ip_address("192.0.2.2"))
    assert str(made.next()) == "192.0.2.2"
    made.take("192.0.2.4")
    assert str(made.next()) == "192.0.2.5"


def test_a_full_subnet_says_so() -> None:
    made = pool("192.0.2.0/30")
    made.next(), made.next()
    with pytest.raises(PoolError, match="no available"):
        made.next()


def test_a_range_gives_its_own_first_address() -> None:
    assert str(pool("172.17.0.0/16", "172.17.5.0/24").next()) == "172.17.5.0"


@pytest.mark.parametrize(
    ("address", "complaint"),
    [("192.0.2.0", "in use"), ("192.0.2.255", "in use"), ("198.51.100.1", "does not belong")],
)
def test_addresses_that_cannot_be_had(address: str, complaint: str) -> None:
    with pytest.raises(PoolError, match=complaint):
        pool("192.0.2.0/24").take(address)


@given(st.lists(st.integers(0, 30), max_size=60))
def test_an_address_is_never_given_twice(releases: list[int]) -> None:
    made, taken = pool("10.0.0.0/26"), []
    for number in releases:
        address = made.next()
        assert address not in taken
        taken.append(address)
        if number < len(taken):
            made.release(taken.pop(number))
        assert len(set(taken)) == len(taken)


def test_default_subnets_come_in_dockers_order() -> None:
    made = defaults()
    subnets = [str(made.elect(Family.IPV4)) for _ in range(17)]
    assert subnets[:3] == ["172.17.0.0/16", "172.18.0.0/16", "172.19.0.0/16"]
    assert subnets[14:] == ["172.31.0.0/16", "192.168.0.0/20", "192.168.16.0/20"]


def test_a_default_subnet_that_the_host_has_is_passed_over() -> None:
    assert str(defaults("172.17.9.0/24").elect(Family.IPV4)) == "172.18.0.0/16"


def test_an_overlapping_subnet_is_refused() -> None:
    made = defaults()
    made.claim(ipaddress.ip_network("10.0.0.0/8"))
    with pytest.raises(PoolError, match="Pool overlaps"):
        made.claim(ipaddress.ip_network("10.1.0.0/16"))


def test_no_ipv6_subnet_among_the_defaults() -> None:
    with pytest.raises(PoolError, match="IPv6 address pool"):
        defaults().elect(Family.IPV6)


def test_ephemeral_ports_go_on_from_the_last_one() -> None:
    ports = PortAllocator()
    first = ports.request("0.0.0.0", "tcp", None)
    assert first == EPHEMERAL[0]
    ports.release("0.0.0.0", "tcp", first)
    assert ports.request("0.0.0.0", "tcp", None) == first + 1
    assert ports.request("0.0.0.0", "udp", None) == first


def test_a_range_is_used_up_and_then_refused() -> None:
    ports = PortAllocator()
    assert [ports.request("::", "tcp", (80, 81)) for _ in range(2)] == [80, 81]
    with pytest.raises(PortError, match="all ports are allocated"):
        ports.request("::", "tcp", (80, 81))


def test_a_port_is_allocated_once() -> None:
    ports = PortAllocator()
    ports.request("0.0.0.0", "tcp", (80, 80))
    with pytest.raises(PortError, match=r"Bind for 0\.0\.0\.0:80 failed: port is already allocated"):
        ports.request("0.0.0.0", "tcp", (80, 80))
