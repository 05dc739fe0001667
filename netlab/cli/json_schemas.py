"""Which documents ``--json`` prints, verb by verb, and the JSON Schema of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from netlab.cli import documents as cli
from netlab.cli.output import SCHEMA_VERSION
from netlab.model.journey_json import JourneyDocument
from netlab.model.plan import Plan
from netlab.view import plan as view_plan
from netlab.view.documents.cost import CostsDocument
from netlab.view.documents.diff import DiffDocument
from netlab.view.documents.exposure import ExposureDifferenceDocument, ExposureDocument
from netlab.view.documents.matrix import MatrixDocument
from netlab.view.json_schema import Schema, schema_of


@dataclass(frozen=True, slots=True)
class Printed:
    """What a verb prints: one of these documents, or with ``lines`` one on each line.

    ``version`` is the ``schema_version`` that the verb adds; None if the documents have it themselves.
    """

    option: str
    documents: tuple[type, ...]
    lines: bool = False
    version: int | None = SCHEMA_VERSION


def _whole(*documents: type) -> Printed:
    return Printed("--json", documents)


#: By the name of the schema: that of the verb, and of the option where a verb has two.
PRINTED: Final[dict[str, Printed]] = {
    "up": _whole(cli.UpDocument),
    "down": _whole(cli.DownDocument),
    "ls": _whole(cli.LsDocument),
    "status": _whole(cli.StatusDocument),
    "rules": _whole(cli.RulesDocument),
    "sockets": _whole(cli.SocketsDocument),
    "do": _whole(cli.DoDocument),
    "probe": Printed("--json", (JourneyDocument, cli.ProbeBothDocument), lines=True, version=None),
    "trace": Printed("--json", (cli.TraceDocument,), lines=True, version=None),
    "verify": _whole(cli.VerifyDocument),
    "verify-lines": Printed("--json-lines", (cli.VerifyLineDocument, cli.VerifyEndDocument), lines=True),
    "matrix": _whole(MatrixDocument),
    "exposure": _whole(ExposureDocument, ExposureDifferenceDocument),
    "bench": _whole(CostsDocument),
    "diff": _whole(DiffDocument),
    "explain": _whole(cli.ExplainDocument),
    "drift": _whole(cli.DriftDocument),
    "demo": _whole(cli.DemoDocument),
    "gallery": _whole(cli.GalleryDocument),
    "engines": _whole(cli.EnginesDocument),
    "plan": Printed("--json", (Plan,), version=view_plan.SCHEMA_VERSION),
    "doctor": _whole(cli.DoctorDocument),
    "clean": _whole(cli.CleanDocument),
}


def schema(name: str) -> Schema:
    """The schema of that name."""
    printed = PRINTED[name]
    return schema_of(printed.documents, command(name), printed.version)


def command(name: str) -> str:
    """``netlab verify --json-lines``."""
    return f"netlab {name.partition('-')[0]} {PRINTED[name].option}"
