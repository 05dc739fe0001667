"""rtnetlink messages, byte by byte, and what is refused before the kernel sees it."""

from __future__ import annotations

import contextlib
import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.kernel import sysctl
from netlab.kernel.netlink import dump, message
from netlab.kernel.netlink.socket import NetlinkError
from netlab.kernel.sandbox import seccomp
from netlab.model.errors import UsageError
from netlab.model.identifiers import link_local
from netlab.model.plan import Route


@given(st.lists(st.tuples(st.integers(1, 0x3FFF), st.binary(max_size=40)), unique_by=lambda item: item[0]))
def test_attributes_are_read_as_they_were_written(items: list[tuple[int, bytes]]) -> None:
    data = b"".join(message.attribute(kind, value) for kind, value in items)
    assert len(data) % 4 == 0
    assert message.attributes(data) == dict(items)


@given(st.binary(max_size=200))
def test_reading_broken_attributes_ends(data: bytes) -> None:
    with contextlib.suppress(ValueError):  # one that is longer than what is left
        assert all(len(value) <= len(data) - 4 for value in message.attributes(data).values())


@pytest.mark.parametrize(
    ("address", "broadcast"),
    [("192.0.2.1/24", "c00002ff"), ("192.0.2.9/30", "c000020b"), ("192.0.2.0/31", None), ("192.0.2.1", None)],
)
def test_broadcast_is_that_of_the_prefix(address: str, broadcast: str | None) -> None:
    body = message.add_address(3, "eth0", address).body
    family, length, _, _, index = struct.unpack_from("=BBBBI", body)
    found = message.attributes(body, 8).get(message.IFA_BROADCAST)
    assert (family, index) == (2, 3)
    assert length == int(address.partition("/")[2] or 32)
    assert found == (bytes.fromhex(broadcast) if broadcast else None)


def test_ipv6_addresses_skip_duplicate_detection() -> None:
    assert message.add_address(3, "eth0", "2001:db8::1/64").body[:8] == struct.pack("=BBBBI", 10, 64, 2, 0, 3)


def test_the_family_of_a_default_route_is_that_of_its_gateway() -> None:
    assert message.route(Route("default", "192.0.2.1")).body[0] == 2
    assert message.route(Route("default", "2001:db8::1")).body[0] == 10
    assert message.route(Route("default"), 2).body[0] == 2


def test_a_link_is_read_from_what_the_kernel_sends() -> None:
    body = message.veth(
        message.LinkEnd("v0", 7, "02:42:00:00:00:01", 1400),
        message.LinkEnd("eth0", 2, None, 1500),
        9,
        master=4,
    ).body
    link = dump.link(body)
    assert (link.index, link.name, link.kind, link.mac, link.mtu, link.up, link.master) == (
        7, "v0", "veth", "02:42:00:00:00:01", 1400, True, 4,
    )  # fmt: skip


def test_link_local_addresses_are_made_of_the_mac() -> None:
    assert link_local("02:42:c0:a8:0a:0a") == "fe80::42:c0ff:fea8:a0a"


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/1.rp_filter", "/proc/sys/net/ipv4/conf/eth0.1/rp_filter"),
        ("net.bridge.bridge-nf-call-iptables", "/proc/sys/net/bridge/bridge-nf-call-iptables"),
    ],
)
def test_a_key_is_a_file_below_net(key: str, path: str) -> None:
    assert sysctl.path(key) == path


@pytest.mark.parametrize(
    "key", ["kernel.hostname", "net", "", "net..x", "net.//.kernel.panic", "net.ipv4.//", "vm.x", "net.\0"]
)
def test_a_key_elsewhere_is_refused(key: str) -> None:
    with pytest.raises(UsageError):
        sysctl.path(key)


@given(st.text(alphabet="./anet", max_size=20))
def test_no_key_leads_out_of_net(key: str) -> None:
    try:
        path = sysctl.path(f"net.{key}")
    except UsageError:
        return
    assert path.startswith("/proc/sys/net/")
    assert ".." not in path.split("/")


def test_keys_that_name_an_interface_wait_for_it() -> None:
    assert sysctl.interface_of("net.ipv4.conf.eth0/1.rp_filter") == "eth0.1"
    assert sysctl.interface_of("net.ipv6.neigh.br0.retrans_time_ms") == "br0"
    for key in (
        "net.ipv4.conf.all.rp_filter",
        "net.ipv6.conf.default.accept_ra",
        "net.ipv6.conf.lo.disable_ipv6",
    ):
        assert sysctl.interface_of(key) is None
    assert sysctl.interface_of("net.ipv4.ip_forward") is None


def run_filter(code: bytes, number: int, arch: int, flags: int = 0) -> int:
    """What a seccomp filter answers: a BPF machine of the five instructions that it uses."""
    data = struct.pack("=IIQ6Q", number, arch, 0, flags, 0, 0, 0, 0, 0)
    program = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    accumulator = at = 0
    while True:
        kind, yes, no, value = program[at]
        at += 1
        if kind == 0x20:
            accumulator = struct.unpack_from("=I", data, value)[0]
        elif kind == 0x06:
            return value
        else:
            hit = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[
                kind
            ]
            at += yes if hit else no


@pytest.mark.parametrize(
    ("machine", "arch", "mount", "clone", "read"),
    [("x86_64", 0xC000003E, 165, 56, 0), ("aarch64", 0xC00000B7, 40, 220, 63)],
)
def test_the_filter_refuses_what_it_should_and_nothing_else(
    machine: str, arch: int, mount: int, clone: int, read: int
) -> None:
    code = seccomp.program(machine)
    allow, refuse, unknown = 0x7FFF0000, 0x50001, 0x50026
    assert run_filter(code, read, arch) == allow
    assert run_filter(code, mount, arch) == refuse
    assert run_filter(code, read, arch ^ 1) == refuse
    assert run_filter(code, clone, arch, 0x11) == allow
    assert run_filter(code, clone, arch, 0x10000011) == refuse
    assert run_filter(code, 435, arch) == unknown
    assert run_filter(code, 425, arch) == refuse


def test_no_filter_for_a_machine_that_is_not_known() -> None:
    assert seccomp.program("mips") == b""


def test_what_the_kernel_refuses_is_said_in_words_with_the_node() -> None:
    error = NetlinkError(
        errno.ENETUNREACH, "client", "adding the route default via 10.0.0.1", "Nexthop has invalid gateway"
    )
    assert error.strerror == (
        "client: adding the route default via 10.0.0.1: the gateway is on none of the node's subnets"
    )
    assert error.reason == "Nexthop has invalid gateway"
    assert NetlinkError(errno.EPERM, "", "making the bridge b").strerror == (
        "making the bridge b: operation not permitted"
    )
