"""``python -m witness.run``: random labs and rules, each flow asked twice; disagreements shrunk and shown.

::

    python -m witness.run --seconds 50 --seed 7        # a share, as CI has it
    python -m witness.run --flows 10000 --page docs/witness.md
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import netlab
from netlab.lab.client.instrument import measuring
from netlab.lab.probe_options import flows as asked_flows
from netlab.model.errors import NetlabError
from netlab.model.flow import Flow
from netlab.model.journey import Journey
from witness.judge import disagreement
from witness.plain import Asking, PlainAnswer
from witness.rules import KINDS, CommandFailed, Place, Planted, run

ENGINES = ("docker-20.10", "docker-24", "docker-27", "docker-28", "docker-29")
FIREWALLS = ("none", "none", "ufw", "firewalld")
SCENARIO = """
services:
  web: {{image: nginx, ports: ["8080:80", "8053:53/udp"], expose: ["9000"]}}
  db: {{image: nginx, expose: ["5432"]}}
  third: {{image: nginx, expose: ["5432"]}}
x-netlab:
  host:
    engine: {engine}
    daemon: {{userland-proxy: {proxy}}}
    firewall: {firewall}
"""
#: flow, the ports as asked and as served, origin and target
FLOWS = (
    ("client -> host:8080/tcp", (8080, 80), "client", "web"),
    ("client -> host:8053/udp", (8053, 53), "client", "web"),
    ("web -> db:5432/tcp", (5432,), "web", "db"),
    ("web -> client:7000/tcp", (7000,), "web", "client"),
    ("web -> client:7000/udp", (7000,), "web", "client"),
    ("host -> web:80/tcp", (80,), "web", "web"),
    ("host -> localhost:8080/tcp", (8080, 80), "web", "web"),
    ("db -> host:8080/tcp", (8080, 80), "db", "web"),
    ("client -> host:81/tcp", (81,), "client", "web"),
    ("web -> localhost:80/tcp", (80,), "web", "web"),
)


@dataclass
class Count:
    """What came of a run."""

    flows: int = 0
    rulesets: int = 0
    unmeasured: int = 0
    undecided: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    false: list[str] = field(default_factory=list)
    once: list[str] = field(default_factory=list)  #: disagreements that were not seen again, in words
    hidden: list[str] = field(default_factory=list)  #: unmeasured ones, in words


def place_of(lab: netlab.Lab, rng: random.Random) -> tuple[Place, int]:
    """A flow to hit, and what rules may be about; and its family."""
    text, ports, origin, target = rng.choice(FLOWS)
    containers = ("web", "db", "third")
    host = lab.plan.node("host")
    addresses = {
        name: next(a for a in lab.plan.node(name).interfaces[0].addresses if ":" not in a).partition("/")[0]
        for name in containers
    }
    chains = ["INPUT", "FORWARD", "OUTPUT"]
    saved = run(lab.namespaces["host"], ["iptables-save", "-t", "filter"])
    chains += ["DOCKER-USER"] * (":DOCKER-USER" in saved)
    family = 6 if text.startswith("client -> host") and rng.random() < 0.25 else 4
    devices = tuple(i.name for i in host.interfaces if i.kind != "bridge" and i.name != "lo")
    protocol = text.rpartition("/")[2]
    place = Place(containers, addresses, tuple(chains), devices, protocol, ports, family, origin, target)
    return place, family


def ask_plainly(
    lab: netlab.Lab, flows: list[Flow], planted: list[Planted]
) -> list[tuple[PlainAnswer, dict[str, int]]]:
    """Each flow by ordinary sockets, one after the other, with the packets that each rule saw meanwhile."""
    found = []
    before = {rule.name: rule.hits(lab.namespaces) for rule in planted}
    for flow in flows:
        home = lab.plan.node(flow.origin).namespace
        asking = Asking(lab.namespaces[home], flow.address, flow.protocol, flow.port or 0)
        while (plain := asking.look()) is None:
            os.sched_yield()
        asking.close()  # before it sends anything again, which the next flow's count would include
        after = {rule.name: rule.hits(lab.namespaces) for rule in planted}
        found.append((plain, {name: after[name] - before[name] for name in after}))
        before = after
    return found


def try_rules(lab: netlab.Lab, planted: list[Planted], flows: list[Flow]) -> list[tuple[Journey, str]]:
    """Put rules in, ask each flow both ways, take them out: the journeys, and what of each is false."""
    put = []
    try:
        for rule in planted:
            rule.put_in(lab.namespaces)
            put.append(rule)
        _forget(lab)
        plain = ask_plainly(lab, flows, planted)
        _forget(lab)
        with measuring(lab.client) as session:
            journeys = session.measure(flows)
        return [
            (journey, disagreement(journey, seen, hits, planted))
            for journey, (seen, hits) in zip(journeys, plain, strict=True)
        ]
    finally:
        for rule in reversed(put):
            rule.take_out(lab.namespaces)
        _forget(lab)


def _forget(lab: netlab.Lab) -> None:
    """Have neighbours and connections as before."""
    for node in ("host", "web", "db", "third", "client"):
        run(lab.namespaces[node], ["ip", "neigh", "flush", "all"])
        # A kernel sends again what a rule dropped, long after the flow: it would count as the next one's.
        run(lab.namespaces[node], ["ss", "-t", "-K", "state", "all", "exclude", "listening"])
    run(lab.namespaces["host"], ["conntrack", "-F"])


def again(lab: netlab.Lab, planted: list[Planted], flow: Flow) -> str:
    """What is false of the flow if it is asked alone: without others, whose packets a counter may count."""
    ((_, problem),) = try_rules(lab, planted, [flow])
    return problem


def shrunk(lab: netlab.Lab, planted: list[Planted], flow: Flow) -> tuple[list[Planted], str]:
    """The fewest of the rules with which the flow is still misjudged."""
    rules, said = planted, ""
    for rule in planted:
        fewer = [other for other in rules if other is not rule]
        problem = again(lab, fewer, flow)
        if problem:
            rules, said = fewer, problem
    return rules, said


def witness(rng: random.Random, count: Count, until: float, most: int, rulesets: int = 12) -> None:
    """One lab of a random engine, and some rulesets in it."""
    words = {"engine": rng.choice(ENGINES), "firewall": rng.choice(FIREWALLS)}
    words["proxy"] = rng.choice(["true", "false"])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "witness.yaml")
        file.write_text(SCENARIO.format(**words))
        with netlab.Lab(str(file), name=f"witness-{os.getpid()}") as lab:
            for _ in range(rulesets):
                if time.monotonic() > until or count.flows >= most:
                    return
                one_ruleset(lab, rng, count, words)


def one_ruleset(lab: netlab.Lab, rng: random.Random, count: Count, words: dict[str, str]) -> None:
    """Some random rules, and some flows of which one is the rules' own."""
    seed = rng.randrange(1 << 32)
    rng = random.Random(seed)
    place, family = place_of(lab, rng)
    planted = [
        rng.choice(KINDS)(rng, f"w{number}", place) for number in range(rng.choice([0, 1, 1, 1, 2, 3]))
    ]
    own = (place.ports, place.origin, place.target)
    texts = [text for text, *rest in FLOWS if tuple(rest) == own]
    texts += [rng.choice(FLOWS)[0] for _ in range(6)]
    flows = [
        flow
        for text in texts
        for flow in asked_flows(lab.plan, text, family if text.startswith("client -> host") else 4, {})
    ]
    try:
        results = try_rules(lab, planted, flows)
    except CommandFailed:
        return
    count.rulesets += 1
    for flow, (journey, problem) in zip(flows, results, strict=True):
        count.flows += 1
        count.outcomes[journey.outcome] += 1
        count.unmeasured += journey.outcome == "unmeasured"
        count.undecided += journey.decided_by.kind == "unmeasured"
        shown = f"{words} {flow} {flow.family.word} [{'; '.join(f'{r.node}: {r.words}' for r in planted)}]"
        if journey.outcome == "unmeasured":
            count.hidden.append(f"{shown}: {journey.problem}")
        if journey.decided_by.kind == "unmeasured":
            count.hidden.append(f"{shown}: {journey.outcome}, {journey.decided_by.rule}")
        if problem:
            try:
                if not any(again(lab, planted, flow) for _ in range(3)):
                    count.once.append(f"{shown}: {problem} (seed {seed})")
                    print("ONCE", count.once[-1], flush=True)
                    continue
                rules, said = shrunk(lab, planted, flow)
            except CommandFailed:
                rules, said = planted, problem
            alone = "; ".join(f"{rule.node}: {rule.words}" for rule in rules)
            count.false.append(
                f"{words} {flow} {flow.family.word} [{alone}]: {said or problem} (seed {seed})"
            )
            print("FALSE", count.false[-1], flush=True)


