"""Bring-up: a whole plan applied, beside ``ip -batch`` that makes namespaces and links only.

Ours has addresses and routes of both families, MACs, settings, rules for a published port a container,
and a listening socket in each; the yardstick has ``netns add`` and one ``link add`` a container.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial

from netlab.bench.drain import settle
from netlab.bench.frame import Effort, Result, absolute, at_most, interleaved
from netlab.bench.plans import published, star
from netlab.kernel import libc, netns, process
from netlab.lab.build.apply import Applied, apply
from netlab.model.errors import LabError
from netlab.model.family import Family, bare
from netlab.model.plan import Plan

RATIO = 1.3
#: A bridge takes 1,023 ports
PER_BRIDGE = 1000
#: A lost first packet is sent again after a second; below that, no first packet was lost.
FIRST_CONNECT = 0.5


def run(effort: Effort) -> Iterator[Result]:
    """Yield a line for each size, one for growth, one for the first connections."""
    sizes = (10, 100) if effort.quick else (10, 100, 1000)
    for size in sizes:
        some = effort if size <= 100 else effort.fewer(3)
        samples = interleaved(some, partial(ours, size), partial(yardstick, size))
        yield samples.result(f"bring-up, {size} containers", "ip -batch", at_most(RATIO))
    large, small = (400, 100) if effort.quick else (4000, 1000)
    growth = interleaved(
        effort.fewer(2), lambda: ours(large) / large, lambda: ours(small) / small, warm=False
    )
    yield growth.result(f"bring-up, a container of {large}", f"a container of {small}", at_most(RATIO))
    yield absolute(
        f"slowest first connect of {sizes[-1]} containers",
        slowest_connect(sizes[-1]),
        FIRST_CONNECT,
        unit="s",
    )


def plan_of(size: int) -> Plan:
    """A plan of ``size`` containers over as many bridges as they need, each with a published port."""
    return star(size, networks=-(-size // PER_BRIDGE), rulesets=(published(size),))


def ours(size: int) -> float:
    """Seconds until a lab of ``size`` containers has its listeners."""
    plan = plan_of(size)
    start = time.perf_counter()
    lab = apply(plan)
    listeners = listen(lab)
    taken = time.perf_counter() - start
    for one in listeners:
        one.close()
    lab.close()
    settle()
    return taken


def listen(lab: Applied) -> list[socket.socket]:
    """A listening socket in each node that has a responder."""
    found = []
    with netns.returning():
        for node in lab.plan.nodes:
            for responder in node.responders:
                netns.enter(lab.namespace_of(node.name))
                found.append(socket.create_server(("::", responder.port), family=socket.AF_INET6, backlog=64))
    return found


def slowest_connect(size: int) -> float:
    """Seconds of the slowest first connection to any container, IPv4 and IPv6, right after bring-up."""
    plan = plan_of(size)
    lab = apply(plan)
    slowest = 0.0
    with netns.entered(lab.namespaces["host"]):
        for node in plan.nodes:
            for address in node.interfaces[0].addresses if node.kind == "container" else ():
                family = Family.of(address).af
                start = time.perf_counter()
                with socket.socket(family) as sock:
                    sock.settimeout(5)
                    code = sock.connect_ex((bare(address), 1))
                if code != 111:  # ECONNREFUSED: nothing listens, so the kernel there has answered
                    raise LabError(f"{node.name} at {address} did not answer: {os.strerror(code)}")
                slowest = max(slowest, time.perf_counter() - start)
    lab.close()
    settle()
    return slowest


def batch(size: int) -> str:
    """The least that ``ip -batch`` can do for the same nodes: namespace, link, bridge port."""
    lines = ["netns add ext", "netns add client", "link add ext0 type veth peer name host netns ext"]
    lines += ["link add name client netns ext type veth peer name eth0 netns client"]
    for bridge in range(-(-size // PER_BRIDGE)):
        lines += [f"link add br{bridge} type bridge", f"link set br{bridge} up"]
    for number in range(size):
        master = number // PER_BRIDGE
        lines += [
            f"netns add c{number}",
            f"link add v{number} master br{master} up type veth peer name eth0 netns c{number}",
        ]
    return "".join(line + "\n" for line in lines)


def yardstick(size: int) -> float:
    """Seconds that ``ip -batch`` takes."""
    text = batch(size).encode()

    def work() -> float:
        start = time.perf_counter()
        done = process.run(["ip", "-batch", "-"], text)
        if done.code:
            raise LabError(f"ip -batch: {done.errors}")
        return time.perf_counter() - start

    taken = in_own_namespaces(work)
    settle()
    return taken


def in_own_namespaces(work: Callable[[], float]) -> float:
    """The number that ``work`` returns, in a child with network and mount namespaces and a /run of its own.

    Everything that it created is released after it returns.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            libc.unshare(libc.CLONE_NEWNET | libc.CLONE_NEWNS)
            libc.mount("none", "/", "", libc.MS_REC | libc.MS_PRIVATE)
            libc.mount("tmpfs", "/run", "tmpfs", 0)
            os.write(write, repr(work()).encode())
        except Exception as error:
            os.write(write, f"!{error}".encode()[:4000])
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        words = file.read()
    os.waitpid(pid, 0)
    if not words or words.startswith("!"):
        raise LabError(f"the yardstick failed: {words[1:]}")
    return float(words)
