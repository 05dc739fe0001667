"""Rules: published ports in one transaction, beside ``iptables`` once a rule as Docker does it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial

from netlab.bench.drain import drain
from netlab.bench.frame import Effort, Result, faster, interleaved
from netlab.bench.plans import published
from netlab.kernel import netns, process, ruleset
from netlab.model.errors import LabError
from netlab.model.family import Family
from netlab.plan.render import restore_text

SPEED_UP = 80.0


def run(effort: Effort) -> Iterator[Result]:
    """Yield one line: 1000 published ports (100 with ``quick``, where the start of the tool matters more)."""
    ports = 100 if effort.quick else 1000
    goal = faster(SPEED_UP / 4 if effort.quick else SPEED_UP)
    samples = interleaved(effort.fewer(2), partial(ours, ports), partial(yardstick, ports), warm=False)
    yield samples.result(f"rules, {ports} published ports", "iptables a rule", goal)


def _in_a_namespace(work: Callable[[], None]) -> float:
    fd = netns.create()
    try:
        with netns.entered(fd):
            start = time.perf_counter()
            work()
            return time.perf_counter() - start
    finally:
        os.close(fd)
        drain()


def ours(ports: int) -> float:
    """Seconds for all rules in one go, the text of them included."""
    rules = published(ports)

    def work() -> None:  # as for a lab's host, whose namespace is new
        ruleset.start_iptables(Family.IPV4, restore_text(rules), fresh=True).finish()

    return _in_a_namespace(work)


def yardstick(ports: int) -> float:
    """Seconds for the same rules, one run of the tool each."""
    rules = published(ports)
    chains = [(table.name, chain) for table in rules.tables for chain in table.chains]
    commands = [["-t", table, "-N", chain.name] for table, chain in chains if not chain.policy]
    commands += [
        ["-t", table, "-A", chain.name, *rule.text.split(" ")]
        for table, chain in chains
        for rule in chain.rules
    ]

    def work() -> None:
        for arguments in commands:
            done = process.run(["iptables", "--wait", *arguments])
            if done.code:
                raise LabError(f"iptables: {done.errors}")

    return _in_a_namespace(work)
