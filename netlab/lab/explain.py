"""Try changes in a running lab, for :mod:`netlab.journey.explain`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from netlab.journey import explain as journey_explain
from netlab.lab.client.instrument import lent
from netlab.lab.client.programs import collect
from netlab.model.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netlab.journey.advise import Advice
    from netlab.journey.explain import Explanation
    from netlab.lab.client.client import Client
    from netlab.measure.worker import RemoteSession
    from netlab.model.family import Family
    from netlab.model.flow import Flow
    from netlab.model.journey import Journey
    from netlab.model.plan import Plan


def explain(client: Client, flow: Flow, *, session: RemoteSession | None = None) -> Explanation:
    """Try the rules in a running lab, and remove them again.

    ``session`` is an open session of the caller. Raises LabError if a change cannot be undone.
    """
    with lent(client, session) as using:
        return journey_explain.explain(flow, _Bench(client, using))


@dataclass
class _Bench:
    """A running lab."""

    client: Client
    session: RemoteSession

    @property
    def plan(self) -> Plan:
        return self.client.plan

    def measure(self, flows: Sequence[Flow]) -> Sequence[Journey]:
        return self.session.measure(flows)

    def change(self, advice: Advice) -> Callable[[], object]:
        if advice.remove:
            _run(self.client, advice.node, advice.add)
            return partial(_run, self.client, advice.node, advice.remove)
        # nft names the new rule by its handle: ``insert rule … # handle 7`` with --echo --handle (nft(8))
        output = _run(self.client, advice.node, (advice.add[0], "--echo", "--handle", *advice.add[1:]))
        handle = output.rpartition("# handle ")[2].split()[0]
        words = ("nft", "delete", "rule", *advice.add[3:6], "handle", handle)
        return partial(_run, self.client, advice.node, words)

    def sysctl(self, node: str, name: str) -> str | None:
        done = collect(self.client, node, ("sysctl", "-n", name))
        return done.stdout.strip() if done.returncode == 0 else None

    def routes(self, node: str, family: Family) -> Sequence[str]:
        words = ("ip", f"-{int(family)}", "route", "show", "table", "all")
        return collect(self.client, node, words).stdout.splitlines()


def _run(client: Client, node: str, argv: tuple[str, ...]) -> str:
    done = collect(client, node, argv)
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout
