"""Prove an exposure: packets of each of its regions, sent in a lab, must do what the region says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.exposure.proof import Proof
from netlab.lab.client.instrument import measuring
from netlab.lab.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.exposure.exposure import Exposure
    from netlab.lab.client.client import Client
    from netlab.model.flow import Flow
    from netlab.model.journey import Journey
    from netlab.model.plan import Plan


def prove(client: Client | None, exposure: Exposure) -> Proof:
    """Send packets of each region in a running lab of the same plan, or in one that is built for them.

    Raises LabError and MachineError.
    """
    proof = Proof.of(exposure)
    return proof.judge(exposure, send(client, exposure.plan, [one.flow for one in proof.asked]))


def send(client: Client | None, plan: Plan, flows: Sequence[Flow]) -> list[Journey]:
    """The journeys of flows in a running lab, or in one that is built for them."""
    if not flows:
        return []
    if client is None:
        with Lab(plan=plan) as lab:
            return send(lab.client, plan, flows)
    with measuring(client) as session:
        return session.measure(list(flows))
