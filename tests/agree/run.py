"""``python -m agree.run``: random hosts and rules; every packet measured and predicted; differences shrunk.

::

    python -m agree.run --packets 300 --seed 7       # a share
    python -m agree.run --packets 1000000
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import netlab
from agree.grammar import PORTS, rules
from netlab.journey.expand import expand
from netlab.model.errors import NetlabError
from netlab.model.flow import Flow
from netlab.model.journey import Journey
from netlab.model.problem import Position
from netlab.predict.compare import asked, first_difference
from netlab.predict.predictor import Predictor
from netlab.scenario.flow import parse_flow

ENGINES = ("docker-20.10", "docker-24", "docker-26", "docker-27", "docker-28", "docker-29")
FIREWALLS = ("none", "none", "none", "ufw", "firewalld")
_FLOWS = 60
_ORIGINS = ("client", "client", "neighbour", "host", "web", "db")
_TARGETS = ("host", "host", "web", "db", "client", "198.51.100.255 via host", "203.0.113.9 via host")
SCENARIO = """\
services:
  web: {{image: nginx, ports: ["8080:80", "53:53/udp"]}}
  db: {{image: nginx, expose: ["443"]}}
x-netlab:
  host:
    engine: {engine}
    firewall: {firewall}
    daemon: {{userland-proxy: {proxy}}}
    rules: {rules}
"""


@dataclass(frozen=True)
class Host:
    """A random host: its engine, firewall, proxy, and the groups of commands typed on it."""

    engine: str
    firewall: str
    proxy: str
    typed: tuple[tuple[str, ...], ...]

    @classmethod
    def at_random(cls, chance: random.Random) -> Host:
        """One of all."""
        typed = tuple(map(tuple, rules(chance, chance.randint(1, 5))))
        return cls(chance.choice(ENGINES), chance.choice(FIREWALLS), chance.choice(("true", "false")), typed)

    def text(self) -> str:
        """The scenario."""
        lines = json.dumps([line for group in self.typed for line in group])
        return SCENARIO.format(engine=self.engine, firewall=self.firewall, proxy=self.proxy, rules=lines)


@dataclass
class Tally:
    """What was seen."""

    packets: int = 0
    hosts: int = 0
    refused: int = 0
    unpredicted: int = 0
    unmeasured: int = 0
    undiscovered: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def questions(chance: random.Random, count: int) -> list[str]:
    """Flows as one writes them."""
    found = []
    for _ in range(count):
        target, _, via = chance.choice(_TARGETS).partition(" ")
        protocol = chance.choice(("tcp", "tcp", "udp", "icmp", "sctp" if via else "tcp"))
        port = "" if protocol == "icmp" else f":{chance.choice(PORTS)}"
        origin = chance.choice(("client", "neighbour")) if via else chance.choice(_ORIGINS)
        found.append(f"{origin} -> {target}{port}/{protocol} {via}".strip())
    return list(dict.fromkeys(found))


def differences(host: Host, texts: Sequence[str], tally: Tally | None = None) -> list[tuple[str, str]]:
    """The flows of which prediction and kernel say different things, each with the first difference.

    Raises NetlabError if the tools refuse the host's rules.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "agree.yaml"
        file.write_text(host.text())
        plan = netlab.load_plan([file])
        flows: list[Flow] = []
        for text in texts:
            try:
                flows += expand(parse_flow(text, Position("flow", 1, 1)), plan)
            except netlab.UsageError:
                continue  # no address of that family, or the node has none there
        with netlab.Lab(file) as lab:
            journeys = lab._measured(flows, {})
    predictor = Predictor.of(plan)
    found = []
    for flow, measured in zip(flows, journeys, strict=True):
        predicted = predictor.journey(asked(flow, measured))
        if tally is not None:
            tally.packets += 1
            tally.outcomes[measured.outcome] += 1
            tally.unmeasured += measured.outcome == "unmeasured"
            tally.unpredicted += predicted.outcome == "unpredicted"
        if measured.outcome == "unmeasured" or predicted.outcome == "unpredicted":
            continue
        if measured.errno == "EPROTONOSUPPORT":
            continue
        difference = first_difference(predicted, measured)
        if difference is not None and _no_neighbour(measured):
            # Rules that drop neighbour discovery: a prediction takes it for granted (docs/exposure.md).
            if tally is not None:
                tally.undiscovered += 1
        elif difference is not None:
            found.append((f"{flow} {flow.family.word}", str(difference)))
    return found


def _no_neighbour(measured: Journey) -> bool:
    """Whether an IPv6 packet may have found no neighbour: it was lost, and no rule or route decided."""
    lost = measured.outcome in ("timeout", "unreachable")
    return measured.flow.family == "ipv6" and lost and measured.decided_by.kind in ("none", "unmeasured")


def shrunk(host: Host, text: str) -> Host:
    """The host with as few groups of commands as still show a difference for this flow."""
    for number in range(len(host.typed) - 1, -1, -1):
        fewer = Host(host.engine, host.firewall, host.proxy, host.typed[:number] + host.typed[number + 1 :])
        try:
            if differences(fewer, [text]):
                host = fewer
        except NetlabError:
            continue
    return host


def run(packets: int, seed: int) -> Tally:
    """Try random hosts until so many packets were compared."""
    tally, number = Tally(), 0
    while tally.packets < packets:
        chance = random.Random(f"{seed}/{number}")
        number += 1
        host = Host.at_random(chance)
        texts = questions(chance, _FLOWS)
        try:
            found = differences(host, texts, tally)
        except NetlabError as error:
            tally.refused += 1
            print(f"refused: {error}", file=sys.stderr)
            continue
        tally.hosts += 1
        if found:
            flow, problem = found[0]
            text = next((one for one in texts if flow.startswith(one.split("/")[0])), texts[0])
            small = shrunk(host, text)
            tally.wrong.append(f"seed {seed}/{number - 1}: {flow}: {problem}\n{small.text()}")
            print(f"{len(found)} differ; {tally.wrong[-1]}", flush=True)
        print(f"{tally.packets} packets on {tally.hosts} hosts, {len(tally.wrong)} differ", flush=True)
    return tally


def main() -> int:
    """Returns 1 if prediction and kernel differ anywhere."""
    parser = argparse.ArgumentParser(prog="agree", description=__doc__)
    parser.add_argument("--packets", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    tally = run(args.packets, args.seed)
    print(
        f"{tally.packets} packets on {tally.hosts} hosts: {len(tally.wrong)} hosts differ, "
        f"{tally.unpredicted} unpredicted, {tally.unmeasured} unmeasured, "
        f"{tally.undiscovered} without neighbour discovery, {tally.refused} hosts refused; "
        f"{dict(tally.outcomes)}"
    )
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
