"""Labs that keep running after the program that starts them: build, change, keep, take down.

::

    claim the names ──▶ does a lab run? ──no──────────────────────▶ build it ──▶ commit
                            │ yes
                            ├── no difference: keep it
                            ├── containers or networks differ: change them
                            └── anything else: take it down, then build it

The command line and :func:`netlab.up` both use this. ``tell`` gets messages for the user, ``show`` the
progress of each lab.
"""

from __future__ import annotations

import os
import select
from functools import partial
from typing import TYPE_CHECKING

from netlab.kernel.channel import Disconnected
from netlab.lab import state
from netlab.lab.client.client import Client, attach
from netlab.lab.client.launch import Launch
from netlab.lab.interrupts import held
from netlab.model.errors import LabError, NetlabError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Unpack

    from netlab.lab.options import LabOptions
    from netlab.lab.state import Lock
    from netlab.model.scenario import Scenario

    Tell = Callable[[str], None]
    Show = Callable[[list[str]], None]

# Imports inside functions are those of planning: the first supervisor's interpreter starts before them.

#: Milliseconds between two calls of ``show``.
_MOMENT = 100


class Job:
    """One lab that is being brought up, and afterwards the result."""

    def __init__(self, scenario: Scenario, files: Sequence[str | Path]) -> None:
        from netlab.lab import codec
        from netlab.lab.options import record_of
        from netlab.plan import make

        self.scenario = scenario
        self.plan = make(scenario)
        self.text = codec.dumps(self.plan)
        self.record = record_of(self.plan, self.text, files)
        self.lock: Lock | None = None
        self.launch: Launch | None = None
        self.settled = False  #: no new lab is needed
        self.unchanged = False
        self.warnings: list[str] = []
        self.doing = ""
        self.error: Exception | None = None

    @property
    def name(self) -> str:
        """The lab's name."""
        return self.plan.name

    def history(self) -> str:
        """The history from which a later change to the lab starts."""
        from netlab.lab import codec
        from netlab.plan.change import History

        return codec.dump_history(History.of(self.scenario))

    def finish(self) -> None:
        """Remove the lab unless it was committed, and release the lock of its name."""
        if self.launch is not None:
            self.launch.abandon()
            self.launch = None
        if self.lock is not None:
            self.lock.release()
            self.lock = None


def _nobody(_: object) -> None:
    """The default of ``tell`` and ``show``: do nothing."""


def up(*files: str | Path, **options: Unpack[LabOptions]) -> Client:
    """Bring up the lab of a scenario, as ``netlab up`` does; it keeps running after your program ends.

    ::

        lab = netlab.up("scenarios/httpd.yaml", engine="docker-28", name="shop")
        print(lab.name, [node.name for node in lab.plan.nodes])
        lab.exec("client", ["curl", "-s", "http://198.51.100.1/"], check=True)
        lab.down()

    Several ``files`` are merged by Compose's rules; ``options`` are those of :class:`netlab.Lab`. If a lab of
    that name is already running, it is changed to what the files say, or left as it is. Returns a connection
    to the lab; ``record["warnings"]`` lists its warnings. Raises ScenarioError, OptionError, UsageError,
    MachineError, LabError, and TypeError for an unknown option.
    """
    from netlab.lab.options import check, of_scenario

    check(options)

    def load() -> list[Job]:
        from netlab.lab.options import load_scenario, refuse_programs, show_warnings

        scenario = load_scenario(files, **of_scenario(options))
        show_warnings(scenario, stacklevel=5)
        job = Job(scenario, files)
        if not options.get("allow_programs", False):
            refuse_programs(job.plan)
        return [job]

    with held():
        (job,) = bring_up(load)
    if job.error is not None:
        raise job.error
    return attach(job.name)


def bring_up(load: Callable[[], list[Job]], tell: Tell = _nobody, show: Show = _nobody) -> list[Job]:
    """Finish all jobs that ``load`` returns, at the same time; a job that failed has an ``error``.

    The interpreter of the first supervisor starts while ``load`` reads the scenarios.
    """
    early = Launch()
    jobs: list[Job] = []
    try:
        jobs = load()
        early = _build_all(jobs, early, tell, show)
    finally:
        early.abandon()
        for job in jobs:
            job.finish()
    return jobs


def _build_all(jobs: list[Job], early: Launch, tell: Tell, show: Show) -> Launch:
    """Settle or build every job; returns a launch that is unused, or used up."""
    spare: Launch | None = early
    for job in sorted(jobs, key=lambda job: job.name):  # in one order, so that no two wait for each other
        job.lock, job.settled = claim(job.name, partial(_settle, job, tell=tell), tell)
    for job in jobs:
        if not job.settled:
            job.launch, spare = spare or Launch(), None
            assert job.lock is not None
            job.launch.start_building(job.lock, job.text, job.record, job.history())
    _wait_for(jobs, show)
    return spare or early


# -- names


