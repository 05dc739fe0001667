"""A lab that ends with this program: ``with netlab.Lab("scenario.yaml") as lab``."""

from __future__ import annotations

import itertools
import os
import threading
from typing import TYPE_CHECKING, Any

from netlab.lab import codec, state
from netlab.lab.client.client import Client, resolve
from netlab.lab.client.instrument import Instrument
from netlab.lab.client.launch import Launch
from netlab.lab.client.per_process import PerProcess
from netlab.lab.interrupts import Hold
from netlab.lab.options import (
    check,
    load_scenario,
    of_scenario,
    record_of,
    refuse_programs,
    show_warnings,
)
from netlab.lab.questions import Questions, refuse_unmeasured
from netlab.lab.standing import claim
from netlab.lab.unbroken import unbroken
from netlab.model.errors import EngineFailed, LabError, OptionError, UsageError
from netlab.plan import make

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Unpack

    from netlab.journey.expect import Verdict
    from netlab.journey.matrix import Column
    from netlab.lab.client.capture import Capture
    from netlab.lab.client.sockets import Listening
    from netlab.lab.explain import Explanation
    from netlab.lab.options import LabOptions
    from netlab.lab.probe_options import PacketOptions
    from netlab.model.event import Happening
    from netlab.model.flow import Flow
    from netlab.model.journey import Journey
    from netlab.model.plan import Plan
    from netlab.model.scenario import Scenario
    from netlab.plan.change import History
    from netlab.plan.live_rules import Rules

_numbers = itertools.count(1)


