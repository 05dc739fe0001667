"""Costs as a measurement would find them: with ratios, without, and what could not be measured."""

from __future__ import annotations

from netlab.model.cost import Costs, MeasuredWay, Memory, figures_of


def costs() -> Costs:
    direct = [{"up": 10e9, "connections": 4000.0}] * 3
    other = [{"up": value * 1e9, "connections": 1000.0, "proxy_up": 0.2} for value in (2, 4, 5)]
    none = "no packet: refused"
    ways = (
        MeasuredWay("", "one veth pair, no rules", "ipv4", "direct", "ok", "none", figures_of(direct, ())),
        MeasuredWay("", "a -> b:80/tcp", "ipv4", "userland proxy", "ok", "proxy", figures_of(other, direct)),
        MeasuredWay("", "a -> c:80/tcp", "ipv4", "none", "refused", "local", problem=none),
    )
    memory = (Memory("", "a program", 2, 2048.0), Memory("x", "another", 1, None, "it ended"))
    return Costs(ways, memory, "a tool", 3, 9.0, "reno", ("a note",))
