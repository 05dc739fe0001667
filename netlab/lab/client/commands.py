"""Commands of the administrator's in a running lab: events that no engine takes part in."""

from __future__ import annotations

import json
import os
import tempfile
from typing import TYPE_CHECKING

from netlab.model.errors import LabError
from netlab.model.rules import IptablesRuleset
from netlab.scenario.events import made_by

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netlab.lab.client.client import Client
    from netlab.model.event import HostCommand
    from netlab.model.plan import Plan


def known_chains(plan: Plan) -> frozenset[str]:
    """The chains to which a command may jump: the plan's, and those that the scenario's commands make."""
    rulesets = [r for node in plan.nodes for r in node.rulesets if isinstance(r, IptablesRuleset)]
    chains = {chain.name for ruleset in rulesets for table in ruleset.tables for chain in table.chains}
    events = (*plan.events, *(plan.expect[-1].after if plan.expect else ()))
    return frozenset(chains).union(*map(made_by, events))


def run_commands(client: Client, commands: Iterable[HostCommand]) -> tuple[HostCommand, ...]:
    """Run commands one after the other, in the same isolation as the lines of ``rules``.

    Raises LabError with the message of the first one that fails; later ones are not run.
    """
    return tuple(_run(client, command) for command in commands)


def _run(client: Client, command: HostCommand) -> HostCommand:
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(json.dumps(command.given).encode())
        given.seek(0)
        stdio = (given.fileno(), said.fileno(), said.fileno())
        with client.start_module(
            "netlab.lab.node.tool", command.argv, nodes=[command.node], stdio=stdio
        ) as process:
            code = process.wait()
        words = os.pread(said.fileno(), 1 << 16, 0).decode(errors="replace").strip()
    if code != 0:
        line = f"{' '.join(command.argv)} in {client.name}.{command.node}"
        raise LabError(f"{line}: {words or f'exit code {code}'}")
    return command
