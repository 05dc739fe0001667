"""The matrix: who can reach what, drops included, beside plain sockets; and many variants beside one."""

from __future__ import annotations

import itertools
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from netlab.bench.frame import Effort, NoYardstick, Result, at_most, interleaved
from netlab.bench.labs import state_of_its_own
from netlab.bench.startup import netlab, run_quietly
from netlab.engine import NAMES
from netlab.journey.matrix import matrix
from netlab.kernel import netns
from netlab.lab.lab import Lab
from netlab.measure.session import Session
from netlab.model.errors import LabError, Unmeasured
from netlab.model.flow import Flow

SOCKETS, VARIANTS = 1.5, 20.0
SEED = Path(__file__).parents[2] / "scenarios" / "httpd.yaml"
FIREWALLS = ("none", "ufw", "firewalld")
_REQUEST = b"GET / HTTP/1.1\r\nHost: netlab\r\nConnection: close\r\n\r\n"


def run(effort: Effort) -> Iterator[Result]:
    """One line for the flows of one lab, one for the variants of a scenario.

    The yardstick of the first connects, sends, reads and closes, one flow after the other, and only for flows
    with an answer; netlab also finds out which flows get none, and by which rule. With ``quick``, there are
    fewer variants, with a goal in proportion.
    """
    if not SEED.exists():
        raise NoYardstick(f"the seed scenario is not there: {SEED}")
    with state_of_its_own() as folder:
        with Lab(SEED) as lab, Session(lab.namespaces, lab.plan) as session:
            flows = [cell.flow for cell in matrix(lab.plan) if cell.flow.protocol == "tcp"]  # as connects are
            journeys = session.measure(flows)
            outcomes: Counter[str] = Counter(journey.outcome for journey in journeys)
            answered = [flow for flow, one in zip(flows, journeys, strict=True) if one.outcome == "ok"]
            if not outcomes["timeout"] or not answered:
                raise LabError(f"the matrix has no drop, or no answer: {dict(outcomes)}")
            as_many = list(itertools.islice(itertools.cycle(answered), len(flows)))
            samples = interleaved(
                Effort(5 * effort.rounds, effort.seconds, effort.quick),
                partial(ours, session, flows, outcomes),
                partial(connects, lab, as_many),
            )
            yield samples.result(
                f"matrix of {len(flows)} flows, {outcomes['timeout']} dropped",
                "connects alone",
                at_most(SOCKETS),
                note=", ".join(f"{count} {word}" for word, count in sorted(outcomes.items())),
            )
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "NETLAB_STATE": f"{folder}/state"}
        engines, firewalls = (NAMES[-2:], FIREWALLS[:2]) if effort.quick else (NAMES, FIREWALLS)
        count = 2 * len(engines) * len(firewalls)
        samples = interleaved(
            effort.fewer(3), partial(variants, engines, firewalls, environment), partial(single, environment)
        )
        yield samples.result(
            f"matrix of {count} variants", "the single one", at_most(VARIANTS * count / (2 * 8 * 3))
        )


def ours(session: Session, flows: Sequence[Flow], expected: Counter[str]) -> float:
    """Seconds to measure all flows; raises Unmeasured if they end otherwise than the first time."""
    start = time.perf_counter()
    journeys = session.measure(flows)
    taken = time.perf_counter() - start
    outcomes: Counter[str] = Counter(journey.outcome for journey in journeys)
    if outcomes != expected:
        raise Unmeasured(f"the matrix ended {dict(outcomes)}, and before {dict(expected)}")
    return taken


def connects(lab: Lab, flows: Sequence[Flow]) -> float:
    """Seconds for the same number of connections by plain sockets."""
    namespaces = lab.namespaces
    start = time.perf_counter()
    for flow in flows:
        with netns.entered(namespaces[flow.origin]):
            wire = socket.socket(flow.family.af, socket.SOCK_STREAM)
        with wire:
            wire.settimeout(10)
            wire.connect((flow.address, flow.port))
            wire.sendall(_REQUEST)
            received = b""
            while data := wire.recv(1 << 16):
                received += data
        if not received:
            raise LabError(f"{flow} was not answered")
    return time.perf_counter() - start


def single(environment: dict[str, str]) -> float:
    """Seconds for ``netlab matrix`` of the seed as it is."""
    start = time.perf_counter()
    run_quietly(netlab("matrix", str(SEED)), environment)
    return time.perf_counter() - start


def variants(engines: Sequence[str], firewalls: Sequence[str], environment: dict[str, str]) -> float:
    """Seconds for ``netlab matrix`` of every engine, with and without its proxy, and each firewall."""
    options = [word for name in engines for word in ("--engine", name)]
    options += [word for name in firewalls for word in ("--firewall", name)]
    start = time.perf_counter()
    run_quietly(netlab("matrix", str(SEED), *options, "--daemon", "userland-proxy=both"), environment)
    return time.perf_counter() - start
