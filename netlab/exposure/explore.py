"""Run code that looks at a packet once for each way that it can go, and know the packets of each way.

The code is run again from its beginning for every way: decisions that were already taken are repeated, and
the first new one takes one answer and leaves the others for later. So any code can be explored that always
does the same with the same packet.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from netlab.exposure.diagrams import Diagrams, Packets

T = TypeVar("T")
#: an answer to a decision, and the packets that are left with it
Answer = tuple[Any, Packets]


class _Run(Generic[T]):
    """One exploration: the answers of the way that is followed now, and the ways that are left."""

    def __init__(self, within: Packets) -> None:
        self.region = within
        self.script: list[Answer] = []
        self.at = 0
        self.pending: list[list[Answer]] = [[]]


class Explorer:
    """Explores code, and code inside of such code."""

    def __init__(self, diagrams: Diagrams) -> None:
        self.diagrams = diagrams
        self._runs: list[_Run[Any]] = []
        self._grouped: dict[Hashable, list[Answer]] = {}

    @property
    def region(self) -> Packets:
        """The packets that take the way which is followed now."""
        return self._runs[-1].region

    def all(self, code: Callable[[], T], within: Packets) -> list[tuple[Packets, T]]:
        """Each way through ``code``: the packets that take it, and what it returns; together ``within``."""
        if within == self.diagrams.none:
            return []
        run = _Run[T](within)
        self._runs.append(run)
        found = []
        try:
            while run.pending:
                run.script = run.pending.pop()
                run.at, run.region = 0, within
                result = code()
                found.append((run.region, result))
        finally:
            self._runs.pop()
        return found

    def choose(self, answers: Callable[[Packets], list[Answer]]) -> Any:
        """One of several answers; ``answers`` gives each with its packets, of those that come here."""
        run = self._runs[-1]
        if run.at == len(run.script):
            first, *others = [
                (value, packets) for value, packets in answers(run.region) if packets != self.diagrams.none
            ]
            run.pending += [[*run.script, other] for other in reversed(others)]
            run.script.append(first)
        value, run.region = run.script[run.at]
        run.at += 1
        return value

    def grouped(self, key: Hashable, code: Callable[[], T]) -> T:
        """What ``code`` returns, as one decision: the ways through it that return the same are one.

        It is explored once for each ``key``, for all packets, and must not have any other effect.
        """
        known = self._grouped.get(key)
        if known is None:
            found: dict[Any, list[Packets]] = {}
            for packets, result in self.all(code, self.diagrams.every):
                found.setdefault(result, []).append(packets)
            known = [(result, self.diagrams.union(parts)) for result, parts in found.items()]
            self._grouped[key] = known
        every = known
        chosen: T = self.choose(lambda region: [(result, region & packets) for result, packets in every])
        return chosen

    def decide(self, packets: Packets) -> bool:
        """Whether the packet is one of these: yes on one way and no on another, unless only one is left."""
        answer = self.choose(lambda region: [(True, region & packets), (False, region & ~packets)])
        return bool(answer)
