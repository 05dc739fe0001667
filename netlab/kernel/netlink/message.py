"""rtnetlink messages, packed by hand: a few microseconds each.

Layouts: include/uapi/linux/{netlink,rtnetlink,if_link,if_addr,neighbour}.h. Each function returns one
:class:`Message`; :mod:`netlab.kernel.netlink.socket` sends many in one go.
"""

from __future__ import annotations

import _socket
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from netlab.model.family import af_of

if TYPE_CHECKING:
    from netlab.model.plan import Route

AF_INET = 2
AF_INET6 = 10
AF_BRIDGE = 7

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH = 28

NLM_F_REQUEST = 0x1
NLM_F_DUMP = 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF

IFF_UP = 0x1
IFA_F_NODAD = 0x02

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_PROTINFO = 1, 3, 4, 5, 10, 12
IFLA_TXQLEN, IFLA_OPERSTATE, IFLA_LINKINFO, IFLA_NET_NS_FD, IFLA_EXT_MASK = 13, 16, 18, 28, 29
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
IFLA_BR_STP_STATE, IFLA_BR_MCAST_SNOOPING = 5, 23
IFLA_BRPORT_MODE = 4
VETH_INFO_PEER = 1
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC = 1, 4, 5, 6, 7
NDA_DST, NDA_LLADDR = 1, 2

RT_TABLE_MAIN, RTPROT_BOOT, RTPROT_STATIC = 254, 3, 4
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 0, 253
RTN_UNICAST = 1
NUD_PERMANENT = 0x80
#: RTM_GETLINK without the statistics, which are most of an answer
RTEXT_FILTER_SKIP_STATS = 8

_ATTRIBUTE = Struct("=HH")
_IFINFO = Struct("=BxHiII")  # family, type, index, flags, change
_IFADDR = Struct("=BBBBI")  # family, prefix length, flags, scope, index
_RTMSG = Struct("=BBBBBBBBI")  # family, dst len, src len, tos, table, protocol, scope, type, flags
_NDMSG = Struct("=BxxxiHBB")  # family, index, state, flags, type
_U32 = Struct("=I")
_PAD = (b"", b"\0\0\0", b"\0\0", b"\0")

_CREATE = NLM_F_CREATE | NLM_F_EXCL
_ORIGINS = {"boot": RTPROT_BOOT, "static": RTPROT_STATIC}


class Message(NamedTuple):
    """One request: its type, additional header flags, payload, and a description for errors."""

    kind: int
    flags: int
    body: bytes
    what: str


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute: header, value, padding."""
    length = len(value)
    return _ATTRIBUTE.pack(length + 4, kind) + value + _PAD[length & 3]


def attributes(data: bytes, start: int = 0) -> dict[int, bytes]:
    """Attribute number (without flags) → value, from ``start`` on; raises ValueError on an overrun."""
    found: dict[int, bytes] = {}
    end = len(data)
    while start + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if length < 4 or start + length > end:
            raise ValueError(f"attribute of length {length} at {start} of {end}")
        found[kind & NLA_TYPE_MASK] = data[start + 4 : start + length]
        start += (length + 3) & ~3
    return found


def _u32(kind: int, value: int) -> bytes:
    return attribute(kind, _U32.pack(value))


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def mac_bytes(mac: str) -> bytes:
    """``02:42:c0:a8:0a:0a`` as six bytes."""
    return bytes.fromhex(mac.replace(":", ""))


def address_bytes(address: str) -> tuple[int, bytes]:
    """(AF_INET or AF_INET6, the address in network byte order); raises OSError if it is not an address."""
    family = af_of(address)
    return family, _socket.inet_pton(family, address)


def _identity(name: str, mac: str | None, mtu: int | None, txqlen: int | None) -> bytes:
    out = _text(IFLA_IFNAME, name)
    if mac is not None:
        out += attribute(IFLA_ADDRESS, mac_bytes(mac))
    if mtu is not None:
        out += _u32(IFLA_MTU, mtu)
    if txqlen is not None:
        out += _u32(IFLA_TXQLEN, txqlen)
    return out


_STP_OFF = _u32(IFLA_BR_STP_STATE, 0)
_SNOOPING_OFF, _SNOOPING_ON = (attribute(IFLA_BR_MCAST_SNOOPING, value) for value in (b"\0", b"\1"))
_KIND_BRIDGE = _text(IFLA_INFO_KIND, "bridge")
_KIND_VETH = _text(IFLA_INFO_KIND, "veth")


def bridge(
    name: str, index: int, mac: str | None = None, mtu: int | None = None, txqlen: int | None = None
) -> Message:
    """Make a bridge without spanning tree (so its ports forward at once), down, and not :func:`snooping`."""
    info = _KIND_BRIDGE + attribute(IFLA_INFO_DATA, _STP_OFF + _SNOOPING_OFF)
    body = _IFINFO.pack(0, 0, index, 0, 0) + _identity(name, mac, mtu, txqlen)
    body += attribute(IFLA_LINKINFO, info)
    return Message(RTM_NEWLINK, _CREATE, body, f"making the bridge {name}")


def snooping(index: int, name: str) -> Message:
    """Enable multicast snooping on a bridge, which is the default.

    With snooping, each port that goes up restarts it on all others (br_port_state_selection,
    net/bridge/br_stp.c): half a second for a thousand.
    """
    info = attribute(IFLA_LINKINFO, _KIND_BRIDGE + attribute(IFLA_INFO_DATA, _SNOOPING_ON))
    return Message(RTM_NEWLINK, 0, _IFINFO.pack(0, 0, index, 0, 0) + info, f"setting {name} to snooping")


class LinkEnd(NamedTuple):
    """One end of a veth pair; ifindex 0 is the kernel's choice."""

    name: str
    ifindex: int
    mac: str | None
    mtu: int
    txqlen: int | None = None


