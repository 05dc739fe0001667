"""The contract of a container engine: a pure state machine over events.

``start(host)`` is the engine's daemon coming up on a host; ``step(state, event)`` is what it would have
written by the time the event is over.  A :class:`State` is immutable for whoever holds it, and a fold of
n events costs n steps: the working copy moves along with the newest state, and an older state that is
asked again is rebuilt from its own history.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from netlab.engine.docker.host_state import HostState
from netlab.engine.refusal import Refused
from netlab.model.event import Event
from netlab.model.scenario import Host

__all__ = ["Engine", "Refused", "State"]

W = TypeVar("W")


class State(Generic[W]):
    """The state of an engine after some events; ``world`` is what stands on the host by then.

    Read ``world``, never change it: it is the working copy of this very state.
    """

    __slots__ = ("_event", "_parent", "_start", "_step", "_world")

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
        self._world: W | None = None if parent else start()

    @property
    def world(self) -> W:
        """What stands; rebuilt from the events if a later state has taken the working copy along."""
        if self._world is None:
            self._world = self._replay()
        return self._world

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
        """The state after one more event; raises :class:`Refused`, and then this state stays as it is."""
        world = self.world
        self._world = None
        child = State(self._start, self._step, self, event)
        self._step(world, event)
        child._world = world
        return child

    def _replay(self) -> W:
        world = self._start()
        for event in self.events:
            self._step(world, event)
        return world


class Engine(Protocol):
    """One engine at one generation."""

    @property
    def name(self) -> str:
        """``docker-20.10``: the name in scenarios."""
        ...

    def start(self, host: Host) -> State[HostState]:
        """The daemon's first start on a host; raises :class:`Refused` for a daemon.json it rejects."""
        ...

    def step(self, state: State[HostState], event: Event) -> State[HostState]:
        """What the engine makes of one event; raises :class:`Refused` as the daemon would."""
        ...
