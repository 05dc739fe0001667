"""What the parts of a supervisor share: its loop and children, where the lab is, and how far it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Literal, Protocol

from netlab.lab.supervisor.children import Children
from netlab.lab.supervisor.loop import Loop
from netlab.model.errors import NoNodeError


class Failure(Protocol):
    """Called with why something that serves the lab does not; ``with_log``: with the log's last lines."""

    def __call__(self, text: str, *, with_log: bool = False) -> None:
        """Say why."""
        ...


class Runtime:
    """One supervisor's loop, children and lab.

    ``on_error`` gets the exception of a handler, ``on_settled`` is called when nobody is waited for any more,
    ``on_failure`` says why the lab cannot become ready, or be changed, and ``on_warning`` what the user of a
    running lab should know.
    """

    def __init__(
        self,
        on_error: Callable[[Exception], None],
        on_settled: Callable[[], None],
        on_failure: Failure,
        on_warning: Callable[[str], None],
    ) -> None:
        self.children = Children(on_error)
        self.loop = Loop(on_error)
        self.on_settled = on_settled
        self.on_failure = on_failure
        self.on_warning = on_warning
        self.name = ""
        self.path = ""  #: the lab's folder
        self.private = ""  #: the mount point of the lab's own tmpfs
        self.record: dict[str, Any] = {}
        self.phase: Literal["new", "building", "ready", "committed"] = "new"
        #: a change: not there, not finished, or finished but for processes that have yet to answer
        self.change: Literal["none", "begun", "done"] = "none"

    def open_namespace(self, node: str) -> int:
        """A new descriptor of the namespace in which a node lives; raises NoNodeError."""
        if "/" in node or node in (".", ".."):
            raise NoNodeError(f"{self.name} has no node {node!r}")
        try:
            return os.open(f"{self.private}/netns/{node}", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NoNodeError(f"{self.name} has no node {node!r}") from None
