"""Labs to bring up, each from a scenario."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.lab import client as parts
from netlab.lab import codec, state
from netlab.lab.bring_up import Job, Tell
from netlab.lab.client.client import Client
from netlab.lab.history import dump_history
from netlab.lab.options import Path
from netlab.lab.record import record_of
from netlab.lab.state import Lock
from netlab.model.errors import NetlabError, UsageError
from netlab.model.event import words_of
from netlab.model.scenario import Scenario
from netlab.plan import make
from netlab.plan.change import History


class ScenarioJob(Job):
    """The lab of one scenario."""

    def __init__(self, scenario: Scenario, files: Sequence[Path]) -> None:
        self.scenario = scenario
        plan = make(scenario)
        text = codec.dumps(plan)
        super().__init__(plan, text, record_of(plan, text, files))

    def history(self) -> str:
        """The history from which a later change starts, as text."""
        return dump_history(History.of(self.scenario))

    def let_events_happen(self) -> None:
        """Have the scenario's events happen in the lab that was just built; takes it down if one cannot.

        Raises ScenarioError, LabError.
        """
        if not self.plan.events:
            return
        record = state.read(self.name)
        assert record is not None
        assert self.lock is not None
        client = Client(record)
        try:
            self.warnings += parts.changes.let_happen(client, self.plan.events, self.lock)
        except BaseException:
            client.down()
            state.clear(self.lock)
            raise
        self.plan = client.plan

    def change(self, client: Client, lock: Lock, tell: Tell) -> bool:
        """Change a running lab to the scenario; False if only a new lab will do."""
        try:
            change = parts.changes.change_towards(client, self.scenario)
        except UsageError:
            return False  # another netlab's, or its engine would refuse
        if change is None:
            return False
        if change.plan == client.plan:
            self.unchanged = True
            self.warnings = client.record.get("warnings", [])
        else:
            for event in change.events:
                tell(f"{self.name}: {words_of(event)}")
            try:
                self.warnings = parts.changes.change_lab(client, lock, change, self.record)
            except NetlabError as error:
                record = state.read(self.name)
                if record is not None and record.ready and not record.data.get("broken"):
                    raise  # it is as it was: no reason to take it down
                tell(f"{self.name}: {error}")
                return False
        self.plan = change.plan
        return True
