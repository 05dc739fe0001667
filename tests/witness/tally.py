"""What came of runs: counts, kept in a file, and the page that shows them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from support.runs import listed, table, total

#: The runs of which docs/witness.md tells.
RUNS = Path(__file__).parent / "runs.json"
_SHOWN = 50


@dataclass
class Count:
    """What came of a run."""

    seed: int = 0
    revision: str = ""  #: of netlab
    nft: str = ""  #: version of the second decoder
    flows: int = 0
    rulesets: int = 0
    labs: int = 0
    by_hand: int = 0  #: flows of ICMP, with another next hop, or from a forged source
    twins: int = 0  #: flows in labs of two hosts with equal subnets
    ordinary: int = 0  #: flows on hosts with rules that do not hide from a trace
    ordinary_unmeasured: int = 0
    ordinary_undecided: int = 0
    unmeasured: int = 0
    undecided: int = 0
    hooks: int = 0  #: packets at hooks that nft printed and netlab showed
    connections: int = 0  #: new connections that conntrack reported and netlab showed
    unread: int = 0  #: flows of which nft printed less than netlab showed, and then not again
    outcomes: Counter[str] = field(default_factory=Counter)
    false: list[str] = field(default_factory=list)
    once: list[str] = field(default_factory=list)  #: disagreements that were not seen again, in words
    hidden: list[str] = field(default_factory=list)  #: unmeasured ones, in words
    #: disagreements that were looked at by hand: the witness was wrong, and is mended
    misread: list[str] = field(default_factory=list)

    def words(self) -> str:
        """One line."""
        return (
            f"seed {self.seed}: {self.flows} flows, {self.rulesets} rulesets, {self.labs} labs, "
            f"{self.unmeasured} unmeasured, {self.undecided} undecided "
            f"({self.ordinary_unmeasured}, {self.ordinary_undecided} of {self.ordinary} ordinary), "
            f"{self.hooks} hooks, {self.connections} connections, {self.unread} unread, "
            f"{len(self.false)} false, {len(self.once)} once, {dict(self.outcomes)}"
        )


def page(runs: list[Count]) -> str:
    """docs/witness.md."""
    count = total(Count, runs)
    each = "\n".join(
        f"| {run.seed} | `{run.revision}` | {run.nft} | {run.flows} | {run.rulesets} | {run.labs} "
        f"| {len(run.false)} | {len(run.once)} | {run.unmeasured} | {run.undecided} |"
        for run in runs
    )
    return f"""{_HEAD}
| | |
|---|---|
| flows | {count.flows} |
| of these in labs of two hosts with equal subnets | {count.twins} |
| of these ICMP echoes, flows `via` another node, or from a forged source | {count.by_hand} |
| sets of rules | {count.rulesets} |
| labs | {count.labs} |
| false | {len(count.false)} |
| disagreements that were not seen again when the flow was asked alone | {len(count.once)} |
| packets at hooks, with rules and verdicts, compared with `nft monitor trace` | {count.hooks} |
| connections compared with `conntrack -E` | {count.connections} |
| flows of which nft printed less than netlab, and then not again | {count.unread} |
| disagreements in which the witness was wrong (it has been mended) | {len(count.misread)} |

| unmeasured | flows | outcome | only the decision |
|---|---|---|---|
| on ordinary hosts | {count.ordinary} | {count.ordinary_unmeasured} | {count.ordinary_undecided} |
| on all hosts | {count.flows} | {count.unmeasured} | {count.undecided} |

An ordinary host has its engine's rules, a firewall's, and no others than those that an administrator writes
with iptables or nft in `filter`, `raw` and `mangle`, and none that hide from a trace.

| outcome | flows |
|---|---|
{table(count.outcomes)}

## Runs

| seed | netlab | nft | flows | sets of rules | labs | false | not seen again | unmeasured | undecided |
|---|---|---|---|---|---|---|---|---|---|
{each}

## False

{listed(count.false)}

## The witness was wrong

{listed(count.misread)}

## Not seen again

{listed(count.once)}

## Unmeasured

{listed(count.hidden[:_SHOWN])}
"""


_HEAD = """# The witness

`nox -s witness` puts random rules, hostile and ordinary, into random labs, on the host and in other nodes:
of filter, raw, mangle and nat, native chains at any priority, bridges, devices, iptables-legacy, copies,
queues, routes, TPROXY, limits of ICMP errors, and rules that hit a connection's data. Each flow is asked by
netlab and by plain sockets in the same node. Three other readings are compared with what netlab says:

* **plain sockets**: the outcome, who answered, and the source address that the server saw;
* **the counters of the rules**, read before and after the flow is asked alone: a rule that decided must have
  been hit, and a rule that ends packets and was hit must have decided;
* **other decoders of the same kernel**: each packet at each hook, its interfaces, its rules and their
  verdicts as `nft monitor trace` prints them, and addresses before and after NAT as `conntrack -E` does.

A ping is asked by a raw socket, a flow `via` another node by a socket with a route of its own. Whoever forges
a source gets no answer: such flows are judged by the other readings alone.

The false words of the runs with seeds 304, 311 and 312 (and, before, an ICMP redirect that was taken for an
error) are mended, each with a test in `tests/lab/measure/test_crafted.py` or `test_icmp_limits.py`. In run
311, two labs stood still at a packet that came back to a host: mended, see `test_routing_loop.py`.

A disagreement is asked again, alone, and reduced to the fewest rules that show it. This page is what the runs
below wrote.
"""
