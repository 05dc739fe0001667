"""Commands in other PID and time namespaces than the lab's owner: a running lab is not removed."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

#: Another boot time, other PIDs: what a container that shares /run/netlab has.
ELSEWHERE = ["unshare", "--pid", "--fork", "--mount-proc", "--time", "--boottime", "100000"]


def elsewhere(netlab: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``netlab ARGUMENTS`` in namespaces of its own, to the exit code 0."""
    apart = ELSEWHERE if os.geteuid() == 0 else [*ELSEWHERE, "--map-root-user"]
    done = subprocess.run(
        [*apart, sys.executable, "-m", "netlab", *arguments],
        env=netlab.env, cwd=netlab.cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("verb", ["ls", "clean", "status", "doctor"])
def test_no_command_in_other_namespaces_removes_a_running_lab(netlab: Any, verb: str) -> None:
    lab = netlab.up()
    listed = elsewhere(netlab, verb)
    assert (lab in listed.stdout) is (verb in ("ls", "status"))
    assert "client" in netlab("status", lab).stdout
    assert elsewhere(netlab, "down", lab).stderr == f"down: {lab}\n"
    assert lab not in netlab("ls").stdout
