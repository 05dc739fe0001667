"""Change a running lab: to another plan, or by what happens to its engine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from netlab.kernel.process import memory_file
from netlab.lab import codec, state
from netlab.lab.client.client import Client
from netlab.lab.client.commands import known_chains, run_commands
from netlab.lab.client.nodes import resolve
from netlab.lab.client.observe import observe
from netlab.lab.history import dump_history, load_history
from netlab.lab.record import counts_of
from netlab.model.errors import EngineFailed, LabError, UsageError
from netlab.model.event import Happening
from netlab.model.expectation import ScenarioEvent
from netlab.model.problem import Position, Problem, ScenarioError
from netlab.model.scenario import Scenario
from netlab.plan.change import Change, History, check_hosts, happen, towards
from netlab.plan.commands import commands_of
from netlab.scenario.events import is_command, parse_event
from netlab.version import __version__

#: Seconds that the supervisor may take for a change.
PATIENCE = 600.0


def history_of(client: Client) -> History:
    """The scenario that the lab was built from, and the events since then; raises UsageError, LabError."""
    if client.record.get("version") != __version__:
        raise UsageError(f"{client.name} was built by another version of netlab: take it down and up again")
    try:
        return load_history(client._read(state.HISTORY))
    except FileNotFoundError:
        raise UsageError(
            f"{client.name} was built from a plan alone, so its engine cannot be changed"
        ) from None
    except ValueError as error:
        raise LabError(f"cannot read the history of {client.name}: {error}") from error


def change_towards(client: Client, scenario: Scenario) -> Change | None:
    """What makes the lab that of a scenario; None if only a new lab will do. Raises UsageError."""
    return towards(history_of(client), scenario, observe(client))


def change_lab(client: Client, lock: state.Lock, change: Change, record: Mapping[str, Any]) -> list[str]:
    """Change the lab as ``change`` says: :meth:`StandingLab.change`."""
    found = tuple((host, seen.rulesets, seen.sysctls) for host, seen in change.found.items())
    texts = (codec.dumps(change.plan), dump_history(change.history), codec.dump(found))
    message = {
        "op": "change",
        "renewed": change.renewed,
        "flushed": change.flushed,
        "reloaded": change.reloaded,
        "record": record,
    }
    fds = [memory_file("netlab", text.encode()) for text in texts]
    try:
        answer, _ = client.ask(message, [*fds, lock.fd], patience=PATIENCE)
    finally:
        for fd in fds:
            os.close(fd)
    client._became(change.plan, record)
    warnings: list[str] = answer["warnings"]
    return warnings


def let_happen(client: Client, events: Iterable[ScenarioEvent], lock: state.Lock) -> tuple[str, ...]:
    """Have a scenario's events happen in a lab that has just been built; returns warnings.

    If the engine fails, as the real one would, that is a warning, too. Raises ScenarioError at the position
    of an event that the engine refuses, and LabError if a command fails.
    """
    warnings: list[str] = []
    digest = client.record["digest"]
    for event in events:
        try:
            warnings += do(client, event, lock=lock, digest=digest)[1]
        except EngineFailed as error:
            warnings.append(str(error))
        except ScenarioError:
            raise
        except UsageError as error:
            raise ScenarioError([Problem(event.position, f"event: {error}")]) from None
        except LabError as error:
            raise LabError(f"{event.position}: event: {error}") from None
    return tuple(warnings)


def do(
    client: Client,
    event: str | ScenarioEvent,
    where: str = "event",
    lock: state.Lock | None = None,
    digest: str = "",
) -> tuple[tuple[Happening, ...], list[str]]:
    """Change the state of a lab's engine, in the words of ``netlab do``: :meth:`StandingLab.do`.

    ``digest``: that of the scenario, if the lab is as the scenario says afterwards.
    """
    asked = event
    if isinstance(asked, str):
        asked = parse_event(asked, Position(where, 1, 1), known_chains(client.plan))
    with nullcontext(lock) if lock is not None else state.Lock(client.name) as held:
        history = history_of(client)
        if is_command(asked):
            check_hosts(history.scenario, asked)
            commands = commands_of(history.scenario, asked, client.plan.networks)
            named = [replace(one, node=resolve(client.plan, one.node)) for one in commands]
            return run_commands(client, named), []
        change = happen(history, asked, observe(client))
        if not change.events:
            return (), []
        record = {"digest": digest, **counts_of(change.plan)}
        warnings = change_lab(client, held, change, record)
        if change.failed:
            raise EngineFailed("\n".join(change.failed))
        return change.events, warnings
