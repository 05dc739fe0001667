"""What came of runs: counts, kept in a file, and the page that shows them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from support.runs import listed, table, total

#: The runs of which docs/agree.md tells.
RUNS = Path(__file__).parent / "runs.json"


@dataclass
class Count:
    """What came of a run."""

    seed: int = 0
    revision: str = ""  #: of netlab
    packets: int = 0  #: measured and predicted
    hosts: int = 0
    refused: int = 0  #: hosts that did not come up: the tools refuse a rule, or netlab an option
    hooks: int = 0  #: visits of hooks that were compared, each with its rules
    rules: int = 0  #: rules and policies that were compared
    unpredicted: int = 0
    unmeasured: int = 0
    undiscovered: int = 0  #: IPv6 packets that found no neighbour, since rules drop the search for it
    by_hand: int = 0  #: packets with another next hop, some from a forged source
    ipv6: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    engines: Counter[str] = field(default_factory=Counter)
    differ: list[str] = field(default_factory=list)
    once: list[str] = field(default_factory=list)  #: not seen again when the packet was sent alone

    def __post_init__(self) -> None:
        self.engines = Counter(self.engines)

    def words(self) -> str:
        """One line."""
        return (
            f"seed {self.seed}: {self.packets} packets on {self.hosts} hosts, {self.hooks} hooks and "
            f"{self.rules} rules compared: {len(self.differ)} differ, {len(self.once)} only once, "
            f"{self.unpredicted} unpredicted, {self.unmeasured} unmeasured, {self.undiscovered} without "
            f"a neighbour, {self.refused} hosts refused; {dict(self.outcomes)}"
        )


def page(runs: list[Count]) -> str:
    """docs/agree.md."""
    count = total(Count, runs)
    each = "\n".join(
        f"| {run.seed} | `{run.revision}` | {run.packets} | {run.hosts} | {len(run.differ)} "
        f"| {len(run.once)} | {run.unpredicted} | {run.unmeasured} |"
        for run in runs
    )
    return f"""{_HEAD}
| | |
|---|---|
| packets, measured and predicted | {count.packets} |
| of these IPv6 | {count.ipv6} |
| of these sent to another next hop, some from a forged source | {count.by_hand} |
| hosts | {count.hosts} |
| visits of hooks compared | {count.hooks} |
| rules and policies compared | {count.rules} |
| packets of which both said different things | {len(count.differ)} |
| differences that were not seen again when the packet was sent alone | {len(count.once)} |
| unpredicted: a rule depends on more than the packet, or the model does not know | {count.unpredicted} |
| unmeasured | {count.unmeasured} |
| IPv6 packets that found no neighbour, since rules drop the search | {count.undiscovered} |
| hosts with rules that their tools refuse | {count.refused} |

| outcome | packets |
|---|---|
{table(count.outcomes)}

| engine | hosts |
|---|---|
{table(count.engines)}

## Runs

| seed | netlab | packets | hosts | differ | only once | unpredicted | unmeasured |
|---|---|---|---|---|---|---|---|
{each}

## Differences

{listed(count.differ)}

## Not seen again

{listed(count.once)}

{_MENDED}"""


_HEAD = """# The kernel and the prediction

`nox -s agree` makes random hosts: an engine, a firewall, options, rules of iptables and nftables, typed or in
files, of every table, family, hook and many priorities, with sets, maps, concatenations and marks. It sends
random packets through each: TCP, UDP and ICMP, IPv4 and IPv6, between all nodes, to strange addresses
by way of the host, from forged sources. Each packet is measured in the lab and predicted from the plan, and
the two journeys are compared: every hook, interface, address and rule with its verdict, NAT, the way of
the answer, the outcome, who answered and what it saw, and what decided.

A difference is looked at again, with the packet sent alone, and reduced to the fewest rules that show
it. What a prediction says it does not know (`unpredicted`) is not compared.
`nox -s agree -- --packets 1000000` runs long; `--page docs/agree.md` writes this page,
which is what the runs below counted.
"""
_MENDED = (Path(__file__).parent / "mended.md").read_text()
