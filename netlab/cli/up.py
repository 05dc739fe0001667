"""``netlab up``: build the labs of some scenarios, all at once, and leave them standing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from netlab.cli.common import (
    add_scenario_options,
    as_typed,
    print_json,
    print_text,
    read_group,
    say,
    scenario_groups,
)
from netlab.cli.help import examples

if TYPE_CHECKING:
    import argparse

    from netlab.cli.common import Files
    from netlab.lab.client.client import Client
    from netlab.lab.client.launch import Launch
    from netlab.lab.state import Lock
    from netlab.model.scenario import Scenario


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    add_scenario_options(parser, several=True, programs=True)
    parser.add_argument("--json", action="store_true", help="print the lab as JSON")
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing unless something goes wrong"
    )
    parser.epilog = (
        "If the lab is already running, only the services and networks that changed are created, "
        "removed or restarted, as with `docker compose up`. A change to a host or to the nodes "
        "outside rebuilds the whole lab. When the command returns, everything that it shows is ready "
        "to answer."
    )
    examples(
        parser,
        ("netlab up scenarios/httpd.yaml", "build the example of the README"),
        (
            "netlab up --engine docker-28 --firewall ufw",
            "this folder's Compose file, with another engine and ufw",
        ),
    )


class Job:
    """One lab on its way."""

    def __init__(self, files: Files, scenario: Scenario) -> None:
        from netlab.lab import codec
        from netlab.lab.options import record_of
        from netlab.plan import make

        self.files = files
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
        """What a later change of the lab starts from."""
        from netlab.lab import codec
        from netlab.plan.change import History

        return codec.dump_history(History.of(self.scenario))

    def finish(self) -> None:
        """Let go: what was not committed goes, and the next one may have the name."""
        if self.launch is not None:
            self.launch.abandon()
            self.launch = None
        if self.lock is not None:
            self.lock.release()
            self.lock = None


def run(args: argparse.Namespace) -> int:
    """Bring the labs up; returns 0, or the exit code of the first that failed."""
    from netlab.lab.client.launch import Launch

    groups = scenario_groups(args)
    early = Launch()  # its interpreter starts while the scenarios are read
    jobs: list[Job] = []
    try:
        jobs = load_all(args, groups)
        early = bring_up(jobs, early)
    finally:
        early.abandon()
        for job in jobs:
            job.finish()
    report(args, jobs)
    errors = [job.error for job in jobs if job.error is not None]
    if errors:
        raise errors[0] if len(errors) == 1 else _together(errors)
    return 0


def load_all(args: argparse.Namespace, groups: list[Files]) -> list[Job]:
    """Read every scenario; raises one error with all that is wrong with any of them."""
    from netlab.lab.options import refuse_programs
    from netlab.model.errors import Problem, ScenarioError, UsageError

    jobs: list[Job] = []
    problems: list[Problem] = []
    for files in groups:
        try:
            job = Job(files, read_group(args, files))
        except ScenarioError as error:
            problems += error.problems
            continue
        if not args.allow_programs:
            try:
                refuse_programs(job.plan)
            except UsageError as error:
                raise error.spelled(as_typed) from error
        jobs.append(job)
    if problems:
        raise ScenarioError(problems)
    names = [job.name for job in jobs]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                f"two scenarios would make a lab named {name}; bring them up one by one, with --name"
            )
    return jobs


def bring_up(jobs: list[Job], early: Launch) -> Launch:
    """Take all jobs to their end, at once; returns a launch that was not needed (or is used up)."""
    from netlab.lab.client.launch import Launch

    spare: Launch | None = early
    for job in sorted(jobs, key=lambda job: job.name):  # in one order, so that no two wait for each other
        while job.lock is None:
            job.lock = _lock(job.name)
            job.settled = settle_old(job, job.lock)
            if not job.lock.holds():  # the old lab's directory went with it
                job.lock.release()
                job.lock = None
    for job in jobs:
        if not job.settled:
            job.launch, spare = spare or Launch(), None
            assert job.lock is not None
            job.launch.start_building(job.lock, job.text, job.record, job.history())
    attend(jobs)
    return spare or early


def _lock(name: str) -> Lock:
    from netlab.lab.state import Lock

    try:
        return Lock(name, wait=False)
    except BlockingIOError:
        say(f"{name}: waiting for another netlab that brings it up or down")
        return Lock(name)


def settle_old(job: Job, lock: Lock) -> bool:
    """Whether the lab stands as wanted; one that stands otherwise is taken down, a dead one cleared."""
    from netlab.lab import state
    from netlab.lab.client.client import Client
    from netlab.model.errors import LabError

    if state.clear(lock) is not None:
        return False
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
        say(f"{job.name} is up, but {dead[0]['kind']} of it has died: building it anew")
    elif record.data.get("broken"):
        say(f"{job.name} is up, but a change of it failed: building it anew")
    elif record.data.get("digest") == job.record["digest"]:
        job.warnings = record.data.get("warnings", [])
        job.unchanged = True
        return True
    elif fold(job, client, lock):
        return True
    else:
        say(f"{job.name} is up, but its scenario changed: building it anew")
    _clear_away(client, lock)
    return False


def _clear_away(client: Client, lock: Lock) -> None:
    """Take a lab down, and clear what it leaves if it was killed, now or before."""
    from netlab.lab import state

    client.down()
    state.clear(lock)


def fold(job: Job, client: Client, lock: Lock) -> bool:
    """Have happen to a lab that stands what it lacks of its scenario; False where only a new one will do."""
    from netlab.cli.do import told
    from netlab.lab import state
    from netlab.model.errors import NetlabError, UsageError
    from netlab.plan.change import towards

    try:
        change = towards(client.history, job.scenario)
    except UsageError:
        return False  # another netlab's, or its engine would refuse
    if change is None:
        return False
    if change.plan == client.plan:
        job.unchanged = True
        job.warnings = client.record.get("warnings", [])
    else:
        for event in change.events:
            say(f"{job.name}: {told(event)}")
        try:
            job.warnings = client.change(lock, change, job.record)
        except NetlabError as error:
            record = state.read(job.name)
            if record is not None and record.ready and not record.data.get("broken"):
                raise  # it stands as it did: no reason to take it down
            say(f"{job.name}: {error}")
            return False
    job.plan = change.plan
    return True


def attend(jobs: list[Job]) -> None:
    """Wait until every job is ready, and committed, or has failed; shows progress on a terminal."""
    import select

    from netlab.cli.progress import Progress
    from netlab.kernel.channel import Disconnected

    poll = select.poll()
    busy: dict[int, Job] = {}
    for job in jobs:
        if job.launch is not None:
            busy[job.launch.channel.fileno()] = job
            poll.register(job.launch.channel.fileno(), select.POLLIN)
    with Progress(sys.stderr) as progress:
        while busy:
            progress.show([f"{job.name}: {job.doing}" for job in busy.values() if job.doing])
            for fd, _ in poll.poll(100):
                try:
                    done = take_reports(busy[fd])
                except Disconnected:
                    launch = busy[fd].launch
                    assert launch is not None
                    busy[fd].error = launch.killed()
                    done = True
                if done:
                    poll.unregister(fd)
                    del busy[fd]


def take_reports(job: Job) -> bool:
    """Take what the supervisor said; True once the job is over. Raises Disconnected."""
    from netlab.model.errors import NetlabError

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


def report(args: argparse.Namespace, jobs: list[Job]) -> None:
    """Show what stands: words and warnings on stderr, the picture or JSON on stdout."""
    from netlab.cli.common import colours
    from netlab.view import lab as view

    standing = [job for job in jobs if job.error is None]
    for job in standing:
        for note in job.plan.notes if not args.quiet else ():
            say(f"{job.name}: {note}")
        for warning in job.warnings:
            say(f"{job.name}: {warning}")
        if job.unchanged and not args.quiet:
            say(f"{job.name} is up already, and unchanged")
    if args.json:
        labs = [
            {**view.document(job.plan), "unchanged": job.unchanged, "warnings": job.warnings}
            for job in standing
        ]
        print_json({"labs": labs})
    elif not args.quiet:
        colour = colours(sys.stdout)
        for number, job in enumerate(standing):
            if number:
                print_text()
            print_text("\n".join(view.picture(job.plan, colour=colour)), styles=colour)


def _together(errors: list[Exception]) -> Exception:
    """Several errors as one, with the exit code of the first."""
    error = errors[0]
    return type(error)("\n".join(map(str, errors))) if not hasattr(error, "problems") else error
