"""What is known without a lab: predicted flows beside measured ones, and what becomes of all packets.

The yardstick of the exposure of a scenario is its plan; that of an administrator's ruleset is
``iptables-restore``, which loads it into a namespace: the processor time of a process each.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from netlab.bench.frame import Effort, NoYardstick, Result, absolute, at_least, at_most, interleaved, timed
from netlab.bench.labs import state_of_its_own
from netlab.bench.matrix import SEED
from netlab.bench.startup import netlab
from netlab.journey.matrix import matrix
from netlab.lab.lab import Lab
from netlab.measure.session import Session
from netlab.model.errors import LabError
from netlab.predict.predictor import Predictor

PREDICTED, PLAN, LOADED, MEGABYTES = 20.0, 2.0, 15.0, 512
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
#: What computes the regions of a file's IPv4 packets and its unused rules, and no text of them.
_REGIONS = (
    "import sys, netlab\n"
    "from netlab.exposure.exposure import Exposure\n"
    "from netlab.model.family import Family\n"
    "Exposure.of(netlab.load_plan([sys.argv[1]]), families=(Family.IPV4,))\n"
)


def run(effort: Effort) -> Iterator[Result]:
    """Yield four lines; with ``quick``, a tenth of the containers, ports and rules."""
    if not SEED.exists():
        raise NoYardstick(f"the seed scenario is not there: {SEED}")
    yield _predicted(effort)
    containers, rules = (10, 500) if effort.quick else (100, 5000)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "containers.yaml")
        file.write_text(scenario(containers), "utf-8")
        samples = interleaved(
            effort.fewer(3),
            partial(_spent, netlab("exposure", "--no-proof", str(file))),
            partial(_spent, netlab("plan", str(file))),
        )
        name = f"exposure, {containers} containers, {3 * containers} ports"
        yield samples.result(name, "netlab plan", at_most(PLAN))
        file, saved = Path(folder, "rules.yaml"), Path(folder, "rules.v4")
        file.write_text("services: {}\nx-netlab: {host: {firewall: {iptables: rules.v4}}}\n", "utf-8")
        saved.write_text(ruleset(rules), "utf-8")
        samples = interleaved(
            effort.fewer(3),
            partial(_spent, [sys.executable, "-c", _REGIONS, str(file)]),
            partial(_spent, ["unshare", "--net", "iptables-restore", str(saved)]),
        )
        yield samples.result(f"regions of {rules} rules", "iptables-restore", at_most(LOADED))
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    yield absolute("memory of an exposure", largest, MEGABYTES, unit="MB")


def _spent(command: list[str]) -> float:
    """The processor seconds of a command: it waits for nobody, and processors may be busy."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, env=_ENVIRONMENT, check=False, timeout=300
    )
    if done.returncode:
        raise LabError(f"{command[0]} ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _predicted(effort: Effort) -> Result:
    with state_of_its_own(), Lab(SEED) as lab, Session(lab.namespaces, lab.plan) as session:
        flows = [cell.flow for cell in matrix(lab.plan) if cell.flow.protocol == "tcp"]
        predictor = Predictor.of(lab.plan)
        predict = timed(lambda: predictor.journeys(flows))
        measure = timed(lambda: session.measure(flows))
        samples = interleaved(effort, lambda: len(flows) / predict(), lambda: len(flows) / measure())
    return samples.result("predicted flows", "measured flows", at_least(PREDICTED), unit="/s")


def scenario(containers: int) -> str:
    """A Compose file with containers in networks of 25, each with three published ports."""
    lines = ["services:"]
    for number in range(containers):
        ports = ", ".join(f'"{20000 + 3 * number + one}:{8000 + one}"' for one in range(3))
        lines.append(f"  c{number}: {{image: nginx, networks: [n{number // 25}], ports: [{ports}]}}")
    lines.append("networks:")
    lines += [f"  n{number}: {{}}" for number in range(-(-containers // 25))]
    return "\n".join(lines) + "\n"


def ruleset(rules: int) -> str:
    """An administrator's rules for iptables-restore: blocked sources, and single ports of single hosts."""
    some = random.Random(rules)  # noqa: S311 - the same rules every time, no secret
    lines = ["*filter", ":INPUT DROP [0:0]", ":FORWARD DROP [0:0]", ":OUTPUT ACCEPT [0:0]"]
    for number in range(rules):
        if number % 2:
            address = ".".join(str(some.randrange(1, 223)) for _ in range(4))
            lines.append(f"-A FORWARD -s {address}/32 -j DROP")
        else:
            address = f"10.{number // 500}.{number % 250}.{some.randrange(256)}"
            port = some.randrange(1, 9000)
            lines.append(f"-A FORWARD -d {address}/32 -p tcp -m tcp --dport {port} -j ACCEPT")
    return "\n".join([*lines, "COMMIT", ""])
