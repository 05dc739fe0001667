"""A lab that ends with this program: ``with netlab.Lab("scenario.yaml") as lab``."""

from __future__ import annotations

import itertools
import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netlab.exposure.proof import Proof
from netlab.lab import codec, state
from netlab.lab.bring_up import claim
from netlab.lab.client import changes
from netlab.lab.client.capture import Capture, sources_in
from netlab.lab.client.instrument import Instrument, measure_matrix
from netlab.lab.client.launch import Launch
from netlab.lab.client.nodes import resolve
from netlab.lab.client.per_process import PerProcess
from netlab.lab.client.programs import RunsPrograms
from netlab.lab.client.rules import read_rules
from netlab.lab.client.sockets import sockets
from netlab.lab.explain import explain
from netlab.lab.history import dump_history
from netlab.lab.interrupts import Hold
from netlab.lab.load import load_scenario, show_warnings
from netlab.lab.options import check, of_scenario, refuse_programs
from netlab.lab.probe_options import shape
from netlab.lab.questions import Questions, refuse_unmeasured
from netlab.lab.record import record_of
from netlab.lab.stages import judge, stages
from netlab.lab.standing import StandingLab
from netlab.lab.unbroken import unbroken
from netlab.model.errors import EngineFailed, LabError, OptionError, UsageError
from netlab.model.family import FAMILIES, Family
from netlab.plan import make
from netlab.plan.change import History

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Unpack

    from netlab.exposure.exposure import Exposure
    from netlab.exposure.verdict import ExposureVerdict
    from netlab.journey.expect import Verdict
    from netlab.journey.explain import Explanation
    from netlab.journey.matrix import Column
    from netlab.lab.client.sockets import Listening
    from netlab.lab.options import LabOptions
    from netlab.lab.probe_options import PacketOptions
    from netlab.model.event import Happening
    from netlab.model.expectation import ScenarioEvent
    from netlab.model.flow import Flow
    from netlab.model.journey import Journey
    from netlab.model.plan import Plan
    from netlab.model.scenario import Scenario
    from netlab.plan.live_rules import Rules

_numbers = itertools.count(1)


