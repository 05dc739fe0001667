"""From flows as people write them, with options, to flows and packet shapes to measure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict

from netlab.journey.expand import expand
from netlab.journey.resolve import Resolver
from netlab.model.errors import UsageError
from netlab.model.family import Family
from netlab.model.flow import Flow
from netlab.model.problem import Position, Problem, ScenarioError
from netlab.model.shape import Shape
from netlab.scenario.flow import parse_flow

if TYPE_CHECKING:
    from netlab.model.flow import FlowProtocol
    from netlab.model.plan import Plan


class PacketOptions(TypedDict, total=False):
    """How a probe's packets differ from those of an ordinary socket; the options of ``netlab probe``.

    ``protocol`` overrides the flow's. ``via`` is the node to which the frame is sent, regardless of the
    routing table. ``source`` is an address, forged if the origin does not have it; ``source_port`` is a port.
    The following options send hand-made packets without a connection: ``syn`` (one SYN), ``flags`` (of TCP,
    such as ``"SA"``), ``payload``, ``hops`` (TTL or hop limit), ``fragment`` (the size in octets of the
    fragments of the payload). ``replies`` also measures the path of the answers.
    """

    protocol: FlowProtocol | None
    via: str | None
    source: str | None
    source_port: int | None
    syn: bool
    flags: str | None
    payload: bytes | str | None
    hops: int | None
    fragment: int | None
    replies: bool


def flows(
    plan: Plan,
    asked: str | Flow,
    family: int | None = None,
    options: PacketOptions | None = None,
    *,
    position: Position | None = None,
    resolver: Resolver | None = None,
) -> list[Flow]:
    """The flows that ``asked`` means; without ``family`` (4 or 6), those of both families.

    Raises ScenarioError for a syntax error, with a position relative to ``position``, and UsageError for an
    unknown name, an unknown option, or a family in which the target has no address.
    """
    said = options or {}
    unknown = [key for key in said if key not in PacketOptions.__annotations__]
    if unknown:
        known = ", ".join(PacketOptions.__annotations__)
        raise UsageError(f"a probe has no option {unknown[0]!r}: it has {known}")
    if family not in (None, 4, 6):
        raise UsageError(f"family must be 4 or 6, not {family!r}")
    if isinstance(asked, Flow):
        found = [asked] if family in (None, asked.family) else []
        if not found:
            raise UsageError(f"{asked} is an {asked.family.word} flow")
    else:
        pattern = parse_flow(asked, position or Position("flow", 1, 1), said.get("protocol"))
        if said.get("via") is not None:
            pattern = replace(pattern, via=said["via"])
        found = expand(pattern, plan, None if family is None else (Family(family),), resolver)
    own = {key: said.get(key) for key in ("source", "source_port") if said.get(key) is not None}
    return [replace(flow, **own) for flow in found] if own else found  # type: ignore[arg-type]


def gathered(
    plan: Plan, texts: list[tuple[str, int]], family: int | None, options: PacketOptions
) -> list[Flow]:
    """The flows of several texts, each with its number; raises one ScenarioError for all that is wrong."""
    resolver = Resolver(plan)
    found: list[Flow] = []
    problems: list[Problem] = []
    for text, number in texts:
        position = Position("flow", number, 1)
        try:
            found += flows(plan, text, family, options, position=position, resolver=resolver)
        except ScenarioError as error:
            problems += error.problems
        except UsageError as error:
            problems.append(Problem(position, str(error)))
    if problems:
        raise ScenarioError(problems)
    return found


def shape(options: PacketOptions) -> Shape | None:
    """The shape of hand-made packets; None if an ordinary socket is enough."""
    if not any(options.get(key) for key in ("syn", "flags", "payload", "hops", "fragment")):
        return None
    payload = options.get("payload") or b""
    return Shape(
        Family.IPV4,  # a shape's family and protocol are each flow's own
        "tcp",
        flags=options.get("flags") or "S",
        payload=payload.encode() if isinstance(payload, str) else payload,
        hops=options.get("hops") or 64,
        fragment=options.get("fragment") or 0,
    )