def page(count: Count, seed: int) -> str:
    """The counts of a run, for docs/."""
    outcomes = "\n".join(f"| `{name}` | {number} |" for name, number in sorted(count.outcomes.items()))
    false = "\n".join(f"* {line}" for line in count.false) or "None."
    once = "\n".join(f"* {line}" for line in count.once) or "None."
    hidden = "\n".join(f"* {line}" for line in count.hidden[:50]) or "None."
    return f"""# The witness

`nox -s witness` puts random rules, hostile and ordinary, into random labs, on the host and in other nodes:
of filter, raw, mangle and nat, native chains at any priority, bridges, devices, iptables-legacy, copies,
queues, routes, TPROXY, limits of ICMP errors, and rules that hit a connection's data. Each flow is asked by
netlab and by plain sockets in the same node. False is an outcome or a source address that the sockets did
not see, a decision by a rule whose counter did not move, and one that is not that of the rule whose counter
did. This page is what a run wrote (seed {seed}).

| | |
|---|---|
| flows | {count.flows} |
| sets of rules | {count.rulesets} |
| false | {len(count.false)} |
| disagreements that were not seen again when the flow was asked alone | {len(count.once)} |
| outcome `unmeasured` | {count.unmeasured} |
| outcome measured, decision `unmeasured` | {count.undecided} |

| outcome | flows |
|---|---|
{outcomes}

## False

{false}

## Not seen again

{once}

## Unmeasured

{hidden}
"""


def main() -> int:
    """Run until there are enough flows or no time is left; 1 if netlab said anything false."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--flows", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--page", type=Path, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    rng, count = random.Random(seed), Count()
    began = time.monotonic()
    while count.flows < options.flows and time.monotonic() - began < options.seconds:
        try:
            witness(rng, count, began + options.seconds, options.flows)
        except NetlabError as error:
            print("LAB", error, flush=True)
        if options.page is not None:  # after each lab: a long run may be broken off
            options.page.write_text(page(count, seed))
    print(f"seed {seed}: {count.flows} flows, {count.rulesets} rulesets, {count.unmeasured} unmeasured, "
          f"{count.undecided} undecided, {len(count.false)} false, {len(count.once)} once, "
          f"{dict(count.outcomes)}")  # fmt: skip
    for line in count.hidden[:20]:
        print("UNMEASURED", line)
    return 1 if count.false else 0


if __name__ == "__main__":
    sys.exit(main())
