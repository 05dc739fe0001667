"""What the kernel knows besides the trace, queried only if the trace leaves something open."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from netlab.journey.doubt import conclude, refusing
from netlab.journey.evidence import PacketPaths, ProbeResult, silent_for_many
from netlab.journey.headers import PROTOCOLS, endpoints
from netlab.journey.hook_passes import HookPass
from netlab.journey.topology import Topology
from netlab.kernel import beside, neighbours, process
from netlab.kernel import netns as namespaces
from netlab.kernel.netlink import route, sockdiag
from netlab.kernel.netlink.nf_tables import Tables
from netlab.model.family import Family
from netlab.model.flow import Flow

_TABLE_FULL: Final = (
    "the machine's table of {0} neighbours was full, so a packet was lost that no rule dropped:"
    " raise net.{0}.neigh.default.gc_thresh3"
)

#: of a route that is unreachable, of none, and of one that is prohibited; a blackhole sends none
_ERRORS_OWED: Final = tuple(map(os.strerror, (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES)))
_NO_FORWARDING: Final = ", but net.ipv6.conf.all.forwarding is 0"


def way_after(end: HookPass, netns: int, facts: Topology) -> str:
    """The routing table's answer for a packet that left PREROUTING (whose ``left`` is known)."""
    assert end.left is not None
    (src, sport), (dst, dport) = endpoints(end.left)
    name = facts.traced[end.node].interface(end.iif)
    iif = None if end.iif is None or name is None else (end.iif, name)
    return route.lookup(netns, src, dst, iif, mark=end.mark, protocol=end.left[1], ports=(sport, dport))


def _of_many(way: str) -> bool:
    """Whether the routing table says of a packet that it is for several machines."""
    return way.rpartition(": ")[2].split(" ")[0] in ("broadcast", "multicast")


