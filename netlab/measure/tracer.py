"""The instrument in one namespace: tables, trace socket, assembler, rules, canaries."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netlab.journey.headers import UDP, key_of_sections, make_key
from netlab.journey.hook_passes import Assembler, HookPass
from netlab.journey.topology import TracedNode
from netlab.kernel import netns as namespaces
from netlab.kernel.netlink import interfaces
from netlab.kernel.netlink.nf_tables import Tables
from netlab.kernel.trace.handles import RuleBook
from netlab.kernel.trace.nftrace import TraceSocket
from netlab.kernel.trace.table import CANARY_MARK, FIRST, WIDE_FAMILIES, TraceTable
from netlab.kernel.trace.table import FAMILIES as TABLES
from netlab.model.errors import MachineError
from netlab.model.family import FAMILIES, Family
from netlab.model.trace import BaseChain, Layout, Step, TraceFault

_SO_MARK: Final = 36
#: a canary is always reported, and dropped at once by netlab's first chain, within its own sendto
_CANARY_PORT: Final = 9


@dataclass(frozen=True, slots=True)
class _TraceListener:
    """A sink that passes everything on directly."""

    step: Callable[[int, Step], None]
    packet: Callable[[int, Step, Layout, bytes], None]
    fault: Callable[[TraceFault], None]


class Tracer:
    """Traces one namespace until :meth:`close`.

    ``on_drop`` is called for every packet that a rule or policy ended, as soon as it is read. Raises
    MachineError if the kernel has no nftables tracing.
    """

    def __init__(
        self,
        node: str,
        netns: int,
        on_drop: Callable[[HookPass], None],
        announce: Callable[[str], None] = lambda _: None,
        *,
        wide: bool = False,
    ) -> None:
        self.node = node
        self.netns = netns
        self.faults: list[TraceFault] = []
        self._wide = wide
        self._announce = announce
        self.table = self._make_table(FIRST)
        try:
            self.socket = TraceSocket(netns)
            self.tables = Tables(netns)
            self._links = interfaces.LinkMonitor(netns)
        except BaseException:
            self.table.close()
            raise
        self.rules = RuleBook(netns, self.tables)
        self.assembler = Assembler(node, (), on_drop)
        self.facts = TracedNode(node)
        self.generation = 0
        self._canaries = self._canary_sockets()
        self._sent = 0
        self._awaited: set[bytes] = set()
        self._ears = _TraceListener(self.assembler.step, self.assembler.packet, self.fault)
        self.refresh()

    def _make_table(self, first: int) -> TraceTable:
        if not self._wide:
            return TraceTable(self.netns, announce=self._announce, first=first)
        devices = tuple(link.name for link in interfaces.read(self.netns).values())
        try:
            return TraceTable(self.netns, WIDE_FAMILIES, self._announce, devices=devices, first=first)
        except MachineError:  # a kernel without hooks for devices, or for ARP
            return TraceTable(self.netns, TABLES, self._announce, devices=devices, first=first)

    def _be_first(self) -> None:
        """Stand in front of others' chains at the lowest priority: of two equal ones the newer is first."""
        for chain in self.tables.base_chains():
            if chain.hook in ("prerouting", "output") and chain.priority <= FIRST and not chain.own:
                self.table.close()
                self.table = self._make_table(-(1 << 31))
                return

    def refresh(self) -> None:
        """Read again what the trace refers to: base chains, interfaces, the ruleset's generation."""
        self._be_first()
        self.generation = self.tables.generation()
        chains = [self._mine(chain) for chain in self.tables.base_chains()]
        self.assembler.learn(chains)
        found = interfaces.read(self.netns)
        self.facts = TracedNode(
            self.node,
            {index: link.name for index, link in found.items()},
            frozenset(link.mac for link in found.values() if link.mac.strip(b"\0")),
            {(chain.family, chain.table, chain.name): chain for chain in chains},
        )

    def _mine(self, chain: BaseChain) -> BaseChain:
        """Another session's instrument is neither this one nor part of the host's rules."""
        if chain.own and chain.table != self.table.name:
            return replace(chain, own="other")
        return chain

    def changed(self) -> bool:
        """Whether the ruleset is another one than at the last :meth:`refresh`."""
        return self.tables.generation() != self.generation

    def stale(self) -> bool:
        """Whether the rules or the interfaces are others than at the last :meth:`refresh`."""
        renamed = self._links.changed()
        return self.changed() or renamed

    def fileno(self) -> int:
        """For a poll."""
        return self.socket.fileno()

    def drain(self) -> int:
        """Take in what waits; how many events there were."""
        return self.socket.drain(self if self._awaited else self._ears)

    # -- events of the socket while a canary is awaited; otherwise, the assembler gets them directly

    def step(self, number: int, step: Step) -> None:
        """A packet met a rule or policy."""
        self.assembler.step(number, step)

    def packet(self, number: int, step: Step, layout: Layout, body: bytes) -> None:
        """A packet entered a base chain: a canary, or another."""
        self._awaited.discard(key_of_sections(*layout.sections(body)) or b"")
        self.assembler.packet(number, step, layout, body)

    def fault(self, fault: TraceFault) -> None:
        """A message was lost, or not understood."""
        self.faults.append(fault)

    # -- canaries

    def _canary_sockets(self) -> dict[Family, socket.socket]:
        """A socket for each family, to the loopback address, or another address of the namespace if loopback
        is down.
        """
        links = interfaces.read(self.netns).values()
        own = [bare for link in links for bare in link.addresses if not bare.startswith("fe80:")]
        found = {}
        with namespaces.entered(self.netns):
            for family in FAMILIES:
                for address in (family.loopback, *(one for one in own if Family.of(one) is family)):
                    sock = _canary_socket(family, address)
                    if sock is not None:
                        found[family] = sock
                        break
        return found

    def send_canaries(self) -> tuple[Family, ...]:
        """Send a canary a family; all events of before it are in the receive buffer when it is.

        Returns the families in which one could be sent.
        """
        self._sent += 1
        sung = []
        for family, sock in self._canaries.items():
            port = 1 + self._sent % 60000
            src, sport = sock.getsockname()[:2]
            dst = sock.getpeername()[0]
            try:
                sock.sendto(b"canary", (dst, port))
            except PermissionError:
                pass  # dropped by netlab's own chain, as intended
            except OSError:
                continue
            self._awaited.add(make_key(UDP, src, sport, dst, port))
            sung.append(family)
        return tuple(sung)

    @property
    def problem(self) -> str:
        """The first fault, in words; empty if there was none."""
        if not self.faults:
            return ""
        return f"trace of {self.node}: {self.faults[0].kind}: {self.faults[0].detail}"

    @property
    def silent(self) -> bool:
        """Whether a canary is still missing."""
        return bool(self._awaited)

    def forget(self) -> None:
        """Drop the hook passes, faults and canaries of a measurement."""
        self.assembler.clear()
        self.faults.clear()
        self._awaited.clear()

    def close(self) -> None:
        """Remove the instrument; idempotent."""
        for sock in self._canaries.values():
            sock.close()
        self._canaries.clear()
        self.socket.close()
        self.tables.close()
        self._links.close()
        self.table.close()


def _canary_socket(family: Family, address: str) -> socket.socket | None:
    """A marked datagram socket to ``address``; None if no packet could go there from this namespace."""
    sock = socket.socket(family.af, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    sock.setsockopt(socket.SOL_SOCKET, _SO_MARK, CANARY_MARK)
    try:
        sock.connect((address, _CANARY_PORT))
    except OSError:
        sock.close()
        return None
    return sock


def close_all(tracers: Sequence[Tracer]) -> None:
    """Close every one."""
    for tracer in tracers:
        tracer.close()
