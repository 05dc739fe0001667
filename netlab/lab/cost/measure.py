"""Measure what ways cost: labs side by side, the way of each flow verified by a trace, loads in rounds."""

from __future__ import annotations

import contextlib
import math
import os
import socket
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from netlab.kernel.channel import MAX_LINE_BETWEEN_OURS, Channel
from netlab.lab import codec
from netlab.lab.client.instrument import measuring
from netlab.lab.cost import tools
from netlab.lab.cost.field import DIRECT, DIRECT_ADDRESSES, DIRECT_PORT, spec
from netlab.lab.cost.loads import LOADS
from netlab.lab.cost.ways import flows_of, name_of, receiving, replaced_programs
from netlab.lab.lab import Lab
from netlab.model import cost
from netlab.model.cost import Costs, MeasuredWay, Memory, figures_of
from netlab.model.errors import LabError, MachineError, NetlabError, UsageError
from netlab.model.family import FAMILIES, Family, split_endpoint
from netlab.model.flow import Flow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netlab.lab.cost.tools import Tool
    from netlab.model.journey import Journey
    from netlab.model.plan import Plan
    from netlab.model.scenario import Scenario

#: Seconds of a single load at least: less is mostly its beginning.
SHORTEST = 0.02
#: Of the time of a load, how long the one before the first round takes, which does not count.
WARM = 0.25
#: Further published ports whose memory is measured together: one process has them all, or each has its own.
MANY, FEW = 64, 3
BUILTIN = "netlab's own generator"
#: What makes the loads; see :func:`measure`.
Generator = Literal["auto", "own", "real"]


@dataclass(frozen=True, slots=True)
class BenchVariant:
    """A lab to measure: its label among several, its plan, and the scenario if it has events."""

    label: str
    plan: Plan
    scenario: Scenario | None


@dataclass(slots=True)
class _Road:
    """One way while it is measured: where its load comes from and goes to, and what each round gave."""

    way: MeasuredWay
    stand: _Stand
    origin: str
    address: str
    port: int
    flow: Flow | None = None
    rounds: list[dict[str, float]] = field(default_factory=list)


class _Stand:
    """A lab that stands for the measurement, with the program of the load in it."""

    def __init__(
        self, variant: BenchVariant, texts: Sequence[str], family: int | None, *, direct: bool
    ) -> None:
        self.variant = variant
        self.flows = flows_of(variant.plan, texts, family)
        self.plan, self.ports = receiving(variant.plan, self.flows)
        self.replaced = replaced_programs(variant.plan, self.ports)
        self.congestion = ""
        self._direct = direct

    def start(self, stack: contextlib.ExitStack, *, allow_programs: bool) -> None:
        """Build the lab, and start the program in it; both end with the stack."""
        options: dict[str, Any] = {"allow_programs": allow_programs}
        if self.variant.scenario is not None:
            options["scenario"] = replace(self.variant.scenario, expect=())
        self.lab = stack.enter_context(Lab(plan=self.plan, **options))
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours, MAX_LINE_BETWEEN_OURS)
        stack.callback(self._channel.close)
        nodes = [node.name for node in self.plan.nodes if node.namespace == node.name]
        with theirs:
            process = self.lab.client.start_module(
                "netlab.lab.cost.field", nodes=nodes, fds=[theirs.fileno()]
            )
        stack.enter_context(process)
        self.congestion = self.ask(spec(self.ports, direct=self._direct))["congestion"]
        status = self.lab.client.status()["processes"]
        self.proxies = [one["pid"] for one in status if one["kind"] == "docker-proxy"]

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """One request to the program."""
        self._channel.send(message)
        return self._channel.answer("the load's process", LabError)

    def trace(self) -> list[Journey]:
        """One probe of each flow; the instrument is gone afterwards."""
        with measuring(self.lab.client) as session:
            return session.measure(self.flows)


