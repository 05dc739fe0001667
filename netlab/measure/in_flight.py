"""Probes in flight: one epoll loop over sockets, hand-made packets and traces."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator, Sequence

from netlab.journey.headers import PROTOCOLS, endpoints, make_key
from netlab.kernel.netlink import sockdiag
from netlab.measure.crafted import CraftedProbe, CraftedProbes
from netlab.measure.probes import SocketProbe, StreamProbe
from netlab.measure.tracer import Tracer
from netlab.model.flow import Flow

Probe = SocketProbe | CraftedProbe


class InFlight:
    """Everything in flight: sockets in one epoll, the traces, and hand-made packets."""

    def __init__(self, tracers: Sequence[Tracer], crafted: CraftedProbes) -> None:
        self.poll = select.epoll()
        self.crafted = crafted
        self._tracers = {tracer.fileno(): tracer for tracer in tracers}
        self._flying: dict[int, SocketProbe] = {}
        self.looked = time.monotonic()  #: when it was last seen what had come
        for fd in (*self._tracers, *crafted.begin()):
            self.poll.register(fd, select.EPOLLIN)

    def add(self, probe: SocketProbe) -> None:
        """A probe has left."""
        assert probe.socket is not None
        self._flying[probe.socket.fileno()] = probe
        self.poll.register(probe.socket.fileno(), probe.wants)

    def finish(self, probe: Probe, *, expired: bool = False) -> None:
        """A probe has its answer, or gets none."""
        if expired and probe.result is None:
            probe.expire()
        if isinstance(probe, SocketProbe) and probe.socket is not None:
            fd = probe.socket.fileno()
            if self._flying.pop(fd, None) is not None:
                self.poll.unregister(fd)
                self._ask_sockets(probe)

    def wait(self, seconds: float) -> None:
        """Take in what comes within ``seconds``."""
        found = self.poll.poll(seconds)
        self.looked = time.monotonic()
        for fd, mask in found:
            if fd in self._tracers:
                self._tracers[fd].drain()
            elif (probe := self._flying.get(fd)) is not None:
                wants = probe.wants
                probe.event(mask)
                if probe.result is not None:
                    self.finish(probe)
                elif probe.wants != wants:
                    self.poll.modify(fd, probe.wants)
            elif self.crafted.owns(fd):
                self.crafted.read(fd)

    def _ask_sockets(self, probe: SocketProbe) -> None:
        """If the answer does not say who gave it, query the kernel while the connections exist."""
        if not isinstance(probe, StreamProbe) or not probe.anonymous or probe.key is None:
            return
        assert probe.result is not None
        for tracer in self._tracers.values():
            client, asked = endpoints(probe.key)
            ends = sockdiag.other_ends(tracer.netns, client, asked)
            if len(ends) == 1:
                key = make_key(PROTOCOLS["tcp"], *ends[0].local, *ends[0].remote)
                probe.result.seconds = ((key, None),)
            elif ends:
                probe.ambiguous = True

    def close(self) -> None:
        """Close its own descriptors."""
        self.poll.close()


def rounds(flows: Sequence[Flow], size: int) -> Iterator[Sequence[Flow]]:
    """Flows that may be in flight together: ``size`` at most, and no two from one port of a node."""
    start = 0
    taken: set[object] = set()
    for number, flow in enumerate(flows):
        source = flow.source_port and (flow.origin, flow.family, flow.protocol, flow.source_port)
        if number - start == size or source in taken:
            yield flows[start:number]
            start, taken = number, set()
        if source:
            taken.add(source)
    if start < len(flows):
        yield flows[start:]
