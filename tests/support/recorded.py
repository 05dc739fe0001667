"""The recorded journeys of scenarios/httpd.yaml, with which the API's examples are run.

``sudo .venv/bin/python tests/support/recorded.py`` measures and writes them again, after the matrix or the
JSON of a journey has changed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import netlab

ROOT: Final = Path(__file__).parents[2]
SCENARIO: Final = ROOT / "scenarios" / "httpd.yaml"
JOURNEYS: Final = ROOT / "tests" / "data" / "journeys" / "httpd.jsonl"


def record() -> None:
    """Measure the scenario's matrix and expectations, and write one journey on each line."""
    with netlab.Lab(SCENARIO) as lab:
        measured = [journey for _, journey in lab.matrix().answers.values()]
        measured += [verdict.journey for verdict in lab.verify()]
    lines = {
        (one.flow.origin, one.flow.to, one.flow.family): json.dumps(
            one.to_json(), ensure_ascii=False, separators=(",", ":")
        )
        for one in measured
    }
    JOURNEYS.write_text("\n".join(lines.values()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record()
