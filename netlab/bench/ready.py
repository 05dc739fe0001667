"""Ready means ready: the first connection to every container, over IPv4 and IPv6, at once after bring-up.

Without care, first SYNs are lost: a bridge port forwards only after the kernel's link watch has seen it, up
to a second later, and each lost SYN costs a retransmission timeout.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from time import perf_counter

from netlab.bench.frame import Effort, Result, at_most
from netlab.bench.labs import plan_of, state_of_its_own
from netlab.kernel import netns
from netlab.lab.lab import Lab
from netlab.model.errors import LabError
from netlab.model.family import Family, bare
from netlab.model.plan import Plan

GOAL = 0.5
"""The slowest first connection, at most this many retransmission timeouts: so, without any."""

RETRANSMISSION = 1.0  # seconds: TCP's initial timeout (RFC 6298, section 2)
TOTAL_RETRANSMITS = 100  # offset of tcpi_total_retrans in struct tcp_info (linux/tcp.h)
SIZES = (100, 1000)


def addresses(plan: Plan) -> list[str]:
    """Every container's addresses, all of IPv4 first."""
    found = [
        bare(address)
        for node in plan.nodes
        if node.kind == "container"
        for interface in node.interfaces
        for address in interface.addresses
    ]
    return sorted(found, key=lambda address: (Family.of(address), address))


def connect(address: str) -> tuple[float, int]:
    """Seconds for one connection to port 80, and the retransmissions that it took; raises LabError."""
    with socket.socket(Family.of(address).af, socket.SOCK_STREAM) as wire:
        wire.settimeout(10)
        start = perf_counter()
        try:
            wire.connect((address, 80))
        except OSError as error:
            raise LabError(f"the first connection to {address} failed: {error}") from error
        taken = perf_counter() - start
        information = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TOTAL_RETRANSMITS + 4)
    return taken, struct.unpack_from("=I", information, TOTAL_RETRANSMITS)[0]


def first_connections(plan: Plan) -> tuple[float, int, int]:
    """A lab, and from its host one connection to every address: (slowest, retransmissions, connections)."""
    with Lab(plan=plan) as lab, netns.entered(lab.namespaces["host"]):
        answers = [connect(address) for address in addresses(plan)]
    return max(taken for taken, _ in answers), sum(again for _, again in answers), len(answers)


def run(effort: Effort) -> Iterator[Result]:
    """One line for each size."""
    with state_of_its_own() as folder:
        for size in SIZES[:1] if effort.quick else SIZES:
            plan = plan_of(size, folder)
            slowest, again, count = first_connections(plan)
            if count != 2 * size:
                raise LabError(f"{count} connections for {size} containers: an address is missing")
            yield Result(
                f"slowest first connection, {size} containers",
                "one lost SYN",
                slowest,
                RETRANSMISSION,
                at_most(GOAL).ratio(slowest, RETRANSMISSION) + again,
                at_most(GOAL),
                note=f"{count} connections, {again} retransmissions",
            )
