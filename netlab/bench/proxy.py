"""The userland proxy beside the real docker-proxy, both idle but for the one that is measured."""

from __future__ import annotations

import os
import re
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from netlab.bench.frame import (
    Effort,
    Measure,
    NoYardstick,
    Result,
    Samples,
    at_least,
    at_most,
    faster,
    interleaved,
    timed,
)
from netlab.bench.proxyfield import (
    BULK,
    CONTAINER,
    ECHO,
    HOST,
    HTTP,
    SINK,
    SOURCE,
    Field,
    field,
)
from netlab.kernel import netns
from netlab.lab.cost.usage import cpu_seconds, discard, private_bytes, send_zeros, zeros_of
from netlab.lab.services.proxies import Proxies
from netlab.model.errors import Unmeasured
from netlab.model.plan import Backend, Listener

DOCKER_PROXY = "/usr/sbin/docker-proxy"
PORTS = (HTTP, ECHO, SOURCE, SINK)
#: Added to a container port: where netlab's proxy and the real one listen.
OURS, THEIRS = 10000, 20000
#: Connections of one serial sample, round trips of one latency sample.
CONNECTIONS, ROUND_TRIPS = 400, 2000
#: The number of netlab's listeners whose memory is measured together; a few are enough for the real proxy.
MANY, FEW = 500, 5
#: Listeners that are started together, as bringing up a container does.
AT_ONCE = 20
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def run(effort: Effort) -> Iterator[Result]:
    """Rates, latency, bulk, start and memory; raises NoYardstick without docker-proxy or wrk."""
    for tool, package in ((DOCKER_PROXY, "docker.io"), ("wrk", "wrk")):
        if shutil.which(tool) is None:
            raise NoYardstick(f"{tool} is not installed: apt-get install {package}")
    with field() as made:
        ours = made.proxies("shared", [(OURS + port, port) for port in PORTS])
        theirs = made.proxies(DOCKER_PROXY, [(THEIRS + port, port) for port in PORTS])
        share = Effort(effort.rounds, effort.seconds / 8, effort.quick)
        yield from _rates(made, share)
        yield from _bulk(made, share, ours.pids(), theirs.pids())
        yield _start(made, share, ours)
        yield _memory(made, ours)


def _rates(made: Field, effort: Effort) -> Iterator[Result]:
    what: list[tuple[str, Callable[[int], float]]] = [
        ("proxy: new connections, one after another", partial(serial, made))
    ]
    for count in (16,) if effort.quick else (16, 64, 256):
        what += [
            (f"proxy: new connections, {count} at once", partial(wrk, made, count, close=True)),
            (f"proxy: keep-alive requests, {count} at once", partial(wrk, made, count, close=False)),
        ]
    for name, sample in what:
        samples = interleaved(effort, *_both(sample))
        yield samples.result(name, "docker-proxy", at_least(1.0), unit="/s")
    ours, theirs = _both(lambda base: latency(made, base))
    yield interleaved(effort, ours, theirs).result("proxy: round trip, p50", "docker-proxy", at_most(1.0))


def _both(sample: Callable[[int], float]) -> tuple[Measure, Measure]:
    return (lambda: sample(OURS)), (lambda: sample(THEIRS))


def _connect(made: Field, port: int) -> socket.socket:
    with netns.entered(made.client):
        sock = socket.socket()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.connect((HOST, port))
    return sock


def serial(made: Field, base: int) -> float:
    """Connections a second, each with one request and its answer."""
    buffer = bytearray(4096)
    with netns.entered(made.client):
        start = time.perf_counter()
        for _ in range(CONNECTIONS):
            sock = socket.socket()
            sock.connect((HOST, base + HTTP))
            sock.send(REQUEST)
            while sock.recv_into(buffer):
                pass
            sock.close()
        return CONNECTIONS / (time.perf_counter() - start)


def wrk(made: Field, count: int, base: int, *, close: bool) -> float:
    """Requests a second that wrk makes in one second over ``count`` connections at once."""
    header = ["-H", "Connection: close"] if close else []
    with netns.entered(made.client):
        done = subprocess.run(
            ["wrk", "-t1", f"-c{count}", "-d1s", *header, f"http://{HOST}:{base + HTTP}/"],
            check=True,
            capture_output=True,
            text=True,
        )
    found = re.search(r"Requests/sec:\s+([0-9.]+)", done.stdout)
    if found is None:
        raise Unmeasured(f"wrk says nothing of requests: {done.stdout}")
    return float(found[1])


