"""Labs that outlive the program that brings them up: built, changed, left as they are, taken down.

::

    claim the names ──▶ a lab is there? ──no──────────────────────▶ build it ──▶ commit
                            │ yes
                            ├── as wanted: leave it
                            ├── containers or networks differ: change them
                            └── anything else: take it down, then build it

The command line and :func:`netlab.up` both come here. ``tell`` gets sentences for the user, ``show`` what
each lab is doing. Nothing here imports what plans a lab: the interpreter of its supervisor starts first.
"""

from __future__ import annotations

import os
import select
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from netlab.kernel.channel import Disconnected
from netlab.lab import state
from netlab.lab.client.client import Client
from netlab.lab.client.launch import Launch
from netlab.lab.state import Lock
from netlab.model.errors import LabError, NetlabError, UsageError

if TYPE_CHECKING:
    from netlab.model.plan import Plan

Tell = Callable[[str], None]
Show = Callable[[list[str]], None]

#: Milliseconds between two calls of ``show``.
_MOMENT = 100


class Job(ABC):
    """One lab on its way. Afterwards: what became of it."""

    def __init__(self, plan: Plan, text: str, record: dict[str, Any]) -> None:
        """``text`` is the plan's, as :mod:`netlab.lab.codec` writes it; ``record`` what ``lab.json`` says."""
        self.plan = plan
        self.text = text
        self.record = record
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

    @abstractmethod
    def history(self) -> str:
        """What a later change of the lab starts from, as text."""

    @abstractmethod
    def change(self, client: Client, lock: Lock, tell: Tell) -> bool:
        """Change a running lab to what is wanted; False if only a new lab will do."""

    @abstractmethod
    def let_events_happen(self) -> None:
        """Have the plan's events happen in the lab that was just built; takes it down if one cannot."""

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


def bring_up(
    load: Callable[[], list[Job]], tell: Tell = _nobody, show: Show = _nobody, early: Launch | None = None
) -> list[Job]:
    """Finish all jobs that ``load`` returns, at the same time; a job that failed has an ``error``.

    The interpreter of the first supervisor starts while ``load`` reads the scenarios, or is ``early``.
    """
    early = early or Launch()
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


# -- a lab that is there already


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
    elif job.change(client, lock, tell):
        return True
    else:
        tell(f"{job.name} is up, but its scenario changed: rebuilding it")
    _clear_away(client, lock)
    return False


def _clear_away(client: Client, lock: Lock) -> None:
    """Take a lab down, and clear what it leaves if it was killed, now or before."""
    client.down()
    state.clear(lock)


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
                job.let_events_happen()
                return True
        except NetlabError as error:
            job.error = error
            return True
    return False