class Lab(Questions):
    """A scenario as a living lab, from the constructor to :meth:`close`.

    A supervisor of its own holds everything; it ends with this object's process, however that ends. Any
    thread may use it; flows are measured one call after the other. A forked child may use it too, but does
    not own it: its ``close`` does nothing.

    What cannot be measured raises Unmeasured, so that it is neither taken for a pass nor for a failure.

    Without ``name`` it is called after its file, this process and a number, so that any number of programs
    may hold the same scenario; ``netlab ls`` and ``netlab shell`` know it meanwhile.

    Raises ScenarioError (everything that is wrong with the files), MachineError, LabError.
    """

    def __init__(
        self,
        *files: str | Path,
        plan: Plan | None = None,
        scenario: Scenario | None = None,
        **options: Unpack[LabOptions],
    ) -> None:
        """Build it: from ``files``, merged by Compose's rules, or from a ``plan`` that is there already.

        ``options``: see :class:`~netlab.lab.options.LabOptions`. With a ``plan`` comes the ``scenario`` that
        it is of; without, nothing can :meth:`do` anything to it. What changes a scenario (``engine``, …)
        cannot be combined with a ``plan``.
        """
        check(options)
        name = options.get("name")
        if plan is not None:
            for option in of_scenario(options).keys() - {"name"}:
                raise OptionError("cannot change a plan that is made already", option)
        self._owner = os.getpid()
        self._lock = PerProcess(threading.Lock)
        self._namespaces: dict[str, int] = {}
        self._launch: Launch | None = None
        self._hold = Hold()
        try:
            self._hold.take()
            launch = self._launch = Launch()
            if plan is None:
                scenario = load_scenario(files, **of_scenario(options))
                show_warnings(scenario, stacklevel=3)
                plan = make(scenario)
            if not options.get("allow_programs", False):
                refuse_programs(plan)
            self._client = _build(launch, plan, scenario, name, self._names(plan), files)
            #: the session that all measuring here goes through, for what this class does not offer
            self.instrument = Instrument(self._client)
            self.warnings = tuple(launch.warnings)
        except BaseException:
            self._give_up()
            raise

    @unbroken
    def _give_up(self) -> None:
        """The end of a lab that did not come to be; also of one that an interrupt came too late for."""
        launch, self._launch = self._launch, None
        if launch is not None:
            launch.abandon()
        self._hold.let_go()

    def _names(self, plan: Plan) -> Iterator[str]:
        """Names to try, one after the other, where the caller gave none."""
        while True:
            yield f"{plan.name}-{os.getpid()}-{next(_numbers)}"

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
        """Descriptors of all nodes' network namespaces, by name; they are this object's to close.

        They stay open until something happens to the lab (:meth:`do`).
        """
        with self._lock():
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
        return self._client.exec(node, argv, input=input, timeout=timeout, env=env, cwd=cwd, check=check)

    def do(self, event: str) -> tuple[Happening, ...]:
        """Have something happen to the engine, in the words of ``netlab do``: ``lab.do("restart httpd")``.

        The engine acts on the host as it is, whatever others have done there; namespaces, connections and
        rules that have nothing to do with it stay. Returns what happened, in the engine's terms. Raises
        ScenarioError for what is no event, UsageError where the engine refuses it or the lab was made from a
        plan alone, EngineFailed where the engine fails midway, as the real one would.
        """
        with self._lock(), state.Lock(self.name) as lock, self.instrument.suspended():
            self._check()
            try:
                events, warnings = self._client.do(event, lock=lock)
            except EngineFailed:
                self._forget()
                raise
            if events:
                self.warnings += tuple(warnings)
                self._forget()
        return events

    def let_happen(self, event: str) -> None:
        """:meth:`do` of an event between flows: if the engine fails midway, the flows show what it left."""
        try:
            self.do(event)
        except EngineFailed as error:
            self.warnings += (str(error),)

    # -- measuring

    def verify(self, *, tell: Callable[[], None] = lambda: None) -> list[Verdict]:
        """Measure everything that the scenario expects; whether it was met is in each verdict.

        Events between flows happen to this lab. Unmeasured flows are verdicts too. A scenario that expects
        nothing has none. ``tell`` is called at each measured flow.
        """
        from netlab.lab.stages import judge, stages

        self._check()
        verdicts: list[Verdict] = []
        for stage in stages(self.plan, self._history()):
            for event in stage.events:
                self.let_happen(event.text)
            with self.instrument.held() as session:
                verdicts += judge(session, stage.claims, self.plan, tell=tell)
        self._note([verdict.journey for verdict in verdicts])
        return verdicts

    def _history(self) -> History | None:
        """What led to the lab as it stands; None if it came of a plan alone."""
        return self._client.history if self._client.has_history else None

    def matrix(self) -> Column:
        """Who can reach what: every origin to every port of every service, each way in, each family."""
        __tracebackhide__ = True
        from netlab.lab.client.instrument import measure_matrix

        self._check()
        with self.instrument.held() as session:
            column = measure_matrix(self._client, session=session)
        self._note([journey for _, journey in column.answers.values()])
        refuse_unmeasured(journey for _, journey in column.answers.values())
        return column

    def explain(self, flow: str | Flow, family: int | None = None) -> Explanation:
        """Which rule decides a flow, which one would change that, and what it changed when tried."""
        from netlab.lab.explain import explain

        (asked,) = self._flows(flow, family, {}, alone=True)
        with self.instrument.held() as session:
            explanation = explain(self._client, asked, session=session)
        refuse_unmeasured(journey for journey in (explanation.before, explanation.after) if journey)
        return explanation

    def _measured(self, flows: Sequence[Flow], options: PacketOptions) -> list[Journey]:
        __tracebackhide__ = True
        from netlab.lab.probe_options import shape

        with self.instrument.held() as session:
            journeys = session.measure(flows, shape=shape(options), replies=options.get("replies", False))
        self._note(journeys)
        refuse_unmeasured(journeys)
        return journeys

    def _note(self, journeys: Sequence[Journey]) -> None:
        """Hear of everything that is measured: for those who keep a record."""

    # -- looking

    def rules(self, node: str | None = None, family: int | None = None) -> Rules:
        """The living rules of a node, with counters and reasons; default: the one host's.

        As a string, everything as the tools print it. Raises UsageError where there are several hosts.
        """
        from netlab.lab.client.rules import read_rules
        from netlab.model.family import FAMILIES, Family

        self._check()
        hosts = [found.name for found in self.plan.nodes if found.kind == "host"]
        if node is None and len(hosts) != 1:
            raise UsageError(f"say of which node the rules are asked: {', '.join(hosts)}")
        families = FAMILIES if family is None else (Family(family),)
        return read_rules(self._client, resolve(self.plan, node or hosts[0]), families)

    def sockets(self, node: str | None = None) -> list[Listening]:
        """Every listening socket, of one node's namespace or of all: who holds it, and what it is for."""
        from netlab.lab.client.sockets import sockets

        self._check()
        return sockets(self._client, None if node is None else resolve(self.plan, node))

    def capture(self, path: str | Path, node: str | None = None, interface: str | None = None) -> Capture:
        """A context manager that writes what passes into a pcapng file; default: all nodes' interfaces.

        Everything sent in its body is in the file when it ends; ``packets`` and ``lost`` count then.
        """
        from netlab.lab.client.capture import Capture, sources_in

        self._check()
        return Capture(self._client, path, sources_in(self.plan, node, interface))

    # -- the end

    @unbroken
    def release(self) -> None:
        """Let the lab live on without this program, until ``netlab down``; closes this object."""
        with self._lock():
            self._check()
            self.instrument.close()
            assert self._launch is not None
            self._launch.commit(detach=True)
            self._launch = None
            self._forget()
        self._hold.let_go()

    @unbroken
    def close(self) -> None:
        """Take the lab down; returns when it is gone. Doing it twice is no error."""
        if os.getpid() != self._owner:
            return
        with self._lock():
            launch, self._launch = self._launch, None
            if launch is not None:
                self.instrument.close()
            self._forget()
        if launch is not None:
            with state.Lock(self.name) as lock:
                launch.abandon()
                state.clear(lock)  # where it had to be killed, or was
        self._hold.let_go()

    def _forget(self) -> None:
        for fd in self._namespaces.values():
            os.close(fd)
        self._namespaces = {}

    def _check(self) -> None:
        if self._launch is None:
            raise LabError(f"the lab {self.name} is closed")

    def __enter__(self) -> Lab:
        return self

    @unbroken
    def __exit__(self, *_: object) -> None:
        self.close()

    @unbroken
    def __del__(self) -> None:
        if getattr(self, "_launch", None) is not None and os.getpid() == self._owner:
            self.close()

    def __repr__(self) -> str:
        return f"<netlab.Lab {self.name}{'' if self._launch else ', closed'}>"


def _build(
    launch: Launch,
    plan: Plan,
    scenario: Scenario | None,
    name: str | None,
    names: Iterator[str],
    files: Sequence[Any],
) -> Client:
    """Build the plan under a name that is free; raises UsageError if ``name`` is not."""
    while True:
        lock, taken = claim(name or next(names), lambda _: True)
        with lock:
            if not taken:
                return _build_as(launch, lock, plan, scenario, files)
            if name is not None:
                raise UsageError(f"there is a lab {name} already")
        # else the name of a program with our number in another PID namespace


def _build_as(
    launch: Launch, lock: state.Lock, plan: Plan, scenario: Scenario | None, files: Sequence[Any]
) -> Client:
    from dataclasses import replace

    name = lock.name
    text = codec.dumps(replace(plan, name=name))
    history = ""
    if scenario is not None:
        from netlab.plan.change import History

        history = codec.dump_history(History.of(replace(scenario, name=name)))
    launch.build(lock, text, record_of(plan, text, files, owner=os.getpid()), history=history)
    launch.commit(detach=False)
    found = state.read(name)
    assert found is not None
    return Client(found)