def latency(made: Field, base: int) -> float:
    """The median round trip of 64 bytes over one connection, seconds."""
    data, buffer = b"x" * 64, bytearray(64)
    times = []
    with _connect(made, base + ECHO) as sock:
        for _ in range(ROUND_TRIPS):
            start = time.perf_counter()
            sock.send(data)
            sock.recv_into(buffer)
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def bulk(made: Field, base: int, pids: Sequence[int], *, up: bool, zeros: int) -> tuple[float, float]:
    """One transfer: Gbit/s, and the proxy's processor seconds per GB."""
    buffer = bytearray(1 << 20)
    before = cpu_seconds(pids)
    start = time.perf_counter()
    with _connect(made, base + (SINK if up else SOURCE)) as sock:
        if up:
            send_zeros(sock, zeros, BULK)
            sock.shutdown(socket.SHUT_WR)
            got = int.from_bytes(sock.recv(8))
        else:
            sock.send(b".")
            got = discard(sock, buffer)
    taken = time.perf_counter() - start
    if got != BULK:
        raise Unmeasured(f"{got} of {BULK} bytes came through the proxy on port {base}")
    return BULK * 8 / taken / 1e9, (cpu_seconds(pids) - before) / BULK * 1e9


def _bulk(made: Field, effort: Effort, ours: Sequence[int], theirs: Sequence[int]) -> Iterator[Result]:
    zeros = zeros_of(BULK)
    for direction in ("up", "down"):
        cost: dict[int, list[float]] = {OURS: [], THEIRS: []}

        def sample(base: int, up: bool = direction == "up", cost: dict[int, list[float]] = cost) -> float:
            rate, cpu = bulk(made, base, ours if base == OURS else theirs, up=up, zeros=zeros)
            cost[base].append(cpu)
            return rate

        samples = interleaved(effort, *_both(sample))
        yield samples.result(f"proxy: bulk {direction}", "docker-proxy", at_least(1.0), unit="Gbit/s")
        costs = Samples(tuple(cost[OURS][1:]), tuple(cost[THEIRS][1:]))  # the first ones only warmed up
        yield costs.result(f"proxy: CPU s per GB {direction}", "docker-proxy", at_most(0.75))
    os.close(zeros)


def _listener(port: int) -> Listener:
    return Listener("tcp", "0.0.0.0", port, None, "docker-proxy", Backend(CONTAINER, HTTP))


def _start(made: Field, effort: Effort, ours: Proxies) -> Result:
    """The listeners of ten published ports, both families, until all are bound; reported for one of them."""
    theirs = Proxies(made.host, DOCKER_PROXY)
    listeners = [
        Listener("tcp", address, port, v6only, "docker-proxy", Backend(CONTAINER, HTTP))
        for port in range(9000, 9000 + AT_ONCE // 2)
        for address, v6only in (("0.0.0.0", None), ("::", True))
    ]

    def remove() -> None:
        for listener in listeners:
            ours.remove(listener)

    start = timed(lambda: ours.add(*listeners), remove)
    other = timed(lambda: theirs.add(*listeners), theirs.close)
    samples = interleaved(effort, lambda: start() / AT_ONCE, lambda: other() / AT_ONCE)
    name = f"proxy: one more listener, {AT_ONCE} at once, until bound"
    return samples.result(name, "docker-proxy", faster(50))


def _memory(made: Field, ours: Proxies) -> Result:
    """Private memory of one more listener: the growth of its process, or of the shared one."""
    before = private_bytes(ours.pids())
    ours.add(*map(_listener, range(30000, 30000 + MANY)))
    mine = (private_bytes(ours.pids()) - before) / MANY
    theirs = made.proxies(DOCKER_PROXY, [(31000 + number, HTTP) for number in range(FEW)])
    other = private_bytes(theirs.pids()) / FEW
    goal = faster(50)
    return Result(
        "proxy: memory of one more listener",
        "docker-proxy",
        mine,
        other,
        goal.ratio(max(mine, 1.0), other),
        goal,
        "bytes",
    )
