"""Predictions need no Linux: the room works where the modules that only Linux has cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in {"fcntl", "resource", "ctypes", "_ctypes", "termios", "grp", "pwd", "syslog"}:
            raise ImportError(f"{name} is hidden")
        if name.startswith(("pyroute2", "scapy", "netlab.kernel", "netlab.measure", "netlab.lab")):
            raise ImportError(f"{name} is hidden")

sys.meta_path.insert(0, Hidden())
from netlab.exposure.difference import compare
from netlab.exposure.exposure import Exposure
from netlab.journey.expand import expand
from netlab.model.problem import Position
from netlab.plan import make
from netlab.predict.predictor import Predictor
from netlab.scenario import load
from netlab.scenario.flow import parse_flow

plan = make(load([sys.argv[1]], environ={}))
flows = expand(parse_flow("client -> host:80", Position("flow", 1, 1)), plan)
for journey in Predictor.of(plan).journeys(flows):
    print(journey.how, journey.flow.family, journey.outcome, journey.path)
exposure = Exposure.of(plan)
for part in exposure.parts:
    print(part.family.word, sum(region.fate.open for region in part.regions) > 0, len(part.lines()) > 3)
print(any(one.changes for one in compare((plan, plan))))
"""

EXPOSED = ["ipv4 True True", "ipv6 True True", "False"]


def test_plan_prediction_and_exposure_run_without_what_only_linux_has() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(ROOT / "scenarios" / "httpd.yaml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["predicted ipv4 ok forward", "predicted ipv6 ok proxy", *EXPOSED]
