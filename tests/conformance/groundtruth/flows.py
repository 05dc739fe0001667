"""Flows on both sides, measured with the same instrument, as comparable lines."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import netlab
from groundtruth.facts import Facts
from groundtruth.real import RealHost
from groundtruth.testbed_network import UNLIMITED
from netlab.bench.real.testbed import sysctl_path
from netlab.journey.matrix import matrix
from netlab.kernel import netns
from netlab.measure.session import Session
from netlab.measure.worker import ProxyEnds
from netlab.model.family import Family
from netlab.model.flow import Flow, Target
from netlab.model.journey import Journey
from netlab.model.plan import Plan

ANSWERING = Path(__file__).with_name("answering.py")
LOOPBACK = "127.0.0.1"


def flows_of(plan: Plan, host: str) -> list[Flow]:
    """The matrix of a lab, and what a neighbour can try who sends frames to the host as he likes."""
    flows = [cell.flow for cell in matrix(plan)]
    outside = [n.name for n in plan.nodes if n.kind == "outside"]
    for publication in plan.publications:
        for origin in outside:
            flows.append(
                Flow(
                    origin,
                    Target(address=LOOPBACK),
                    Family.IPV4,
                    publication.protocol,
                    publication.host_port,
                    LOOPBACK,
                    host,
                )
            )
    return list(dict.fromkeys(flows))


#: Ports of probes, and ephemeral ones: each side has its own.
PORT = re.compile(r"(?<=:)(2[1-9]\d{3}|[3-6]\d{4})\b")


#: Left out: iptables makes a base chain when it is first used, iptables-restore when it is named. An empty
#: one that accepts is in the trace then, and no packet is the wiser.
IDLE = ("continue", "policy accept")


def lines(journey: Journey) -> list[str]:
    """Everything of a journey but the ports that it happened to have, and our reasons for rules."""
    sees = journey.sees.address if journey.sees else "nobody"
    out = [f"{journey.outcome} by {journey.path}, answered by {journey.answered_by}, sees {sees}"]
    if journey.icmp:
        out[0] += f", icmp {journey.icmp.type}/{journey.icmp.code} from {journey.icmp.sender}"
    out += [f"note: {note}" for note in journey.notes]
    for leg in journey.legs:
        out.append(f"  leg by {leg.by or 'the origin'}: dnat {leg.nat.dnat} snat {leg.nat.snat}")
        for visit in leg.hooks:
            out.append(f"    {visit.hook} {visit.iif}>{visit.oif} {visit.packet.src} > {visit.packet.dst}")
            out += [
                f"      {hit.family} {hit.table} {hit.chain}: {hit.verdict}  {hit.rule}"
                for hit in visit.rules
                if hit.verdict not in IDLE
            ]
    return [PORT.sub("P", line) for line in out]


def facts_of_flows(flows: Sequence[Flow], journeys: Sequence[Journey]) -> Facts:
    """One section a flow."""
    return {
        f"{flow.family.word} {flow}": lines(journey) for flow, journey in zip(flows, journeys, strict=True)
    }


def unlimit(namespaces: Mapping[str, int]) -> None:
    """Let every ICMP error out: with the kernel's rate limit a second REJECT looks like a drop."""
    for descriptor in namespaces.values():
        with netns.entered(descriptor):
            for key, value in UNLIMITED.items():
                Path("/proc/sys", sysctl_path(key)).write_text(value)


def answer(real: RealHost, plan: Plan, paths: Mapping[str, str]) -> None:
    """Start the plan's responders in these namespaces; they end with the testbed."""
    request = [
        [paths[node.namespace], [[r.protocol, r.port, node.name, r.service] for r in node.responders]]
        for node in plan.nodes
        if node.responders and node.namespace in paths
    ]
    said = json.loads(real.testbed.begin([sys.executable, str(ANSWERING), json.dumps(request)]) or "{}")
    if "lacking" not in said:
        raise RuntimeError(f"the servers did not start: {said.get('text')}")


@contextmanager
def measuring(real: RealHost, plan: Plan, host: str) -> Iterator[Session]:
    """The instrument in the daemon's host, with servers in its containers."""
    paths = {place.name: place.net for place in real.places()}
    paths[host] = paths.pop("host")
    paths |= {n.name: real.testbed.namespace(n.name) for n in plan.nodes if n.kind == "outside"}
    descriptors = {name: os.open(path, os.O_RDONLY | os.O_CLOEXEC) for name, path in paths.items()}
    try:
        unlimit(descriptors)
        answer(real, plan, paths)
        with Session(descriptors, plan) as session:
            yield session
    finally:
        for descriptor in descriptors.values():
            os.close(descriptor)


def on_daemon(real: RealHost, plan: Plan, flows: Sequence[Flow], host: str) -> Facts:
    """The flows of the daemon's host."""
    with measuring(real, plan, host) as session:
        return facts_of_flows(flows, session.measure(flows))


def on_lab(plan: Plan, flows: Sequence[Flow]) -> Facts:
    """The flows of netlab's."""
    with netlab.Lab(plan=plan) as lab:

        def pairs(node: str, since: int) -> list[ProxyEnds]:
            return [ProxyEnds.of(*pair[1:]) for pair in lab.client.pairs(node, since)[0]]

        unlimit(lab.namespaces)
        with Session(lab.namespaces, plan, pairs=pairs) as session:
            return facts_of_flows(flows, session.measure(flows))
