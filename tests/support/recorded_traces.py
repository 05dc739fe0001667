"""Recorded trace events of real packets (kernel 6.18), and what is needed to read them again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from netlab.journey.evidence import PacketPaths, ProbeResult, find_paths
from netlab.journey.headers import ICMP, PROTOCOLS, make_key
from netlab.journey.hook_passes import Assembler, HookPass
from netlab.journey.legs import Index
from netlab.journey.topology import Topology, TracedNode
from netlab.kernel.trace.nftrace import Decoder
from netlab.model.family import Family
from netlab.model.flow import Flow, Target
from netlab.model.journey import Icmp
from netlab.model.trace import BaseChain, TraceEvent, Whole

FOLDER = Path(__file__).parents[1] / "data" / "traces"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


@dataclass
class Recording:
    flow: Flow
    key: bytes
    outcome: str
    messages: list[bytes]
    facts: Topology
    base_chains: list[BaseChain]
    source: tuple[str, int]
    icmp: Icmp | None

    def events(self) -> list[TraceEvent]:
        decoder = Decoder()
        found = [decoder.decode(message) for message in self.messages]
        assert all(isinstance(event, TraceEvent) for event in found)
        return [event for event in found if isinstance(event, TraceEvent)]

    def hook_passes(self) -> list[HookPass]:
        assembler = Assembler("host", self.base_chains)
        for event in self.events():
            feed(assembler, event)
        return assembler.hook_passes

    def paths(self, second: bytes | None = None) -> PacketPaths:
        return find_paths(self.flow, self.result(second), Index(self.hook_passes()), self.facts)

    def result(self, second: bytes | None = None) -> ProbeResult:
        told = () if second is None else ((second, None),)
        return ProbeResult(self.outcome, self.source, self.key, icmp=self.icmp, seconds=told)  # type: ignore[arg-type]


def feed(assembler: Assembler, event: TraceEvent) -> None:
    """Give one event to an assembler, as the decoder does."""
    if event.headers is None:
        assembler.step(event.id, event.step)
    else:
        assembler.packet(event.id, event.step, Whole(event.headers), b"")


def load(name: str) -> Recording:
    data = json.loads((FOLDER / f"{name}.json").read_text())
    flow = Flow(
        data["flow"]["origin"],
        Target(address=data["flow"]["address"]),
        Family(data["flow"]["family"]),
        data["flow"]["protocol"],
        data["flow"]["port"],
        data["flow"]["address"],
    )
    number = ICMP[flow.family] if flow.protocol == "icmp" else PROTOCOLS[flow.protocol]
    source = (data["source"][0], data["source"][1])
    chains = [BaseChain(**chain) for chain in data["base_chains"]]
    node = TracedNode(
        "host",
        {int(index): name for index, name in data["interfaces"].items()},
        frozenset(bytes.fromhex(mac) for mac in data["macs"]),
        {(chain.family, chain.table, chain.name): chain for chain in chains},
    )
    facts = Topology(hosts=frozenset(["host"]), traced={"host": node})
    return Recording(
        flow,
        make_key(number, source[0], source[1], flow.address, 1 if flow.port is None else flow.port),
        data["outcome"],
        [bytes.fromhex(message) for message in data["messages"]],
        facts,
        chains,
        source,
        Icmp(*data["icmp"]) if "icmp" in data else None,
    )
