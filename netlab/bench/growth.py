"""Growth: what a lab costs from small to large, with the exponent that fits best.

The exponent is the slope of a straight line through (log size, log seconds), by least squares: 1 is linear.
"Last step" is the slope between the two largest sizes, where fixed costs no longer hide growth. Each point is
the least of several samples, since others only ever add time.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import fmean
from time import perf_counter

from netlab.bench import bringup, rules
from netlab.bench.drain import settle
from netlab.bench.exposure import ruleset
from netlab.bench.frame import Effort, Result, at_most
from netlab.bench.labs import plan_of, state_of_its_own
from netlab.kernel import netns
from netlab.kernel.ruleset import start_iptables
from netlab.lab.lab import Lab
from netlab.measure.session import Session
from netlab.model.family import Family
from netlab.model.flow import Flow, Target

#: What "no faster than linear" leaves to noise.
LINEAR = 1.1
#: Seconds that one sample may take; sizes that would take longer are left out.
LONGEST = 200.0
#: Samples of a point, as long as there is time.
SAMPLES = 3

#: How the name of each line begins.
PREFIX = "growth with "

Point = tuple[int, float]


def run(effort: Effort) -> Iterator[Result]:
    """A line for each kind of size; with ``quick``, without the largest sizes."""
    with state_of_its_own() as folder:
        for name, sizes, work in (
            ("containers", (10, 30, 100, 300, 1000, 4000), bringup.ours),
            ("published ports", (10, 50, 100, 500, 1000, 5000), rules.ours),
            ("administrator's rules", (100, 500, 1000, 5000, 10_000, 50_000), administrators),
            ("flows", (10, 100, 1000, 10_000, 100_000), partial(flows, folder)),
            ("labs", (1, 2, 4, 8, 16, 32, 64), partial(labs, folder)),
        ):
            points = measured(effort, sizes[:-1] if effort.quick else sizes, work)
            yield result(name, points)


def measured(effort: Effort, sizes: Sequence[int], work: Callable[[int], float]) -> list[Point]:
    """The least seconds of each size, as far as time allows; the smallest is done once before."""
    work(sizes[0])
    end = perf_counter() + effort.seconds
    points: list[Point] = []
    for size in sizes:
        if points and points[-1][1] * size / points[-1][0] > LONGEST:
            break
        found = [work(size)]
        while len(found) < SAMPLES and perf_counter() + found[-1] < end:
            found.append(work(size))
        points.append((size, min(found)))
    return points


def exponent(points: Sequence[Point]) -> float:
    """The slope of the line through the logarithms, by least squares."""
    sizes = [math.log(size) for size, _ in points]
    times = [math.log(seconds) for _, seconds in points]
    middle, mean = fmean(sizes), fmean(times)
    above = sum((x - middle) * (y - mean) for x, y in zip(sizes, times, strict=True))
    return above / sum((x - middle) ** 2 for x in sizes)


def result(name: str, points: Sequence[Point]) -> Result:
    """The line of a curve; its note has every point."""
    fitted, last = exponent(points), exponent(points[-2:])
    shown = ", ".join(f"{size:,}: {seconds:.3g} s" for size, seconds in points)
    what = f"{PREFIX}{name}, {points[0][0]:,} to {points[-1][0]:,}"
    return Result(
        what, "linear", fitted, 1.0, fitted, at_most(LINEAR), "exponent", len(points),
        f"{shown}; last step {last:.2f}", (min(fitted, last), max(fitted, last)),
    )  # fmt: skip


def administrators(count: int) -> float:
    """Seconds to load so many of an administrator's rules into a new namespace."""
    text = ruleset(count)
    fd = netns.create()
    try:
        with netns.entered(fd):
            start = perf_counter()
            start_iptables(Family.IPV4, text, fresh=True).finish()
            return perf_counter() - start
    finally:
        os.close(fd)
        settle()


def flows(folder: str, count: int) -> float:
    """Seconds to measure so many flows, from the first packet to the last journey."""
    with Lab(plan=plan_of(1, folder)) as lab, Session(lab.namespaces, lab.plan) as session:
        target = Target(name="host", address="198.51.100.1")
        asked = [Flow("client", target, Family.IPV4, "tcp", 10000, "198.51.100.1")] * count
        start = perf_counter()
        journeys = session.measure(asked)
        taken = perf_counter() - start
    assert all(one.outcome == "ok" for one in journeys)
    return taken


def labs(folder: str, count: int) -> float:
    """Seconds until so many labs of ten containers stand, brought up one after the other."""
    plan = plan_of(10, folder)
    standing: list[Lab] = []
    start = perf_counter()
    try:
        standing += (Lab(plan=plan) for _ in range(count))
        return perf_counter() - start
    finally:
        for one in standing:
            one.close()
        settle()
