"""Prove an exposure: packets of each of its regions, sent in a lab, must do what the region says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from netlab.exposure.described import described
from netlab.exposure.exposure import Exposure
from netlab.exposure.proof import Proof
from netlab.lab.client.instrument import measuring
from netlab.lab.lab import Lab
from netlab.model.family import Family

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.exposure.described import Described
    from netlab.lab.client.client import Client
    from netlab.model.flow import Flow
    from netlab.model.journey import Journey
    from netlab.model.plan import Plan


class Asked(NamedTuple):
    """The packets whose fate is asked for; ``families``: 4, 6.

    ``proof``: some are sent in a lab. ``boxes``: exact boxes of each region are wanted.
    """

    origin: str
    target: str | None
    families: tuple[int, ...]
    proof: bool
    boxes: bool


def prove(client: Client | None, exposure: Exposure) -> Proof:
    """Send packets of each region in a running lab of the same plan, or in one that is built for them.

    Raises LabError and MachineError.
    """
    proof = Proof.of(exposure)
    return proof.judge(exposure, send(client, exposure.plan, [one.flow for one in proof.asked]))


def exposed(client: Client | None, plan: Plan, asked: Asked) -> Described:
    """The exposure of a plan, with its proof unless ``asked`` forbids it; raises what the two raise."""
    exposure = Exposure.of(plan, asked.origin, asked.target, tuple(map(Family, asked.families)))
    return described(exposure, prove(client, exposure) if asked.proof else None, boxes=asked.boxes)


def send(client: Client | None, plan: Plan, flows: Sequence[Flow]) -> list[Journey]:
    """The journeys of flows in a running lab, or in one that is built for them."""
    if not flows:
        return []
    if client is None:
        with Lab(plan=plan) as lab:
            return send(lab.client, plan, flows)
    with measuring(client) as session:
        return session.measure(list(flows))