def claim(name: str, keep: Callable[[Lock], bool], tell: Tell = _nobody) -> tuple[Lock, bool]:
    """Clear the remains of a dead lab; returns the lock of the lab's name, and whether a lab stays there.

    ``keep`` decides whether a running lab stays; it may take the lab down.
    """
    while True:
        lock = wait_for_lock(name, tell)
        try:
            stays = state.clear(lock) is None and keep(lock)
            if lock.holds():
                return lock, stays
        except BaseException:
            lock.release()
            raise
        lock.release()  # the old lab's directory was removed, and the lock with it


def wait_for_lock(name: str, tell: Tell = _nobody) -> Lock:
    """The lock of a lab's name; tells the user if somebody else holds it."""
    try:
        return state.Lock(name, wait=False)
    except BlockingIOError:
        tell(f"{name}: waiting for another netlab process that is using this lab")
        return state.Lock(name)


def take_down(name: str, tell: Tell = _nobody) -> bool:
    """Take one lab down and wait until it is gone, also its remains; returns whether there was one."""
    if not name or "/" in name or name.startswith("."):
        raise UsageError(f"{name!r} cannot be the name of a lab")
    if state.read(name) is None and name not in (record.name for record in state.dead()):
        return False
    with wait_for_lock(name, tell) as lock:
        removed = state.clear(lock)
        if removed is not None:
            return any(os.path.basename(path) == "lab.json" for path in removed)
        record = state.read(name)
        if record is not None:
            Client(record).down()
        state.clear(lock)  # where it had to be killed
        return True


# -- an existing lab


def _settle(job: Job, lock: Lock, tell: Tell) -> bool:
    """Change the running lab if necessary; returns whether it now matches. Takes it down if it cannot."""
    record = state.read(job.name)
    if record is None or not record.data:
        return False
    if record.data.get("owner"):
        raise LabError(f"the lab {job.name} belongs to process {record.data['owner']}; use another --name")
    client = Client(record)
    if not record.ready:
        _clear_away(client, lock)  # its owner was killed a moment ago
        return False
    dead = [process for process in client.status()["processes"] if process["returncode"] is not None]
    if dead:
        tell(f"{job.name} is up, but {dead[0]['kind']} of it has died: rebuilding it")
    elif record.data.get("broken"):
        tell(f"{job.name} is up, but a change of it failed: rebuilding it")
    elif record.data.get("digest") == job.record["digest"]:
        job.warnings = record.data.get("warnings", [])
        job.unchanged = True
        return True
    elif _change(job, client, lock, tell):
        return True
    else:
        tell(f"{job.name} is up, but its scenario changed: rebuilding it")
    _clear_away(client, lock)
    return False


def _clear_away(client: Client, lock: Lock) -> None:
    """Take a lab down, and clear what it leaves if it was killed, now or before."""
    client.down()
    state.clear(lock)


def _change(job: Job, client: Client, lock: Lock, tell: Tell) -> bool:
    """Change a running lab to its scenario; False if only a new lab will do."""
    from netlab.lab.client.observe import observe
    from netlab.model.event import words_of
    from netlab.plan.change import towards

    try:
        change = towards(client.history, job.scenario, observe(client))
    except UsageError:
        return False  # another netlab's, or its engine would refuse
    if change is None:
        return False
    if change.plan == client.plan:
        job.unchanged = True
        job.warnings = client.record.get("warnings", [])
    else:
        for event in change.events:
            tell(f"{job.name}: {words_of(event)}")
        try:
            job.warnings = client.change(lock, change, job.record)
        except NetlabError as error:
            record = state.read(job.name)
            if record is not None and record.ready and not record.data.get("broken"):
                raise  # it is as it was: no reason to take it down
            tell(f"{job.name}: {error}")
            return False
    job.plan = change.plan
    return True


# -- new labs


def _wait_for(jobs: list[Job], show: Show) -> None:
    """Wait until every job is ready, and committed, or has failed."""
    poll = select.poll()
    busy: dict[int, Job] = {}
    for job in jobs:
        if job.launch is not None:
            busy[job.launch.channel.fileno()] = job
            poll.register(job.launch.channel.fileno(), select.POLLIN)
    while busy:
        show([f"{job.name}: {job.doing}" for job in busy.values() if job.doing])
        for fd, _ in poll.poll(_MOMENT):
            try:
                done = _take_reports(busy[fd])
            except Disconnected:
                launch = busy[fd].launch
                assert launch is not None
                busy[fd].error = launch.killed()
                done = True
            if done:
                poll.unregister(fd)
                del busy[fd]


def _take_reports(job: Job) -> bool:
    """Process the supervisor's messages; True once the job is over. Raises Disconnected."""
    assert job.launch is not None

    def doing(text: str) -> None:
        job.doing = text

    job.launch.fill()
    while (found := job.launch.take()) is not None:
        try:
            if job.launch.take_report(found, doing):
                job.warnings = job.launch.warnings
                job.launch.commit(detach=True)
                job.launch = None
                return True
        except NetlabError as error:
            job.error = error
            return True
    return False
