"""No false alarm: drift finds nothing on the host of a real daemon, in any configuration.

Each takes seconds: a plain run takes a few, ``--conformance-all`` and ``--conformance-engine`` take all.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from groundtruth.daemons import Installed
from groundtruth.matrix import Case
from groundtruth.real import RealHost, real_host
from groundtruth.source import events, scenario_of

from netlab.bench.real.api import ApiError
from netlab.bench.real.daemon import DaemonError
from netlab.lab.twins import Twin
from netlab.twin.archive import read_archive
from netlab.twin.drift import drift
from netlab.twin.finding import Finding
from netlab.twin.script import script

#: where something has broken the host: rules are flushed
BROKEN = {"event-flush": {"missing"}, "event-flush-then-restart": {"missing", "unreachable"}}


def found_on(real: RealHost) -> list[Finding] | None:
    """What drift finds, once the host is collected; None if there is no daemon to ask."""
    if not real.daemon.running:
        return None
    done = subprocess.run(
        real.testbed.argv(["sh"]), input=script("test").encode(), capture_output=True, check=True
    )
    twin = Twin(read_archive(done.stdout, "host.tar"))
    return drift(twin.drafted.host, twin.facts)


def test_nothing_is_found_on_a_healthy_host(healthy: tuple[Installed, Case]) -> None:
    daemon, case = healthy
    command = shutil.which("docker")
    assert command is not None, "run ./install --dev"
    scenario = scenario_of(case.path, daemon.engine)
    host = scenario.hosts[0]
    try:
        with real_host(scenario, host, events(scenario, host), daemon.lower) as real:
            real.admin(host.rules)
            program = real.testbed.root / "usr/local/bin/docker"
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_bytes(Path(command).read_bytes())
            program.chmod(0o755)
            findings = found_on(real)
    except (DaemonError, ApiError):
        return  # the daemon refuses the configuration: test_configuration.py compares that
    if findings is None:
        pytest.skip("the configuration ends with a daemon that is stopped")
    assert {one.kind for one in findings} == BROKEN.get(case.name, set()), findings
