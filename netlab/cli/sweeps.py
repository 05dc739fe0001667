"""What sweeps have in common: where they run, the parcels of their scenarios, and their progress."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from netlab.cli.output import say
from netlab.cli.progress import Progress
from netlab.cli.scenarios import options_of, read_group
from netlab.lab.sweep.cluster import Cluster
from netlab.lab.sweep.parcel import opened, pack
from netlab.lab.sweep.sweep import Threads, in_order, sweep
from netlab.model.errors import UsageError
from netlab.plan import make
from netlab.scenario.files import recording

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from netlab.cli.scenarios import Files
    from netlab.lab.sweep.sweep import Item, SweepEngine
    from netlab.model.scenario import Scenario

T = TypeVar("T")


def results(args: argparse.Namespace, items: Sequence[Item[T]], what: str) -> Iterator[T]:
    """The results of all items, in order; ``what`` names them in the progress line (``scenarios``).

    With ``--on`` the workers of a cluster do them, else ``--jobs`` threads; predictions are made one by one.
    """
    with Progress(sys.stderr) as progress:

        def tell(ready: int) -> None:
            progress.show([f"{ready} of {len(items)} {what}"])

        yield from in_order(sweep(items, _engine(args, len(items))), tell)


def _engine(args: argparse.Namespace, count: int) -> SweepEngine:
    predicted = getattr(args, "predict", False) or getattr(args, "no_proof", False)
    if getattr(args, "on", None):
        return Cluster(args.on, say, labs=not predicted)
    return Threads(1 if predicted else max(1, min(getattr(args, "jobs", 1), count)))


class Reading:
    """A scenario of the command line, read once, and what it was read from."""

    def __init__(self, args: argparse.Namespace, files: Files) -> None:
        """Raises ScenarioError and UsageError, unless ``args`` are of a variant: see :meth:`scenario`."""
        self._args = args
        self._files = files
        self._error: UsageError | None = None
        with recording() as self._read:
            try:
                self._scenario: Scenario | None = read_group(args, files)
            except UsageError as error:
                self._scenario, self._error = None, error

    def scenario(self) -> Scenario:
        """The scenario; raises the error of reading it."""
        if self._scenario is None:
            assert self._error is not None
            raise self._error
        return self._scenario

    def parcel(self, what: str, **more: Any) -> str:
        """The work ``what`` on this scenario, for another process."""
        try:
            plan = make(self.scenario())
        except UsageError:
            plan = None  # who opens the parcel finds the same error
        return pack(what, self._files.sources, options_of(self._args), self._read, plan, **more)


def parcels(
    reading: Reading, what: str, name: str, **more: Any
) -> tuple[Callable[[], str], Callable[[str], Any]]:
    """The ``parcel`` and ``opened`` of an item; warnings of a worker are told with ``name`` in front."""

    def opening(text: str) -> Any:
        value, warnings = opened(text)
        for warning in warnings:
            say(f"{name}: {warning}")
        return value

    return partial(reading.parcel, what, **more), opening