class Inquiry:
    """Answers about the nodes of one measurement; each query is made once."""

    def __init__(self, places: Mapping[str, int], facts: Topology, fulls: Mapping[Family, int]) -> None:
        """``places``: node → descriptor of its network namespace; ``fulls``: the earlier result of
        ``table_fulls()``.
        """
        self._fulls = fulls
        self._places = places
        self._facts = facts
        self._others: dict[str, list[str]] = {}
        self._guarded: dict[tuple[str, Family], str] = {}
        self._listening: dict[tuple[str, str], Mapping[tuple[str, int], int]] = {}

    def look(self, flow: Flow, result: ProbeResult, paths: PacketPaths) -> None:
        """Record whether a socket listens where the packet arrived.

        If netlab's own server should have one but does not, the flow is unmeasured, because the server is
        gone.
        """
        place = self._arrived(flow, result, paths)
        if place is None:
            return
        node, address, port = place
        home = self._facts.namespace(node)
        socket = self._waiting(home, flow.protocol)
        found = socket.get((address, port)) or socket.get((Family.of(address).any, port))
        server = self._facts.answers_itself(node, flow.protocol, address, port)
        result.listens = node if found is not None else ""
        # A socket that listens refuses a segment that begins nothing, too.
        if (found is None or result.probe == "segment") and result.outcome in ("refused", "unreachable"):
            result.guarded = self._guards(home, flow.family)
        if server and found is None:
            gone = f"the lab's {server} of {node} is gone: nothing listens on {port}/{flow.protocol} there"
        elif (
            server and found is not None and result.outcome in ("timeout", "closed") and self._stopped(found)
        ):
            gone = f"the lab's {server} of {node} is stopped and does not answer"
        else:
            return
        result.outcome, result.problem = "unmeasured", gone

    def _guards(self, node: str, family: Family) -> str:
        """Rules of a node that may refuse a packet, and that this instrument does not trace."""
        if (node, family) not in self._guarded:
            found = beside.legacy(self._places[node], family)
            if node not in self._facts.traced_nodes:
                tables = Tables(self._places[node])
                with contextlib.closing(tables):
                    words = ("inet", family.nft)
                    own = [c for c in tables.base_chains() if not c.own and c.family in words]
                found += [f"{chain.family} {chain.table} {chain.name}" for chain in own]
            self._guarded[node, family] = f"{found[0]} of {node}" if found else ""
        return self._guarded[node, family]

    def _arrived(self, flow: Flow, result: ProbeResult, paths: PacketPaths) -> tuple[str, str, int] | None:
        """Node, address and port to which the packet finally went, if that is a node of the lab."""
        passes = paths.proxied or paths.forth
        key = (passes[-1].left or passes[-1].key) if passes else result.key
        if key is None or flow.protocol == "icmp":
            return None
        address, port = endpoints(key)[1]
        here = passes[-1].node if passes else self._facts.namespace(flow.origin)
        node = here if passes and passes[-1].hook == "input" else self._facts.owner(address, here)
        if node is None or self._facts.namespace(node) not in self._places:
            return None
        return node, address, port

    @staticmethod
    def _stopped(inode: int) -> bool:
        """Whether every process that holds a socket is stopped (a signal, a debugger) or dead."""
        return all(process.state(pid) in "TtZX" for pid in sockdiag.holders(inode))

    def explain(self, flow: Flow, result: ProbeResult, paths: PacketPaths, reason: str) -> None:
        """Record what is unproven, and what else may have decided where the packet was lost."""
        if result.outcome != "ok" and self._lacked_room(flow.family):
            result.outcome, result.problem = "unmeasured", _TABLE_FULL.format(flow.family.word)
            return
        if result.outcome == "timeout" and self._turned_away(result, paths):
            return
        if self._not_taken(flow, result, paths):
            return
        silence = self._silence(paths) if result.outcome == "timeout" else ""
        if silence:
            result.silence, result.lost_in = silence, paths.forth[-1].node
            return
        conclude(flow, result, paths, self._facts, reason)
        if result.lost:
            where = self._facts.namespace(result.lost_in or flow.origin)
            others = [f"{one} of {node}" for node in self._around(where, paths) for one in self._beside(node)]
            if others:
                result.lost += f"; beside nftables' own rules there are {', '.join(others)}"

    def withheld(self, way: str, end: HookPass) -> bool:
        """Whether the kernel owes an ICMP error, because the routing table refused a packet to forward.

        IPv4 sends five of these to an address, then one a second (``ip_error`` in net/ipv4/route.c, by
        net.ipv4.route.error_burst and error_cost of the machine, which no namespace has of its own).
        """
        if end.left is None or end.left[0] != 4 or way.rpartition(": ")[2] not in _ERRORS_OWED:
            return False
        name = self._facts.traced[end.node].interface(end.iif)
        with namespaces.entered(self._places[self._facts.namespace(end.node)]):
            setting = Path(f"/proc/sys/net/ipv4/conf/{name}/forwarding")
            return setting.exists() and setting.read_text().strip() != "0"

    def lost_answer(self, result: ProbeResult, paths: PacketPaths) -> None:
        """Record the route that a packet by hand, or its answer, did not find, if that is why none came."""
        if not refusing(result.route) and not result.silence:
            self._turned_away(result, paths)

    def found_nobody(self, last: HookPass) -> bool:
        """Whether a packet that left a node still waits there for a neighbour to answer."""
        if last.left is None:
            return False
        netns = self._places[self._facts.namespace(last.node)]
        (src, _), (dst, _) = endpoints(last.left)
        words = route.lookup(netns, src, dst, None, mark=last.mark).rpartition(": ")[2].split(" ")
        hop = words[words.index("via") + 1] if "via" in words else dst
        return hop in neighbours.unresolved(netns)

    def _lacked_room(self, family: Family) -> bool:
        """Whether the machine had no room for a neighbour since the flows were sent."""
        return neighbours.table_fulls().get(family, 0) > self._fulls.get(family, 0)

    def _turned_away(self, result: ProbeResult, paths: PacketPaths) -> bool:
        """Record it if the routing table of the last node refused the packet, or its answer."""
        answer = paths.returned or paths.back
        passes = answer or paths.proxied or paths.forth
        if not passes:
            return False
        end = passes[-1]
        if end.left is None:
            return False
        netns = self._places[self._facts.namespace(end.node)]
        (src, sport), (dst, dport) = endpoints(end.left)
        if answer:
            if end.hook != "prerouting":
                return False
            found = way_after(end, netns, self._facts)
            if not refusing(found):
                return False
            result.route, result.answer_turned_away = found, True
        elif end.hook == "prerouting" and result.route is not None and ": unicast" in result.route:
            if ":" not in dst or _forwards(netns):
                return False
            if not result.route.endswith(_NO_FORWARDING):  # it may be looked at twice
                result.route += _NO_FORWARDING
        elif end.hook == "input" and _of_many(way_after(end, netns, self._facts)):
            result.silence = silent_for_many(end.node)
        elif end.hook == "input":
            found = route.lookup(netns, dst, src, None, protocol=end.left[1], ports=(dport, sport))
            if not refusing(found):
                return False
            result.route, result.answer_turned_away = found, True
        else:
            return False
        result.lost_in = end.node
        return True

    def _not_taken(self, flow: Flow, result: ProbeResult, paths: PacketPaths) -> bool:
        """Record why an accepted connection got no data, or a datagram no answer, if no packet tells.

        Either no program took it from the kernel, or the proxy that took it has no route to its container.
        """
        place = self._arrived(flow, result, paths)
        end = (paths.proxied or paths.forth)[-1:]
        delivered = bool(end) and end[0].hook == "input" and end[0].left is not None and not paths.back
        expected = {"tcp": result.outcome == "closed", "udp": result.outcome == "timeout" and delivered}
        if place is None or not expected.get(flow.protocol):
            return False
        node, address, port = place
        with namespaces.entered(self._places[self._facts.namespace(node)]):
            waiting = sockdiag.unread(flow.protocol)
        sockets = [(address, port), (Family.of(address).any, port), (Family.IPV6.any, port)]
        number = next((waiting[one] for one in sockets if one in waiting), 0)
        if number:
            who = self._facts.holder(node, flow.protocol, address, port)
            what = "accepts no connection" if flow.protocol == "tcp" else "reads no datagram"
            lying = f"{number} are waiting" if flow.protocol == "tcp" else f"{number} octets are waiting"
            result.lost_in = node
            result.silence = (
                f"{who} of {node} only holds port {port} and {what}"
                if who
                else f"a program on {node} has port {port} and {what} ({lying})"
            )
            return True
        backend = self._facts.backend(node, flow.protocol, address, port)
        if backend is None or paths.proxied:
            return False
        found = route.lookup(
            self._places[self._facts.namespace(node)],
            Family.of(backend.address).any,
            backend.address,
            None,
            protocol=PROTOCOLS[flow.protocol],
            ports=(0, backend.port),
        )
        if refusing(found):
            result.route, result.lost_in = found, node
        return refusing(found)

    def _silence(self, paths: PacketPaths) -> str:
        """A neighbour that was searched for and did not answer."""
        end = paths.forth[-1] if paths.forth and not (paths.back or paths.proxied) else None
        if end is None or end.hook != "postrouting" or end.left is None:
            return ""
        node, address = end.node, endpoints(end.left)[1][0]
        silent = neighbours.unresolved(self._places[self._facts.namespace(node)])
        if address in silent and self._facts.owner(address, node) is None:
            return f"no neighbour of {node} has the address {address}"
        return ""

    def _around(self, node: str, paths: PacketPaths) -> list[str]:
        """The node where the packet was last seen, and the node to which it went."""
        passes = paths.returned or paths.back or paths.proxied or paths.forth
        end = passes[-1] if passes else None
        to = None
        if end is not None and end.hook == "postrouting" and end.left is not None:
            to = self._facts.owner(endpoints(end.left)[1][0], node)
        found = [node] if to is None else [node, self._facts.namespace(to)]
        return [one for one in dict.fromkeys(found) if one in self._places]

    def _beside(self, node: str) -> list[str]:
        if node not in self._others:
            self._others[node] = beside.beside(self._places[node])
        return self._others[node]

    def _waiting(self, node: str, protocol: str) -> Mapping[tuple[str, int], int]:
        found = self._listening.get((node, protocol))
        if found is None:
            with namespaces.entered(self._places[node]):
                found = dict(sockdiag.waiting(protocol))
            self._listening[node, protocol] = found
        return found


def _forwards(netns: int) -> bool:
    """Whether a namespace forwards IPv6 (Linux does not say so in the routing table's answers)."""
    with namespaces.entered(netns):
        return Path("/proc/sys/net/ipv6/conf/all/forwarding").read_text().strip() != "0"
