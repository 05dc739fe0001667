"""What is packed by hand is what pyroute2 reads: each kind of message, decoded by its classes."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyroute2.netlink.diag import inet_diag_msg, inet_diag_req
from pyroute2.netlink.nfnetlink import nfgen_msg
from pyroute2.netlink.nfnetlink.nftsocket import nft_chain_msg, nft_gen_msg, nft_rule_msg, nft_table_msg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.ndtmsg import ndtmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from netlab.kernel import beside, neighbours
from netlab.kernel.netlink import dump, interfaces, nf_tables, route, rulecopy, sockdiag
from netlab.kernel.netlink import message as m
from netlab.kernel.netlink.socket import _HEADER, RouteSocket
from netlab.kernel.trace import table
from netlab.model.plan import Route

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
        if name == "UNKNOWN":  # RTA_IP_PROTO, RTA_SPORT and RTA_DPORT are among those
            number, length = value["header"]["type"], value["header"]["length"]
            octets = value.data[value.offset + 4 : value.offset + length]
            found.setdefault(name, {})[number] = octets.hex()
            continue
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
            m.veth(m.LinkEnd("v0", 7, MAC, 1400), m.LinkEnd("eth0", 2, OTHER, 1500, 5), 9, master=4),
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
            m.route(Route("10.0.0.0/8", "192.0.2.7", source="192.0.2.1"), 3),
            {
                **ROUTE, "family": 2, "dst_len": 8, "RTA_DST": "10.0.0.0", "RTA_GATEWAY": "192.0.2.7",
                "RTA_OIF": 3, "RTA_PREFSRC": "192.0.2.1",
            },
        ),
        (
            m.route(Route("default", "2001:db8::7"), delete=True),
            {**ROUTE, "family": 10, "RTA_GATEWAY": "2001:db8::7"},
        ),
        (
            m.route(Route("default", "192.0.2.7", metric=100, protocol="static"), 3),
            {
                **ROUTE, "family": 2, "proto": m.RTPROT_STATIC, "RTA_GATEWAY": "192.0.2.7", "RTA_OIF": 3,
                "RTA_PRIORITY": 100,
            },
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


class Asked(Exception):
    """A question was recorded; its answer does not matter."""


def questions(monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object]) -> list[bytes]:
    """The messages that ``ask`` sends over a :class:`RouteSocket`, none of which is sent."""
    sent: list[bytes] = []

    def dump(self: RouteSocket, kind: int, body: bytes) -> list[bytes]:
        sent.append(_HEADER.pack(16 + len(body), kind, 0x301, 1, 0) + body)
        return []

    def one(self: RouteSocket, messages: list[m.Message]) -> list[bytes]:
        sent.extend(_HEADER.pack(16 + len(x.body), x.kind, x.flags | 1, 1, 0) + x.body for x in messages)
        raise Asked

    monkeypatch.setattr(RouteSocket, "dump", dump)
    monkeypatch.setattr(RouteSocket, "ask", one)
    with contextlib.suppress(Asked):
        ask()
    return sent


WANTED: dict[Callable[[], object], list[tuple[int, type, dict[str, Any]]]] = {
    lambda: dump.links(RouteSocket()): [
        (m.RTM_GETLINK, ifinfmsg, {"IFLA_EXT_MASK": m.RTEXT_FILTER_SKIP_STATS}),
    ],
    interfaces.read: [
        (20 + 2, ifaddrmsg, {}),
        (m.RTM_GETLINK, ifinfmsg, {"IFLA_EXT_MASK": m.RTEXT_FILTER_SKIP_STATS}),
    ],
    lambda: neighbours.unresolved(None): [(30, ndmsg, {})],
    neighbours.table_fulls: [(66, ndtmsg, {})],
    lambda: list(beside._devices()): [(m.RTM_GETLINK, ifinfmsg, {}), (38, tcmsg, {})],
    lambda: route.lookup(
        None, "192.0.2.1", "192.0.2.2", (7, "eth0"), mark=5, protocol=6, ports=(40000, 80)
    ): [
        (
            m.RTM_GETROUTE,
            rtmsg,
            {
                "family": 2, "dst_len": 32, "src_len": 32, "RTA_DST": "192.0.2.2", "RTA_SRC": "192.0.2.1",
                "RTA_IIF": 7, "RTA_MARK": 5, "UNKNOWN": {27: "06", 28: "9c40", 29: "0050"},
            },
        )
    ],
    lambda: route.lookup(None, "2001:db8::1", "2001:db8::2", None): [
        (
            m.RTM_GETROUTE,
            rtmsg,
            {
                "family": 10, "dst_len": 128, "src_len": 128, "RTA_DST": "2001:db8::2",
                "RTA_SRC": "2001:db8::1",
            },
        )
    ],
}  # fmt: skip


@pytest.mark.parametrize("ask", WANTED)
def test_questions_to_rtnetlink(ask: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    sent = questions(monkeypatch, ask)
    assert len(sent) == len(WANTED[ask])
    for data, (kind, decoder, expected) in zip(sent, WANTED[ask], strict=True):
        found = decoded(decoder, data)
        assert (found["header"]["type"], values(found)) == (kind, expected)


def test_whoever_asks_rtnetlink_is_among_them() -> None:
    """The modules that put a question of their own to the kernel: those above, and no others."""
    package = Path(m.__file__).parents[2]
    asking = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(r"\.dump\(\w*\.?_?RTM_|\.ask\(\[m\.Message", path.read_text())
    }
    assert asking == {
        "kernel/beside.py", "kernel/neighbours.py", "kernel/netlink/dump.py", "kernel/netlink/interfaces.py",
        "kernel/netlink/route.py",
    }  # fmt: skip


def split(data: bytes) -> list[bytes]:
    """The messages of a batch."""
    found = []
    while data:
        length = int.from_bytes(data[:4], sys.byteorder)
        found.append(data[:length])
        data = data[(length + 3) & ~3 :]
    return found


NF_TABLES: dict[int, type] = {
    nf_tables.NFT_MSG_NEWTABLE: nft_table_msg,
    nf_tables.NFT_MSG_NEWCHAIN: nft_chain_msg,
    nf_tables.NFT_MSG_NEWRULE: nft_rule_msg,
}


def test_a_transaction_of_nf_tables() -> None:
    body = m.attribute(1, nf_tables.text("netlab")) + m.attribute(2, nf_tables.u32(1))
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
    body = m.attribute(1, nf_tables.text("filter")) if kind is nft_rule_msg else b""
    found = decoded(kind, nf_tables.message(number, 10, body))
    assert (found["header"]["type"], found["nfgen_family"]) == (10 << 8 | number, 10)
    assert values(found).get("NFTA_RULE_TABLE") == (None if not body else "filter")


@pytest.mark.parametrize("family", table.STANDS)
def test_the_tables_that_trace_packets(family: str) -> None:
    """Every message of the instrument: its table, a chain at each hook, and the rules of each."""
    rules: dict[str, list[list[str]]] = {}
    for data in table.batch("netlab", [family]):
        kind = NF_TABLES[int.from_bytes(data[4:6], sys.byteorder) & 0xFF]
        found = decoded(kind, data)
        assert found["nfgen_family"] == nf_tables.Family[family]
        if kind is nft_table_msg:
            assert found.get_attr("NFTA_TABLE_NAME") == "netlab"
        elif kind is nft_chain_msg:
            name, hook = found.get_attr("NFTA_CHAIN_NAME"), found.get_attr("NFTA_CHAIN_HOOK")
            number = hook.get_attr("NFTA_HOOK_HOOKNUM")
            assert name.endswith(f"-{nf_tables.hook_words(family)[number]}")
            kept = [found.get_attr(f"NFTA_CHAIN_{what}") for what in ("TABLE", "TYPE", "POLICY")]
            assert kept == ["netlab", "filter", 1]
            rules[name] = []
        else:
            expressions = found.get_attr("NFTA_RULE_EXPRESSIONS")
            rules[found.get_attr("NFTA_RULE_CHAIN")].append(
                [one.get_attr("NFTA_EXPR_NAME") for one in expressions]
            )
    assert list(rules) == [f"{position}-{hook}" for hook, position in table.STANDS[family]]
    assert all(every[-1] == ["immediate"] for every in rules.values())
    # … and those before switch tracing on: nftrace is set to 1, and the packet is accepted.
    assert any(one[-3:] == ["immediate", "meta", "immediate"] for every in rules.values() for one in every)


def test_a_copy_of_a_ruleset_is_made_of_the_same_messages() -> None:
    """A copy is read with a dump, whose messages are decoded above, and written with these three kinds."""
    assert {made & 0xFF for _, made, _, _ in rulecopy._KINDS} == set(NF_TABLES)
