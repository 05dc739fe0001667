"""Labs that outlive the program that brings them up: :func:`netlab.up` and :func:`netlab.attach`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from netlab.lab import state
from netlab.lab.bring_up import Job, bring_up
from netlab.lab.client import changes
from netlab.lab.client.client import Client, find_record
from netlab.lab.client.programs import RunsPrograms
from netlab.lab.interrupts import held
from netlab.lab.jobs import ScenarioJob
from netlab.lab.load import load_scenario, show_warnings
from netlab.lab.options import LabOptions, Path, check, of_scenario, refuse_programs
from netlab.model.event import Happening
from netlab.plan.change import Change, History


class StandingLab(RunsPrograms, Client):
    """A connection to a running lab, from :func:`netlab.attach` or :func:`netlab.up`.

    ::

        lab = netlab.attach("shop")
        print(lab.name, lab.record["files"], lab.record["warnings"])

    ``name``, ``path`` (the lab's folder) and ``record`` (the contents of its ``lab.json``) need no request.
    All other members raise LabError if the lab is gone or does not answer.
    """

    def _running(self) -> Client:
        return self

    @property
    def history(self) -> History:
        """The scenario that the lab was built from, and the events since then.

        ::

            print(lab.client.history.events("host"))

        Raises UsageError if the lab has no history, or was built by another version of netlab, and LabError
        if the history cannot be read.
        """
        return changes.history_of(self)

    def change(self, lock: state.Lock, change: Change, record: Mapping[str, Any]) -> list[str]:
        """Change the lab as ``change`` says; returns warnings. ``lock`` is the lab's lock.

        ::

            with state.Lock(lab.name) as lock:
                lab.client.change(lock, happen(lab.client.history, event), {})

        ``record`` has new entries for ``lab.json``. Connections and rules that the change does not concern
        stay. Raises NetlabError.
        """
        return changes.change_lab(self, lock, change, record)

    def do(
        self, event: str, where: str = "event", lock: state.Lock | None = None
    ) -> tuple[tuple[Happening, ...], list[str]]:
        """Change the state of the lab's engine, in the words of ``netlab do``.

        ::

            events, warnings = netlab.attach("shop").do("restart httpd")

        Returns what happened, as the engine's events, and warnings. ``where`` is the position that errors in
        ``event`` have; ``lock`` is the lab's lock, if you hold it. The engine acts on the host as it is,
        including changes that others made; namespaces, connections and rules that the event does not concern
        stay. Raises ScenarioError if ``event`` has an error, UsageError if the engine refuses it or the lab
        was built from a plan alone, and EngineFailed if the engine fails midway, as the real one would.
        """
        return changes.do(self, event, where, lock)


def attach(name: str) -> StandingLab:
    """Connect to the running lab of that name; raises NoLabError with a suggestion.

    ::

        lab = netlab.attach("shop")
        print(lab.exec("web", ["ip", "-br", "address"]).stdout)
        lab.do("restart web")
    """
    return StandingLab(find_record(name))


def up(*files: str | Path, **options: Unpack[LabOptions]) -> StandingLab:
    """Bring up the lab of a scenario, as ``netlab up`` does; it keeps running after your program ends.

    ::

        lab = netlab.up("scenarios/httpd.yaml", engine="docker-28", name="shop")
        print(lab.name, [node.name for node in lab.plan.nodes])
        lab.exec("client", ["curl", "-s", "http://198.51.100.1/"], check=True)
        lab.down()

    Several ``files`` are merged by Compose's rules; ``"+"`` stands between those of two Compose projects on
    the same hosts. ``options`` are those of :class:`netlab.Lab`. If a lab of that name is already running, it
    is changed to what the files say, or left as it is. Returns a connection to the lab;
    ``record["warnings"]`` lists its warnings. Raises ScenarioError, OptionError, UsageError,
    MachineError, LabError, and TypeError for an unknown option.
    """
    check(options)

    def load() -> list[Job]:
        scenario = load_scenario(files, **of_scenario(options))
        show_warnings(scenario, stacklevel=5)
        job = ScenarioJob(scenario, files)
        if not options.get("allow_programs", False):
            refuse_programs(job.plan)
        return [job]

    with held():
        (job,) = bring_up(load)
    if job.error is not None:
        raise job.error
    return attach(job.name)
