"""The rules of hosts on their way to the process that draws them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlab.model.family import Family
from netlab.plan.live_rules import LiveChain, LiveRule, NativeTable, Rules

if TYPE_CHECKING:
    from collections.abc import Mapping


def encode(rules: Mapping[str, Rules]) -> list[Any]:
    """What JSON can say of them; :func:`decode` undoes it."""
    return [
        [
            host,
            {
                str(family.value): [
                    [c.table, c.name, c.policy, c.packets, c.bytes,
                     [[r.packets, r.bytes, r.text, r.reason] for r in c.rules]]
                    for c in chains
                ]
                for family, chains in found.iptables.items()
            },
            [[table.family, table.name, table.text] for table in found.native],
        ]
        for host, found in rules.items()
    ]  # fmt: skip


def decode(message: list[Any]) -> dict[str, Rules]:
    """The rules of each host."""
    return {
        host: Rules(
            host,
            {Family(int(number)): tuple(map(_chain, chains)) for number, chains in iptables.items()},
            tuple(NativeTable(*one) for one in native),
        )
        for host, iptables, native in message
    }


def _chain(message: list[Any]) -> LiveChain:
    table, name, policy, packets, octets, rules = message
    return LiveChain(table, name, policy, packets, octets, [LiveRule(*rule) for rule in rules])
