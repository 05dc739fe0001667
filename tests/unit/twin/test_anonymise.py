"""Public addresses, MAC addresses and names are replaced consistently, and prefixes stay prefixes."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.collections import found_on, recorded

from netlab.twin.anonymise import Anonymiser
from netlab.twin.archive import pack, read_archive
from netlab.twin.read_host import read_host

ONE = Anonymiser(b"one key")


def shared(one: str, other: str) -> int:
    """How many leading bits two addresses have in common."""
    first, second = ipaddress.ip_address(one), ipaddress.ip_address(other)
    return first.max_prefixlen - (int(first) ^ int(second)).bit_length()


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "192.168.1.1", "172.17.0.2", "127.0.0.1", "0.0.0.0", "100.64.0.1", "fd00::1", "::1"],
)
def test_private_addresses_stay(address: str) -> None:
    assert ONE.address(address) == address


@given(st.integers(1 << 24, (224 << 24) - 1), st.integers(0, 31))
def test_prefixes_stay_prefixes(number: int, bit: int) -> None:
    one, other = str(ipaddress.IPv4Address(number)), str(ipaddress.IPv4Address(number ^ 1 << bit))
    both = [ONE.address(address) for address in (one, other)]
    assert ONE.address(one) == both[0]
    if shared(one, other) >= 16:
        assert shared(*both) == shared(one, other)


@given(st.integers(0x2000 << 112, (0x4000 << 112) - 1).filter(lambda n: ipaddress.IPv6Address(n).is_global))
def test_so_do_those_of_ipv6(number: int) -> None:
    one = str(ipaddress.IPv6Address(number))
    other = str(ipaddress.IPv6Address(number ^ 1))
    assert shared(ONE.address(one), ONE.address(other)) == 127


def test_a_network_stays_one() -> None:
    network = ONE.address("93.184.216.0", 24)
    assert ipaddress.ip_network(f"{network}/24")
    assert ipaddress.ip_address(ONE.address("93.184.216.34")) in ipaddress.ip_network(f"{network}/24")
    assert not network.startswith("93.184.216.")


def test_texts_have_everything_replaced() -> None:
    text = (
        '-A INPUT -s 93.184.216.34/32 -m comment --comment "Alice\'s office" -j ACCEPT\n'
        "[2606:2800:220:1::1]:443 fe80::a8bb:ccff:fedd:eeff aa:bb:cc:dd:ee:ff\n"
    )
    made = Anonymiser(b"k").files({"iptables.rules": text.encode(), "uname": b"Linux alice 6.1.0\n"})
    assert made["uname"] == b"Linux host 6.1.0\n"
    for secret in ("93.184.216.34", "Alice", "2606:2800", "aa:bb:cc", "ccff:fedd"):
        assert secret not in made["iptables.rules"].decode()


def test_a_host_that_was_anonymised_is_as_healthy() -> None:
    whole = recorded()
    files = Anonymiser(b"k").files({name: text.encode() for name, text in whole.files.items()})
    ran = [replace(one, size=len(files.get(one.file, b""))) for one in whole.ran.values()]
    made = read_archive(pack(files, ran, "1"), "anonymous")
    host = read_host(made)
    assert all(one.name.startswith("container-") for one in host.containers)
    assert "tmp" not in made.text("docker-containers.json") + made.text("docker-networks.json")
    assert found_on(made) == []
