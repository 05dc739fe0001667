"""A lab that belongs to this program, and ends with it: ``with netlab.Lab("scenario.yaml") as lab``."""

from __future__ import annotations

import itertools
import os
import threading
from typing import TYPE_CHECKING, Any

from netlab.lab import codec, state
from netlab.lab.client import Client, resolve
from netlab.lab.launch import Launch
from netlab.lab.load import load_plan, record_of
from netlab.lab.output import collect
from netlab.model.errors import LabError, UsageError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from netlab.model.plan import Plan
    from netlab.model.scenario import JsonValue

_numbers = itertools.count(1)


class Lab:
    """A scenario as a living lab, from the constructor to :meth:`close`.

    A supervisor of its own holds everything; it ends with this object's process, however that ends. Any
    thread may use it. A forked child may use it too, but does not own it: its ``close`` does nothing.

    Without ``name`` it is called after its file, this process and a number, so that any number of programs
    may hold the same scenario; ``netlab ls`` and ``netlab shell`` know it meanwhile.

    Raises ScenarioError (everything that is wrong with the files), MachineError, LabError.
    """

    def __init__(
        self,
        *files: str | Path,
        engine: str | None = None,
        firewall: str | None = None,
        daemon: Mapping[str, JsonValue] | Sequence[str] = (),
        name: str | None = None,
        project_name: str | None = None,
        profiles: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        allow_outside_files: bool = False,
        allow_programs: bool = False,
        plan: Plan | None = None,
    ) -> None:
        """Build it: from ``files``, merged by Compose's rules, or from a ``plan`` that is there already."""
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._namespaces: dict[str, int] = {}
        self._launch: Launch | None = None
        launch = Launch()
        try:
            if plan is None:
                plan = load_plan(
                    files,
                    engine=engine,
                    firewall=firewall,
                    daemon=daemon,
                    name=name,
                    project_name=project_name,
                    profiles=profiles,
                    environ=environ,
                    allow_outside_files=allow_outside_files,
                )
            if not allow_programs:
                from netlab.lab.load import refuse_programs

                refuse_programs(plan)
            self._client = _build(launch, plan, name, files)
        except BaseException:
            launch.abandon()
            raise
        self._launch = launch
        self.warnings = tuple(launch.warnings)

    @property
    def name(self) -> str:
        """The lab's name, as ``netlab ls`` shows it."""
        return self._client.name

    @property
    def plan(self) -> Plan:
        """What was built."""
        return self._client.plan

    @property
    def client(self) -> Client:
        """The connection to the supervisor, for what this class does not offer."""
        return self._client

    @property
    def namespaces(self) -> Mapping[str, int]:
        """Descriptors of all nodes' network namespaces, by name; they are this object's, and stay open."""
        with self._lock:
            self._check()
            if not self._namespaces:
                self._namespaces = self._client.namespaces(node.name for node in self.plan.nodes)
            return self._namespaces

    def exec(
        self,
        node: str,
        argv: Sequence[str],
        *,
        input: str | None = None,
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in a node and wait for it, as :func:`subprocess.run` does with captured text.

        Raises UsageError for an unknown node, subprocess.TimeoutExpired (the program is killed), with
        ``check`` subprocess.CalledProcessError.
        """
        self._check()
        return collect(
            self._client,
            resolve(self.plan, node),
            argv,
            given=input,
            timeout=timeout,
            env=env,
            cwd=cwd,
            check=check,
        )

    def close(self) -> None:
        """Take the lab down; returns when it is gone. Doing it twice is no error."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            launch, self._launch = self._launch, None
            for fd in self._namespaces.values():
                os.close(fd)
            self._namespaces = {}
        if launch is not None:
            with state.Lock(self.name):
                launch.abandon()

    def _check(self) -> None:
        if self._launch is None:
            raise LabError(f"the lab {self.name} is closed")

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_launch", None) is not None and os.getpid() == self._owner:
            self.close()

    def __repr__(self) -> str:
        return f"<netlab.Lab {self.name}{'' if self._launch else ', closed'}>"


def _build(launch: Launch, plan: Plan, name: str | None, files: Sequence[Any]) -> Client:
    """Build the plan under a name that is free; raises UsageError if ``name`` is not."""
    while True:
        chosen = name or f"{plan.name}-{os.getpid()}-{next(_numbers)}"
        with state.Lock(chosen) as lock:
            record = state.read(chosen)
            if record is not None and record.data:
                if not record.alive:
                    state.remove(record)
                elif name is not None:
                    raise UsageError(f"there is a lab {chosen} already")
                continue  # cleared, or the name of a program with our number in another PID namespace
            if lock.holds():
                return _build_as(launch, chosen, plan, files)


def _build_as(launch: Launch, name: str, plan: Plan, files: Sequence[Any]) -> Client:
    from dataclasses import replace

    text = codec.dumps(replace(plan, name=name))
    launch.build(name, text, record_of(plan, text, files, owner=os.getpid()))
    launch.commit(detach=False)
    found = state.read(name)
    assert found is not None
    return Client(found)
