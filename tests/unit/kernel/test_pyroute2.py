"""What is packed by hand is what pyroute2 reads: each kind of message, decoded by its classes."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any

import pytest
from pyroute2.netlink.diag import inet_diag_msg, inet_diag_req
from pyroute2.netlink.nfnetlink import nfgen_msg
from pyroute2.netlink.nfnetlink.nftsocket import nft_gen_msg, nft_rule_msg, nft_table_msg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from netlab.kernel.netlink import message as m
from netlab.kernel.netlink import nf_tables, sockdiag
from netlab.kernel.netlink.socket import _HEADER

LINK = (m.RTM_NEWLINK, m.RTM_SETLINK, m.RTM_DELLINK, m.RTM_GETLINK)
CLASSES: dict[int, type] = {
    **dict.fromkeys(LINK, ifinfmsg),
    **dict.fromkeys((m.RTM_NEWADDR, m.RTM_DELADDR), ifaddrmsg),
    **dict.fromkeys((m.RTM_NEWROUTE, m.RTM_DELROUTE, m.RTM_GETROUTE), rtmsg),
    m.RTM_NEWNEIGH: ndmsg,
}


def decoded(kind: type, data: bytes) -> Any:
    """The message that pyroute2 reads from our bytes, which are read to their end."""
    found = kind(data)
    found.decode()
    assert found["header"]["length"] == len(data)
    return found


def values(node: Any) -> dict[str, Any]:
    """Fields that are not 0, and all attributes; nests as dictionaries."""
    about = ("attrs", "header", "event", "value", "__align", "__pad", "state")
    about = about if "state" not in node or isinstance(node["state"], str) else about[:-1]
    found = {name: value for name, value in node.items() if value and name not in about}
    for name, value in (attribute[:2] for attribute in node.get("attrs", ())):
        found[name] = values(value) if isinstance(value, dict) and "attrs" in value else value
    return found


def read(message: m.Message) -> dict[str, Any]:
    """What pyroute2 reads from one of our messages of rtnetlink."""
    head = _HEADER.pack(16 + len(message.body), message.kind, message.flags | 1, 1, 0)
    found = decoded(CLASSES[message.kind], head + message.body)
    assert found["header"]["type"] == message.kind
    return values(found)


MAC, OTHER = "02:42:00:00:00:01", "02:42:00:00:00:02"
ROUTE = {"table": 254, "proto": 3, "type": 1}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            m.bridge("br0", 3, MAC, 1400, 0),
            {
                "index": 3, "IFLA_IFNAME": "br0", "IFLA_ADDRESS": MAC, "IFLA_MTU": 1400,
                "IFLA_TXQLEN": 0,
                "IFLA_LINKINFO": {
                    "IFLA_INFO_KIND": "bridge",
                    "IFLA_INFO_DATA": {"IFLA_BR_STP_STATE": 0, "IFLA_BR_MCAST_SNOOPING": 0},
                },
            },
        ),
        (
            m.snooping(3, "br0"),
            {
                "index": 3,
                "IFLA_LINKINFO": {
                    "IFLA_INFO_KIND": "bridge",
                    "IFLA_INFO_DATA": {"IFLA_BR_MCAST_SNOOPING": 1},
                },
            },
        ),
        (
            m.veth(m.End("v0", 7, MAC, 1400), m.End("eth0", 2, OTHER, 1500, 5), 9, master=4),
            {
                "index": 7, "flags": 1, "change": 1, "IFLA_IFNAME": "v0", "IFLA_ADDRESS": MAC,
                "IFLA_MTU": 1400, "IFLA_MASTER": 4,
                "IFLA_LINKINFO": {
                    "IFLA_INFO_KIND": "veth",
                    "IFLA_INFO_DATA": {
                        "VETH_INFO_PEER": {
                            "index": 2, "IFLA_IFNAME": "eth0", "IFLA_ADDRESS": OTHER, "IFLA_MTU": 1500,
                            "IFLA_TXQLEN": 5, "IFLA_NET_NS_FD": 9,
                        }
                    },
                },
            },
        ),
        (m.raise_link(7, "v0", master=4), {"index": 7, "flags": 1, "change": 1, "IFLA_MASTER": 4}),
        (m.set_master(7, "v0", 4), {"index": 7, "IFLA_MASTER": 4}),
        (m.set_mtu(7, "v0", 1300), {"index": 7, "IFLA_MTU": 1300}),
        (m.lower_link(7, "v0"), {"index": 7, "change": 1}),
        (
            m.hairpin(7, "v0"),
            {"family": m.AF_BRIDGE, "index": 7, "IFLA_PROTINFO": {"IFLA_BRPORT_MODE": 1}},
        ),
        (m.delete_link(7, "v0"), {"index": 7}),
        (m.get_link(7, "v0"), {"index": 7, "IFLA_EXT_MASK": m.RTEXT_FILTER_SKIP_STATS}),
        (
            m.add_address(7, "v0", "192.0.2.1/24"),
            {
                "family": 2, "prefixlen": 24, "index": 7, "IFA_LOCAL": "192.0.2.1",
                "IFA_ADDRESS": "192.0.2.1", "IFA_BROADCAST": "192.0.2.255",
            },
        ),
        (
            m.add_address(7, "v0", "2001:db8::1/64"),
            {
                "family": 10, "prefixlen": 64, "index": 7, "flags": m.IFA_F_NODAD,
                "IFA_LOCAL": "2001:db8::1", "IFA_ADDRESS": "2001:db8::1",
            },
        ),
        (
            m.delete_address(7, "v0", "192.0.2.1/24"),
            {"family": 2, "prefixlen": 24, "index": 7, "IFA_LOCAL": "192.0.2.1"},
        ),
        (
            m.route("10.0.0.0/8", "192.0.2.7", 3, "192.0.2.1"),
            {
                **ROUTE, "family": 2, "dst_len": 8, "RTA_DST": "10.0.0.0", "RTA_GATEWAY": "192.0.2.7",
                "RTA_OIF": 3, "RTA_PREFSRC": "192.0.2.1",
            },
        ),
        (
            m.route("default", "2001:db8::7", delete=True),
            {**ROUTE, "family": 10, "RTA_GATEWAY": "2001:db8::7"},
        ),
        (
            m.get_route("2001:db8::7", 3),
            {"family": 10, "dst_len": 128, "RTA_DST": "2001:db8::7", "RTA_OIF": 3},
        ),
        (
            m.permanent_neighbour(3, "192.0.2.7", bytes.fromhex("024200000001")),
            {"family": 2, "ifindex": 3, "state": 0x80, "NDA_DST": "192.0.2.7", "NDA_LLADDR": MAC},
        ),
    ],
    ids=lambda value: value.what if isinstance(value, m.Message) else "",
)  # fmt: skip
def test_rtnetlink(message: m.Message, expected: dict[str, Any]) -> None:
    assert read(message) == expected


def test_every_message_is_among_them() -> None:
    """A message that is added without a case above is noticed."""
    makers = {
        name
        for name, value in vars(m).items()
        if callable(value) and getattr(value, "__annotations__", {}).get("return") == "Message"
    }
    assert makers == {
        "bridge", "snooping", "veth", "raise_link", "set_master", "set_mtu", "lower_link", "hairpin",
        "delete_link", "get_link", "add_address", "delete_address", "route", "get_route",
        "permanent_neighbour",
    }  # fmt: skip


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_request_for_sockets(family: int) -> None:
    found = decoded(inet_diag_req, sockdiag.request(family, 1 << 10))
    assert (found["header"]["type"], found["header"]["flags"]) == (20, 0x301)
    assert (found["sdiag_family"], found["sdiag_protocol"], found["idiag_states"]) == (family, 6, 1 << 10)


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")]
)
def test_an_answer_about_a_socket_is_read_as_pyroute2_reads_it(family: int, address: str) -> None:
    octets = socket.inet_pton(family, address).ljust(16, b"\0")
    body = struct.pack("=BBBB", family, 1, 0, 0) + struct.pack(">HH16s16s", 80, 4000, octets, octets)
    body += struct.pack("=I8s5I", 3, bytes(8), 0, 0, 0, 0, 4711)
    theirs = decoded(inet_diag_msg, _HEADER.pack(16 + len(body), 20, 0, 1, 0) + body)
    ours = sockdiag.connection(body)
    assert ours.local == (theirs["idiag_src"], theirs["idiag_sport"]) == (address, 80)
    assert ours.remote == (theirs["idiag_dst"], theirs["idiag_dport"]) == (address, 4000)
    assert ours.inode == theirs["idiag_inode"] == 4711


def split(data: bytes) -> list[bytes]:
    """The messages of a batch."""
    found = []
    while data:
        length = int.from_bytes(data[:4], sys.byteorder)
        found.append(data[:length])
        data = data[(length + 3) & ~3 :]
    return found


def test_a_transaction_of_nf_tables() -> None:
    body = nf_tables.attribute(1, nf_tables.text("netlab")) + nf_tables.attribute(2, nf_tables.u32(1))
    table = nf_tables.message(nf_tables.NFT_MSG_NEWTABLE, 2, body, 0x400)
    begin, made, end = split(nf_tables.transaction([table]))
    for data, kind in ((begin, 16), (end, 17)):
        found = decoded(nfgen_msg, data)
        assert (found["header"]["type"], found["nfgen_family"], found["res_id"]) == (kind, 0, 10)
    found = decoded(nft_table_msg, made)
    assert found["header"]["type"] == 10 << 8
    assert values(found)["NFTA_TABLE_NAME"] == "netlab"
    assert found["nfgen_family"] == 2


@pytest.mark.parametrize(
    ("kind", "number"),
    [(nft_gen_msg, nf_tables.NFT_MSG_GETGEN), (nft_rule_msg, nf_tables.NFT_MSG_GETRULE)],
)
def test_questions_to_nf_tables(kind: type, number: int) -> None:
    body = nf_tables.attribute(1, nf_tables.text("filter")) if kind is nft_rule_msg else b""
    found = decoded(kind, nf_tables.message(number, 10, body))
    assert (found["header"]["type"], found["nfgen_family"]) == (10 << 8 | number, 10)
    assert values(found).get("NFTA_RULE_TABLE") == (None if not body else "filter")
