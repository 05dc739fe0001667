"""The labs of a test session: which test uses which, how long each runs, and what was measured in it."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from netlab.lab.lab import Lab
from netlab.model.errors import MachineError, NetlabError
from netlab.view.plain import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from netlab.model.journey import Journey
    from netlab.model.plan import Plan
    from netlab.testing.variants import Variant

_numbers = itertools.count(1)
#: A lab's name has at most 63 characters: this many are the scenario's.
_STEM = 32


class SuiteLab(Lab):
    """A lab that remembers the journeys of the test that it is lent to.

    It is called after its scenario, the worker of pytest-xdist, the process, and a number.
    """

    __test__ = False

    def __init__(self, *files: str | Path, **options: Any) -> None:
        self.journeys: list[Journey] = []
        super().__init__(*files, **options)
        _standing.add(self)

    def _names(self, plan: Plan) -> Iterator[str]:
        worker = os.environ.get("PYTEST_XDIST_WORKER")
        words = [plan.name[:_STEM].rstrip("-_"), *([worker] if worker else []), str(os.getpid())]
        while True:
            yield "-".join([*words, str(next(_numbers))])

    def _note(self, journeys: Sequence[Journey]) -> None:
        self.journeys.extend(journeys)

    @property
    def closed(self) -> bool:
        """Whether it was taken down, or let go."""
        return self._launch is None


_standing: weakref.WeakSet[SuiteLab] = weakref.WeakSet()


def plan_of(journey: Journey) -> Plan | None:
    """The plan of the lab in which the running test measured this very journey."""
    for lab in list(_standing):
        if any(journey is measured for measured in lab.journeys):
            return lab.plan
    return None


@contextlib.contextmanager
def able(config: pytest.Config) -> Iterator[None]:
    """What the machine lacks skips the test, and says why; with ``--netlab-require`` it fails."""
    if sys.platform != "linux":
        _unable(config, "labs are made of Linux namespaces")
    lacking = ""
    try:
        yield
    except MachineError as error:
        lacking = str(error)
    if lacking:
        _unable(config, lacking)


def _unable(config: pytest.Config, why: str) -> None:
    __tracebackhide__ = True
    if config.getoption("netlab_require"):
        pytest.fail(f"netlab: {why} (--netlab-require)", pytrace=False)
    pytest.skip(f"netlab: {why}")


def bring_up(config: pytest.Config, variant: Variant) -> SuiteLab:
    """The lab of a variant; an error in its scenario has no traceback."""
    with able(config):
        try:
            return SuiteLab(*variant.files, **variant.keywords)
        except MachineError:
            raise
        except NetlabError as error:
            problem = visible(f"{variant}: {error}")
    pytest.fail(problem, pytrace=False)


class Shared:
    """Labs that several tests of this process use, by who shares them and the variant."""

    def __init__(self) -> None:
        self._labs: dict[tuple[str, str], SuiteLab] = {}

    def get(
        self, config: pytest.Config, node: pytest.Collector | pytest.Session, variant: Variant
    ) -> SuiteLab:
        """The lab of a variant, which runs until ``node`` (a module, the session) ends."""
        key = node.nodeid, variant.key
        found = self._labs.get(key)
        if found is None or found.closed:
            found = self._labs[key] = bring_up(config, variant)
            node.addfinalizer(lambda: self._close(key))
        return found

    def _close(self, key: tuple[str, str]) -> None:
        found = self._labs.pop(key, None)
        if found is not None:
            found.close()