def veth(near: LinkEnd, far: LinkEnd, far_netns: int, *, master: int = 0, up: bool = True) -> Message:
    """Make a veth pair: the near end in the socket's namespace, the far end, down, in ``far_netns``.

    A peer cannot be made up (ENOTCONN: the two are not linked yet); the near end can, and as a port of
    the bridge with index ``master``.
    """
    peer = (
        _IFINFO.pack(0, 0, far.ifindex, 0, 0)
        + _identity(far.name, far.mac, far.mtu, far.txqlen)
        + _u32(IFLA_NET_NS_FD, far_netns)
    )
    data = attribute(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, peer))
    flags = IFF_UP if up else 0
    body = _IFINFO.pack(0, 0, near.ifindex, flags, flags) + _identity(
        near.name, near.mac, near.mtu, near.txqlen
    )
    if master:
        body += _u32(IFLA_MASTER, master)
    body += attribute(IFLA_LINKINFO, _KIND_VETH + data)
    return Message(RTM_NEWLINK, _CREATE, body, f"making the link {near.name} - {far.name}")


def raise_link(index: int, name: str, *, master: int = 0) -> Message:
    """Set a link up, first as a port of the bridge with index ``master`` if that is not 0."""
    body = _IFINFO.pack(0, 0, index, IFF_UP, IFF_UP)
    if master:
        body += _u32(IFLA_MASTER, master)
    return Message(RTM_NEWLINK, 0, body, f"raising {name}")


def set_master(index: int, name: str, master: int) -> Message:
    """Make a link a port of the bridge with index ``master`` (0: of none)."""
    body = _IFINFO.pack(0, 0, index, 0, 0) + _u32(IFLA_MASTER, master)
    return Message(RTM_NEWLINK, 0, body, f"making {name} a bridge port")


def set_mtu(index: int, name: str, mtu: int) -> Message:
    """Set the largest packet that a link takes."""
    body = _IFINFO.pack(0, 0, index, 0, 0) + _u32(IFLA_MTU, mtu)
    return Message(RTM_NEWLINK, 0, body, f"setting the MTU of {name}")


def lower_link(index: int, name: str) -> Message:
    """Set a link down."""
    return Message(RTM_NEWLINK, 0, _IFINFO.pack(0, 0, index, 0, IFF_UP), f"lowering {name}")


def hairpin(index: int, name: str, on: bool = True) -> Message:
    """Let a bridge port send frames back out of the port that they came in by, or not."""
    mode = attribute(IFLA_PROTINFO | NLA_F_NESTED, attribute(IFLA_BRPORT_MODE, b"\1" if on else b"\0"))
    body = _IFINFO.pack(AF_BRIDGE, 0, index, 0, 0) + mode
    return Message(RTM_SETLINK, 0, body, f"setting {name} to hairpin mode")


def delete_link(index: int, name: str) -> Message:
    """Remove a link (and its peer)."""
    return Message(RTM_DELLINK, 0, _IFINFO.pack(0, 0, index, 0, 0), f"removing {name}")


