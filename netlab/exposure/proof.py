"""Whether journeys do what the regions of their packets say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from netlab.exposure.exposure import Exposure
from netlab.exposure.fate import UNSURE
from netlab.exposure.witness import Witness, disagreement, witnesses
from netlab.model.journey import Journey
from netlab.model.outcome import UNKNOWN

#: the error of a kernel that has no sockets of a protocol: that of the packets says nothing
_NO_SOCKETS: Final = "EPROTONOSUPPORT"


def silent(journey: Journey) -> bool:
    """Whether a journey says nothing of a packet: it could not be measured, or not be sent."""
    return journey.outcome in UNKNOWN or journey.errno == _NO_SOCKETS


@dataclass(frozen=True, slots=True)
class Disproof:
    """A packet that did something else than its region says: ``problem`` is the difference."""

    witness: Witness
    journey: Journey
    problem: str


@dataclass(slots=True)
class Proof:
    """What journeys say of an exposure: how many packets were tried, and which ones did otherwise.

    ``unmeasured``: packets whose way is not known. ``unsent``: those of a protocol of which the kernel has no
    sockets (SCTP). ``unproved``: how many regions say nothing that could be proved, or have no node that
    could send their packets.
    """

    tried: int = 0
    regions: int = 0
    unproved: int = 0
    asked: list[Witness] = field(default_factory=list)
    unmeasured: list[Witness] = field(default_factory=list)
    unsent: list[Witness] = field(default_factory=list)
    wrong: list[Disproof] = field(default_factory=list)

    @classmethod
    def of(cls, exposure: Exposure) -> Proof:
        """The packets to try: from the inside and the edges of each region."""
        proof = cls()
        for part in exposure.parts:
            for region in part.regions:
                claims = region.fate.word not in UNSURE
                found = witnesses(exposure.plan, part, region) if claims else []
                proof.unproved += not found
                proof.regions += bool(found)
                proof.asked += found
        return proof

    def judge(self, exposure: Exposure, journeys: Sequence[Journey]) -> Proof:
        """Compare a journey of each packet that was asked for, in their order; returns itself."""
        for witness, journey in zip(self.asked, journeys, strict=True):
            if silent(journey):
                (self.unsent if journey.errno == _NO_SOCKETS else self.unmeasured).append(witness)
                continue
            self.tried += 1
            problem = disagreement(witness.fate, journey, exposure.plan)
            if problem is not None:
                self.wrong.append(Disproof(witness, journey, problem))
        return self
