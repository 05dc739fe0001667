"""Run a line of the administrator's in a node of a running lab, isolated as the lines of ``rules`` are.

A module for :meth:`netlab.lab.client.client.Client.start_module`.
"""

from __future__ import annotations

import json
import sys

from netlab.kernel import process, sysctl
from netlab.kernel.sandbox.launcher import TOOL, Program, Sandbox
from netlab.model.errors import LabError, MachineError


def main(arguments: list[str], fds: list[int], namespaces: dict[str, int]) -> int:
    """Run ``arguments`` in the one namespace; what it is given is JSON on stdin. The tool's exit code."""
    del fds
    given: str = json.load(sys.stdin)
    (network,) = namespaces.values()
    try:
        process.find(arguments[0])
        sysctl.demand_br_netfilter(f"{arguments} {given}")
        sandbox = Sandbox()
        try:
            done = sandbox.run(Program(tuple(arguments), network, TOOL), given.encode())
        finally:
            sandbox.close()
    except (LabError, MachineError) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    sys.stderr.write((done.errors or done.output).strip())
    sys.stderr.flush()
    return done.code
