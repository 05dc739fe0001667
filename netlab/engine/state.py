"""Keep an engine's working copy: states are immutable for their users, but changed in place internally.

An engine may keep its state in any immutable value. An engine that changes tables and dictionaries in place,
as real daemons do, passes its two functions to :class:`State`. Then n events cost n steps, because the
working copy belongs to the newest state; an older state that is used again is rebuilt from its history.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from netlab.model.event import Event

W = TypeVar("W")


class State(Generic[W]):
    """The state of an engine after some events; ``value`` is the working copy itself.

    Read ``value``, never change it.
    """

    __slots__ = ("_event", "_parent", "_start", "_step", "_value")

    def __init__(
        self,
        start: Callable[[], W],
        step: Callable[[W, Event], None],
        parent: State[W] | None = None,
        event: Event | None = None,
    ) -> None:
        self._start = start
        self._step = step
        self._parent = parent
        self._event = event
        self._value: W | None = None if parent else start()

    @property
    def value(self) -> W:
        """The current state; rebuilt from the events if a later state has taken the working copy."""
        if self._value is None:
            self._value = self._replay()
        return self._value

    @property
    def events(self) -> tuple[Event, ...]:
        """The history: everything that happened since the daemon's first start."""
        events: list[Event] = []
        state: State[W] | None = self
        while state is not None:
            if state._event is not None:
                events.append(state._event)
            state = state._parent
        return tuple(reversed(events))

    def after(self, event: Event) -> State[W]:
        """The state after one more event; where the step raises (Refused), this state stays as it is."""
        value = self.value
        self._value = None
        child = State(self._start, self._step, self, event)
        self._step(value, event)
        child._value = value
        return child

    def _replay(self) -> W:
        value = self._start()
        for event in self.events:
            self._step(value, event)
        return value