class Lab(Questions, RunsPrograms):
    """A running lab, from the constructor until :meth:`close` or the end of its ``with`` block.

    ::

        with netlab.Lab("scenarios/httpd.yaml", engine="docker-28") as lab:
            assert lab.probe("client -> host:80", family=4).path == "forward"

    Its own supervisor process holds everything, and ends with your program, however that ends. Any thread may
    use it; one call measures at a time. A forked child may use it, too, but does not own it: ``close`` in the
    child does nothing.

    The default ``name`` consists of the file's name, the process ID and a number, so any number of programs
    can use the same scenario. ``netlab ls`` and ``netlab shell`` can see the lab meanwhile.

    Raises ScenarioError (with all problems in the files), OptionError, TypeError for an unknown option,
    UsageError for a plan that has events if its scenario is not given, MachineError and LabError. A method
    raises Unmeasured if a flow cannot be measured: this is neither a pass nor a failure.
    """

    def __init__(
        self,
        *files: str | Path,
        plan: Plan | None = None,
        scenario: Scenario | None = None,
        **options: Unpack[LabOptions],
    ) -> None:
        """Build a lab from ``files``, merged by Compose's rules, or from an existing ``plan``.

        ``"+"`` stands between the files of two Compose projects on the same hosts.
        ``options``: see :class:`~netlab.lab.options.LabOptions`. Give the ``scenario`` of the ``plan``, too,
        if you want to use :meth:`do`. Options that change a scenario (``engine``, …) cannot be combined with
        a ``plan``.
        """
        check(options)
        name = options.get("name")
        if plan is not None:
            for option in of_scenario(options).keys() - {"name"}:
                raise OptionError("cannot change an existing plan", option)
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
            if plan.events and scenario is None:
                what = "events that happen in the running lab: give its scenario, too"
                raise UsageError(f"the plan has {what} (netlab.Lab(plan=plan, scenario=scenario))")
            if not options.get("allow_programs", False):
                refuse_programs(plan)
            self._client = _build(launch, plan, scenario, name, self._names(plan), files)
            #: The session that all measurements use, for what this class does not offer.
            self.instrument = Instrument(self._client)
            self.warnings = tuple(launch.warnings)
            if plan.events:
                with state.Lock(self.name) as lock:
                    self.warnings += changes.let_happen(self._client, plan.events, lock)
        except BaseException:
            self._give_up()
            raise

    @unbroken
    def _give_up(self) -> None:
        """Remove a lab that could not be built, also if an interrupt came at the last moment."""
        launch, self._launch = self._launch, None
        if launch is not None:
            launch.abandon()
        self._hold.let_go()

    def _names(self, plan: Plan) -> Iterator[str]:
        """Names to try one after the other, if the caller gave none."""
        while True:
            yield f"{plan.name}-{os.getpid()}-{next(_numbers)}"

    @property
    def name(self) -> str:
        """The lab's name, as ``netlab ls`` shows it.

        ::

            with netlab.Lab("scenarios/httpd.yaml", name="shop") as lab:
                print(lab.name)  # shop
        """
        return self._client.name

    @property
    def plan(self) -> Plan:
        """The plan that was built.

        >>> [node.name for node in lab.plan.nodes if node.kind == "outside"]
        ['client', 'neighbour']
        """
        return self._client.plan

    @property
    def client(self) -> StandingLab:
        """The connection to the supervisor, for what this class does not offer.

        ::

            print(lab.client.status()["processes"])
        """
        return self._client

    @property
    def namespaces(self) -> Mapping[str, int]:
        """File descriptors of all nodes' network namespaces, by node name.

        ::

            fd = lab.namespaces["client"]
            subprocess.run(["nsenter", f"--net=/proc/self/fd/{fd}", "ip", "address"], pass_fds=[fd])

        Do not close them: they stay open until the next :meth:`do`, :meth:`release` or :meth:`close`.
        """
        with self._lock():
            self._check()
            if not self._namespaces:
                self._namespaces = self._client.namespaces(node.name for node in self.plan.nodes)
            return self._namespaces

    def _running(self) -> StandingLab:
        self._check()
        return self._client

    def do(self, event: str | ScenarioEvent) -> tuple[Happening, ...]:
        """Change the state of the lab's engine, in the words of ``netlab do``.

        ::

            lab.do("stop httpd")
            assert lab.probe("client -> host:80", family=4).outcome == "refused"
            lab.do("start httpd")

        The engine acts on the host as it is, including changes that others made; namespaces, connections and
        rules that the event does not concern stay. Returns what happened, as the engine's events. Raises
        ScenarioError if ``event`` has an error, UsageError if the engine refuses it or the lab was built from
        a plan alone, and EngineFailed if the engine fails midway, as the real one would.
        """
        with self._lock(), state.Lock(self.name) as lock, self.instrument.suspended():
            self._check()
            try:
                events, warnings = changes.do(self._client, event, lock=lock)
            except EngineFailed:
                self._forget()
                raise
            if events:
                self.warnings += tuple(warnings)
                self._forget()
        return events

    def let_happen(self, event: str | ScenarioEvent) -> None:
        """Like :meth:`do`, for events between flows: a failure of the engine becomes a warning.

        ::

            lab.let_happen("restart daemon")
            print(lab.warnings)

        The flows after it show the state that the engine left. Other errors are those of :meth:`do`.
        """
        try:
            self.do(event)
        except EngineFailed as error:
            self.warnings += (str(error),)

    # -- measuring

    def verify(self, *, tell: Callable[[], None] = lambda: None) -> list[Verdict]:
        """Check all expectations of the scenario, and return a verdict for each flow and family.

        >>> [verdict.word for verdict in lab.verify()]
        ['passed', 'passed', 'passed', 'passed']

        Events between flows happen in this lab. A flow that cannot be measured has a verdict, too. Without
        expectations, the list is empty. ``tell`` is called after each measured flow.
        """
        self._check()
        verdicts: list[Verdict] = []
        for stage in stages(self.plan, self._history()):
            for event in stage.events:
                self.let_happen(event)
            with self.instrument.held() as session:
                verdicts += judge(session, stage.claims, self.plan, tell=tell)
        self._note([verdict.journey for verdict in verdicts])
        return verdicts

    def _proved(self, verdict: ExposureVerdict, exposure: Exposure) -> ExposureVerdict:
        proof = Proof.of(exposure)
        with self.instrument.held() as session:
            journeys = session.measure([one.flow for one in proof.asked])
        return replace(verdict, proof=proof.judge(exposure, journeys))

    def _history(self) -> History | None:
        """What has happened to the lab so far; None if it was built from a plan alone."""
        return changes.history_of(self._client) if self._client.has_history else None

    def matrix(self) -> Column:
        """Measure who can reach what: every origin, every port of every service, each way in, each family.

        >>> for cell, journey in lab.matrix().answers.values():
        ...     if cell.published and cell.flow.origin == "client" and cell.flow.family == 6:
        ...         print(cell.flow, journey.outcome)
        client -> host:80/tcp ok
        client -> host:443/tcp ok

        Raises Unmeasured.
        """
        __tracebackhide__ = True
        self._check()
        with self.instrument.held() as session:
            column = measure_matrix(self._client, session=session)
        self._note([journey for _, journey in column.answers.values()])
        refuse_unmeasured(journey for _, journey in column.answers.values())
        return column

    def explain(self, flow: str | Flow, family: int | None = None) -> Explanation:
        """Find the rule that decides a flow, and a rule that changes the result, tried in the lab.

        ::

            explanation = lab.explain("client -> host:80", family=4)
            for advice in explanation.rules:
                print(" ".join(advice.add))  # iptables -I DOCKER-USER …
            assert explanation.proved

        Raises LabError if a rule cannot be added or removed; other errors are those of :meth:`probe`.
        """
        (asked,) = self._flows(flow, family, {}, alone=True)
        with self.instrument.held() as session:
            explanation = explain(self._client, asked, session=session)
        refuse_unmeasured(journey for journey in (explanation.before, explanation.after) if journey)
        return explanation

    def _measured(self, flows: Sequence[Flow], options: PacketOptions) -> list[Journey]:
        __tracebackhide__ = True
        with self.instrument.held() as session:
            journeys = session.measure(flows, shape=shape(options), replies=options.get("replies", False))
        self._note(journeys)
        refuse_unmeasured(journeys)
        return journeys

    def _note(self, journeys: Sequence[Journey]) -> None:
        """Called with all measured journeys; the pytest plugin overrides it to keep a record."""

    # -- looking

    def rules(self, node: str | None = None, family: int | None = None) -> Rules:
        """The current rules of a node, with counters and reasons; default: those of the only host.

        ::

            rules = lab.rules(family=4)
            print(rules)  # as iptables-save and nft print them
            assert rules.chain("DOCKER-USER").rules[-1].text == "-j RETURN"

        Raises NoNodeError, and UsageError if you name no node and there are several hosts.
        """
        self._check()
        hosts = [found.name for found in self.plan.nodes if found.kind == "host"]
        if node is None and len(hosts) != 1:
            known = hosts or [found.name for found in self.plan.nodes]
            raise UsageError(
                f"name a node, for example lab.rules({known[0]!r}); there are: {', '.join(known)}"
            )
        families = FAMILIES if family is None else (Family(family),)
        return read_rules(self._client, resolve(self.plan, node or hosts[0]), families)

    def sockets(self, node: str | None = None) -> list[Listening]:
        """All listening sockets of one node's namespace, or of all nodes, with owner and purpose.

        ::

            for socket in lab.sockets("host"):
                print(socket.port, [process.name for process in socket.processes], socket.reason)

        Raises NoNodeError, LabError.
        """
        self._check()
        return sockets(self._client, None if node is None else resolve(self.plan, node))

    def capture(self, path: str | Path, node: str | None = None, interface: str | None = None) -> Capture:
        """A context manager that captures packets to a pcapng file; default: on all nodes' interfaces.

        ::

            with lab.capture("/tmp/web.pcapng", node="host", interface="ext0") as capture:
                lab.probe("client -> host:80", family=4)
            assert capture.packets > 0 and capture.lost == 0

        When it ends, all packets of its body are in the file. Raises NoNodeError, and UsageError for an
        unknown interface.
        """
        self._check()
        return Capture(self._client, path, sources_in(self.plan, node, interface))

    # -- the end

    @unbroken
    def release(self) -> None:
        """Keep the lab running after this program ends, until ``netlab down``; closes this object.

        ::

            lab = netlab.Lab("scenarios/httpd.yaml", name="shop")
            lab.release()
            netlab.attach("shop").down()

        Raises LabError if the lab is closed.
        """
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
        """Take the lab down; returns when it is gone. You may call it twice.

        ::

            lab = netlab.Lab("scenarios/httpd.yaml")
            try:
                print(lab.rules())
            finally:
                lab.close()
        """
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
) -> StandingLab:
    """Build the plan under a free name; raises UsageError if ``name`` is taken."""
    while True:
        lock, taken = claim(name or next(names), lambda _: True)
        with lock:
            if not taken:
                return _build_as(launch, lock, plan, scenario, files)
            if name is not None:
                raise UsageError(f"a lab named {name} is already running")
        # otherwise a program in another PID namespace has our process ID


def _build_as(
    launch: Launch, lock: state.Lock, plan: Plan, scenario: Scenario | None, files: Sequence[Any]
) -> StandingLab:
    name = lock.name
    text = codec.dumps(replace(plan, name=name))
    history = ""
    if scenario is not None:
        history = dump_history(History.of(replace(scenario, name=name)))
    launch.build(lock, text, record_of(plan, text, files, owner=os.getpid()), history=history)
    launch.commit(detach=False)
    found = state.read(name)
    assert found is not None
    return StandingLab(found)