_SKIP_STATS = _u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)


def get_link(index: int, name: str) -> Message:
    """Ask for one link. Since Linux 6.8 this also runs its pending link watch work."""
    body = _IFINFO.pack(0, 0, index, 0, 0) + _SKIP_STATS
    return Message(RTM_GETLINK, 0, body, f"reading the state of {name}")


def _broadcast(raw: bytes, length: int) -> bytes:
    """The IPv4 broadcast attribute that Docker and ifupdown set; none for /31 and /32 (RFC 3021)."""
    if length > 30:
        return b""
    value = int.from_bytes(raw, "big") | ((1 << (32 - length)) - 1)
    return attribute(IFA_BROADCAST, value.to_bytes(4, "big"))


def add_address(index: int, name: str, address: str) -> Message:
    """Give ``address`` (with prefix length) to a link; an IPv6 one without duplicate detection."""
    text, _, length_text = address.partition("/")
    family, raw = address_bytes(text)
    length = int(length_text) if length_text else len(raw) * 8
    body = _IFADDR.pack(family, length, IFA_F_NODAD if family == AF_INET6 else 0, 0, index)
    body += attribute(IFA_LOCAL, raw) + attribute(IFA_ADDRESS, raw)
    if family == AF_INET:
        body += _broadcast(raw, length)
    return Message(RTM_NEWADDR, _CREATE, body, f"adding the address {address} to {name}")


def delete_address(index: int, name: str, address: str) -> Message:
    """Take ``address`` (with prefix length) from a link."""
    text, _, length = address.partition("/")
    family, raw = address_bytes(text)
    body = _IFADDR.pack(family, int(length or len(raw) * 8), 0, 0, index) + attribute(IFA_LOCAL, raw)
    return Message(RTM_DELADDR, 0, body, f"removing the address {address} from {name}")


def route(wanted: Route, index: int = 0, *, delete: bool = False) -> Message:
    """A unicast route of the main table, as ``ip route add`` makes it; ``index``: of its interface.

    One with a metric is put beside others of its destination and metric (``ip route prepend``).
    """
    via, source = wanted.via, wanted.source
    if wanted.destination == "default":
        family = af_of(via or source or "")
        length, body = 0, b""
    else:
        text, _, length_text = wanted.destination.partition("/")
        family, raw = address_bytes(text)
        length = int(length_text) if length_text else len(raw) * 8
        body = attribute(RTA_DST, raw)
    scope = RT_SCOPE_LINK if via is None and family == AF_INET else RT_SCOPE_UNIVERSE
    if via is not None:
        body += attribute(RTA_GATEWAY, address_bytes(via)[1])
    if index:
        body += _u32(RTA_OIF, index)
    if source is not None:
        body += attribute(RTA_PREFSRC, address_bytes(source)[1])
    if wanted.metric is not None:
        body += _u32(RTA_PRIORITY, wanted.metric)
    origin = _ORIGINS[wanted.protocol]
    head = _RTMSG.pack(family, length, 0, 0, RT_TABLE_MAIN, origin, scope, RTN_UNICAST, 0)
    words = f"the route {wanted.destination}" + (f" via {via}" if via else "")
    if delete:
        return Message(RTM_DELROUTE, 0, head + body, f"removing {words}")
    flags = _CREATE if wanted.metric is None else NLM_F_CREATE
    return Message(RTM_NEWROUTE, flags, head + body, f"adding {words}")


def get_route(address: str, index: int) -> Message:
    """Look up the route to an address on a link; see :func:`netlab.kernel.netlink.dump.is_local`."""
    family, raw = address_bytes(address)
    body = _RTMSG.pack(family, len(raw) * 8, 0, 0, 0, 0, 0, 0, 0) + attribute(RTA_DST, raw)
    body += _u32(RTA_OIF, index)
    return Message(RTM_GETROUTE, 0, body, f"asking for the route to {address}")


def permanent_neighbour(index: int, address: str, mac: bytes) -> Message:
    """Set the MAC of an address permanently; such entries do not count in gc_thresh3."""
    family, raw = address_bytes(address)
    body = _NDMSG.pack(family, index, NUD_PERMANENT, 0, 0) + attribute(NDA_DST, raw)
    body += attribute(NDA_LLADDR, mac)
    return Message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body, f"adding the neighbour {address}")