def measure(
    variants: Sequence[BenchVariant],
    texts: Sequence[str],
    *,
    family: int | None = None,
    rounds: int,
    seconds: float,
    generator: Generator = "auto",
    allow_programs: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Costs:
    """Measure all ways of all variants, which are built and taken down.

    ``seconds``: the time of all loads together. ``generator``: what makes them, ``own`` netlab's, ``real``
    wrk and iperf3, ``auto`` those if they are there and a load is as long as they need. Raises UsageError if
    the time leaves too little for each, NothingTested without a flow, ScenarioError, LabError, MachineError.
    """
    stands = [_Stand(variant, texts, family, direct=not number) for number, variant in enumerate(variants)]
    families = [one for one in FAMILIES if any(flow.family == one for s in stands for flow in s.flows)]
    most = sum(len(stand.flows) for stand in stands) + len(families)
    each = _time_of_each(seconds, most, rounds)
    used, notes = _tools(generator, each, seconds)
    with contextlib.ExitStack() as stack:
        for stand in stands:
            tell(f"building {stand.variant.label or stand.plan.name}")
            stand.start(stack, allow_programs=allow_programs)
        roads = [_direct_road(stands[0], one) for one in families]
        roads += [road for stand in stands for road in _roads(stand)]
        _load(roads, rounds, each, used, tell)
        _verify_again(stands, roads)
        memory = tuple(one for stand in stands for one in _memory(stand))
    direct = {road.way.family: road.rounds for road in roads if road.flow is None}
    ways = [
        replace(road.way, figures=figures_of(road.rounds, direct[road.way.family] if road.flow else ()))
        if road.way.problem is None
        else road.way
        for road in roads
    ]
    return Costs(
        tuple(ways), memory, _said(used), rounds, seconds,
        "/".join(sorted({stand.congestion for stand in stands})),
        (*notes, *(f"the program of {name} gave way to the receiver" for s in stands for name in s.replaced)),
    )  # fmt: skip


def _tools(generator: Generator, each: float, seconds: float) -> tuple[list[Tool], list[str]]:
    """The tools that make loads, and what to say of those that do not."""
    if generator == "own":
        return [], []
    found = tools.installed()
    missing = [name for name in tools.LOADS_OF if name not in {tool.name for tool in found}]
    if generator == "real" and missing:
        raise MachineError(f"{' and '.join(missing)} not found on PATH: install it, or leave out --tool real")
    if not found or each >= tools.SHORTEST:
        return found, []
    names = " and ".join(tool.name for tool in found)
    least = f"{math.ceil(seconds * tools.SHORTEST / each)}"
    if generator == "real":
        raise UsageError(
            f"{names} count in whole seconds, and each load has {each:.2f}: give --seconds {least}"
        )
    return [], [f"{names} can make the loads with --seconds {least} or more"]


def _said(used: Sequence[Tool]) -> str:
    """What made the loads."""
    made = {load for tool in used for load in tools.LOADS_OF[tool.name]}
    rest = [load for load in LOADS if load not in made]
    own = [f"{BUILTIN} ({', '.join(rest)})" if used else BUILTIN] if rest else []
    return ", ".join([*map(str, used), *own])


def _time_of_each(seconds: float, ways: int, rounds: int) -> float:
    each = seconds / (ways * len(LOADS) * (rounds + WARM))
    if each < SHORTEST:
        least = SHORTEST * ways * len(LOADS) * (rounds + WARM)
        raise UsageError(
            f"{ways} ways, {len(LOADS)} loads and {rounds} rounds in {seconds:g} s leave {each * 1000:.0f} "
            f"ms for each load, and less than {SHORTEST * 1000:.0f} ms says nothing: give --seconds "
            f"{math.ceil(least)} or more, fewer flows or fewer --rounds"
        )
    return each


def _direct_road(stand: _Stand, family: Family) -> _Road:
    address = DIRECT_ADDRESSES[family.word][1]
    way = MeasuredWay("", "one veth pair, no rules", family.word, cost.DIRECT, "ok", "none")
    return _Road(way, stand, DIRECT, address, DIRECT_PORT)


def _roads(stand: _Stand) -> list[_Road]:
    """The ways of a lab, each as its trace showed it; those that lead nowhere have a problem."""
    spaces = {node.name: node.namespace for node in stand.plan.nodes}
    found = []
    for flow, journey in zip(stand.flows, stand.trace(), strict=True):
        way = MeasuredWay(
            stand.variant.label, str(flow), flow.family.word, name_of(journey), journey.outcome, journey.path
        )
        if journey.outcome != "ok":
            way = replace(way, problem=journey.problem or f"no packet comes through: {journey.outcome}")
        assert flow.port is not None
        address = split_endpoint(journey.flow.dst)[0]
        found.append(_Road(way, stand, spaces[flow.origin], address, flow.port, flow))
    return found


def _load(
    roads: Sequence[_Road], rounds: int, each: float, used: Sequence[Tool], tell: Callable[[str], None]
) -> None:
    """All loads on all ways, round by round; each round begins with another way."""
    paths = {load: tool.path for tool in used for load in tools.LOADS_OF[tool.name]}
    for number in range(rounds + 1):
        for name in LOADS:
            for place in range(len(roads)):
                road = roads[(place + number) % len(roads)]
                if road.way.problem is not None:
                    continue
                what = f"round {number} of {rounds}" if number else "warming up"
                tell(f"{what}: {name}, {road.way.label}")
                path = paths.get(name) if number else None  # they cannot be as short as warming up is
                _one(road, name, path, each if number else each * WARM, number - 1)


def _one(road: _Road, name: str, tool: str | None, seconds: float, number: int) -> None:
    """One load on one way, by a tool or by netlab; in round -1 it does not count."""
    answer = road.stand.ask(
        {
            **({} if tool is None else {"tool": tool}),
            "load": name,
            "from": road.origin,
            "address": road.address,
            "port": road.port,
            "seconds": seconds,
            "proxies": road.stand.proxies if road.flow is not None else [],
        }
    )
    if "broken" in answer:
        road.way = replace(road.way, problem=f"the load broke off ({name}): {answer['broken']}")
        return
    if number < 0:
        return
    while len(road.rounds) <= number:
        road.rounds.append({})
    road.rounds[number].update(_quantities(name, answer["sample"]))


def _quantities(load: str, sample: dict[str, float]) -> dict[str, float]:
    """What a sample says of each quantity."""
    seconds = sample["seconds"]
    if load == "requests":
        rest: dict[str, float] = {key: sample[key] for key in ("p50", "p99", "p999") if key in sample}
        return {"requests": sample["count"] / seconds, **rest}
    if load == "connections":
        rate, amount = sample["count"] / seconds, sample["count"] / 1000
    else:
        rate, amount = sample["bytes"] * 8 / seconds, sample["bytes"] / 1e9
    found = {load: rate, f"cpu_{load}": sample["cpu"] / amount}
    if "proxy" in sample:
        found[f"proxy_{load}"] = sample["proxy"] / amount
    return found


def _verify_again(stands: Sequence[_Stand], roads: Sequence[_Road]) -> None:
    """A way that a packet no longer takes after the load has no figures."""
    for stand in stands:
        mine = [road for road in roads if road.stand is stand and road.flow is not None]
        for road, journey in zip(mine, stand.trace(), strict=True):
            now = (journey.outcome, journey.path, name_of(journey))
            if road.way.problem is None and now != (road.way.outcome, road.way.path, road.way.name):
                what = f"after the load, a packet took another way: {name_of(journey)}, {journey.outcome}"
                road.way = replace(road.way, outcome="unmeasured", problem=journey.problem or what)


def _memory(stand: _Stand) -> list[Memory]:
    """The memory of one more published port of each host that has any."""
    found = []
    for node in stand.plan.nodes:
        listeners = [one for one in node.listeners if one.protocol == "tcp"]
        if not listeners:
            continue
        port = [one for one in listeners if one.port == listeners[0].port]
        program = os.path.basename(node.proxy) if node.proxy.startswith("/") else "netlab's own"
        what = f"{program} {port[0].process}" if program != port[0].process else program
        try:
            answer = stand.ask(
                {
                    "memory": node.name,
                    "mode": node.proxy,
                    "listeners": codec.encode(tuple(port)),
                    "ports": MANY if node.proxy == "shared" else FEW,
                }
            )
            found.append(Memory(stand.variant.label, what, len(port), answer["octets"]))
        except NetlabError as error:
            found.append(Memory(stand.variant.label, what, len(port), None, str(error)))
    return found
