"""The measured journeys of the gallery, of its variants, and of the seed on every engine.

``nox -s journeys`` measures and writes them again, after the matrix, a scenario or the JSON of a journey has
changed; tests compare predictions with them. ``nox -s journeys -- --missing`` measures new scenarios only.
"""

from __future__ import annotations

import json
import lzma
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import netlab
from netlab.journey.expand import claims
from netlab.journey.matrix import matrix
from netlab.model.flow import Flow
from netlab.model.journey import Journey
from netlab.model.plan import Plan

ROOT: Final = Path(__file__).parents[2]
FILE: Final = ROOT / "tests" / "data" / "journeys" / "gallery.jsonl.xz"
#: at most so many flows of one lab, evenly chosen
MOST: Final = 400
ENGINES: Final = (
    "docker-19.03", "docker-23", "docker-24", "docker-25", "docker-26", "docker-27", "docker-28.0",
    "docker-28", "docker-29", "docker-29-nftables",
)  # fmt: skip


class Variant(NamedTuple):
    """A scenario of the gallery, perhaps with another engine, or without the userland proxy."""

    scenario: str
    engine: str = ""
    proxy: bool = True

    def options(self) -> dict[str, Any]:
        """The options of :func:`netlab.load_plan` and :class:`netlab.Lab`."""
        chosen: dict[str, Any] = {"engine": self.engine} if self.engine else {}
        return chosen if self.proxy else {**chosen, "daemon": {"userland-proxy": False}}

    @property
    def path(self) -> str:
        """The scenario's file."""
        return str(ROOT / "scenarios" / f"{self.scenario}.yaml")


def variants() -> Iterator[Variant]:
    """Everything that is recorded."""
    yield from (Variant(path.stem) for path in sorted((ROOT / "scenarios").glob("*.yaml")))
    yield from (Variant("httpd", engine) for engine in ENGINES)
    for engine in ("docker-20.10", "docker-27", "docker-28", "docker-29", "docker-29-nftables"):
        yield Variant("httpd", engine, proxy=False)
    for scenario in ("ufw-published", "firewalld", "dual-stack"):
        for engine in ("docker-20.10", "docker-28", "docker-29", "docker-29-nftables"):
            yield Variant(scenario, engine)


def flows_of(plan: Plan) -> list[Flow]:
    """The flows of a lab: its matrix, and what its scenario expects before any event."""
    found = {cell.flow: None for cell in matrix(plan)}
    found |= {claim.flow: None for claim in claims([one for one in plan.expect if not one.after], plan)}
    return list(found)


def chosen(flows: list[Flow]) -> list[Flow]:
    """At most :data:`MOST` of these flows."""
    return flows[:: -(-len(flows) // MOST)]


def record(*, missing: bool = False) -> None:
    """Measure everything; a variant that its engine refuses is left out.

    ``missing``: only what is not recorded yet; what is stays as it is, but for files that are gone.
    """
    kept = recorded() if missing else {}
    lines = []
    for variant in variants():
        if variant in kept:
            lines += written(variant, kept[variant])
            continue
        try:
            with netlab.Lab(variant.path, **variant.options()) as lab:
                journeys = lab._measured(chosen(flows_of(lab.plan)), {})
        except netlab.UsageError as error:
            print(f"{variant}: {error}", flush=True)
            continue
        print(f"{variant}: {len(journeys)} flows", flush=True)
        lines += written(variant, journeys)
    FILE.write_bytes(lzma.compress("\n".join(lines).encode(), preset=9))


def written(variant: Variant, journeys: list[Journey]) -> Iterator[str]:
    """The lines of one variant."""
    yield json.dumps({**variant._asdict(), "flows": len(journeys)})
    for one in journeys:
        yield json.dumps(one.to_json(), separators=(",", ":"), ensure_ascii=False)


def recorded() -> dict[Variant, list[Journey]]:
    """Variant → its measured journeys."""
    lines = iter(lzma.decompress(FILE.read_bytes()).decode().split("\n"))
    found = {}
    for line in lines:
        head = json.loads(line)
        count = head.pop("flows")
        found[Variant(**head)] = [Journey.from_json(json.loads(next(lines))) for _ in range(count)]
    return found


if __name__ == "__main__":
    record(missing="--missing" in sys.argv)
