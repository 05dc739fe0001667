"""Do many items at once, each in a lab of its own: here in threads, or wherever the engine has workers."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
#: Seconds between two looks at whether the engine still has workers.
LOOK = 1.0


@dataclass(frozen=True, slots=True)
class Item(Generic[T]):
    """One piece of work.

    ``here`` does it in this process. ``parcel`` gives the same work as text for another process (see
    :mod:`netlab.lab.sweep.parcel`), and ``opened`` makes the result of its answer; without them, it can only
    be done here, as what measures a running lab.
    """

    label: str
    here: Callable[[], T]
    parcel: Callable[[], str] | None = None
    opened: Callable[[str], T] | None = None


class SweepEngine(Protocol):
    """What does items: an executor of :mod:`concurrent.futures`, and what is its own about it."""

    def submit(self, item: Item[Any]) -> Future[Any]:
        """Begin an item, as soon as there is room for it."""

    def result(self, item: Item[T], future: Future[Any]) -> T:
        """The result of an item that is done; raises its error."""

    def check(self) -> None:
        """Raise MachineError if nobody is left who could do the rest."""

    def stop(self) -> None:
        """Cancel what has not begun, end what can be ended, and return when nothing runs any more."""

    def close(self) -> None:
        """Everything is done."""


class Threads:
    """The engine of this process: so many items at once."""

    def __init__(self, jobs: int) -> None:
        self._pool = ThreadPoolExecutor(max(1, jobs))

    def submit(self, item: Item[Any]) -> Future[Any]:
        """Begin an item in a thread."""
        return self._pool.submit(item.here)

    def result(self, item: Item[T], future: Future[Any]) -> T:
        """The result of an item that is done; raises its error."""
        del item
        found: T = future.result()
        return found

    def check(self) -> None:
        """Threads do not go away."""

    def stop(self) -> None:
        """Cancel what has not begun; a lab that stands is measured to its end and taken down."""
        self._pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """Everything is done."""
        self._pool.shutdown()


def sweep(items: Sequence[Item[T]], engine: SweepEngine) -> Iterator[tuple[int, T]]:
    """The results as they become ready, each with the number of its item, which comes once.

    The first error ends the sweep: nothing more begins, what runs is ended or waited for, and the error of
    the first item that has one is raised. Closing the generator ends the sweep, too.
    """
    futures: dict[Future[Any], int] = {}
    finished = False
    try:
        for number, item in enumerate(items):
            futures[engine.submit(item)] = number
        yield from _results(items, engine, futures)
        finished = True
    finally:
        (engine.close if finished else engine.stop)()


def _results(
    items: Sequence[Item[T]], engine: SweepEngine, futures: dict[Future[Any], int]
) -> Iterator[tuple[int, T]]:
    pending = set(futures)
    while pending:
        done, pending = wait(pending, LOOK, FIRST_COMPLETED)
        if not done:
            engine.check()
        for future in sorted(done, key=futures.__getitem__):
            number = futures[future]
            try:
                result = engine.result(items[number], future)
            except BaseException:
                engine.stop()
                _raise_first(items, engine, futures, number)
                raise
            yield number, result


def _raise_first(
    items: Sequence[Item[T]], engine: SweepEngine, futures: dict[Future[Any], int], known: int
) -> None:
    """Raise the error of the first item that has one before ``known``, so that it does not depend on who is
    faster.
    """
    for future, number in futures.items():
        if number < known and future.done() and not future.cancelled():
            engine.result(items[number], future)


def in_order(results: Iterator[tuple[int, T]], tell: Callable[[int], None] = lambda _: None) -> Iterator[T]:
    """The results in the order of their items, each as soon as all before it are there.

    ``tell`` is called with the number of those that are ready.
    """
    waiting: dict[int, T] = {}
    first = 0
    for count, (number, result) in enumerate(results, 1):
        tell(count)
        waiting[number] = result
        while first in waiting:
            yield waiting.pop(first)
            first += 1
