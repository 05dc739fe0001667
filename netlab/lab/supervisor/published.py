"""Symlinks in /run/netns that make a lab's nodes known to ``ip netns``."""

from __future__ import annotations

import os

from netlab.lab import state
from netlab.model.errors import LabError


class Published:
    """The names that a supervisor has made. ``private``: the lab's private directory."""

    def __init__(self, lab: str, private: str, pid: int) -> None:
        self._lab = lab
        self._private = private
        self._pid = pid
        self._made: set[str] = set()

    def add(self, nodes: list[str]) -> None:
        """Make nodes known; raises LabError, and what was made so far stays until :meth:`clear`.

        A name that a killed lab of this name and directory left is taken over: that lab is dead, since this
        one has its lock.
        """
        link = state.NETNS_DIR
        try:
            os.makedirs(link, mode=0o755, exist_ok=True)
            for node in nodes:
                link = f"{state.NETNS_DIR}/{self._lab}.{node}"
                target = f"/proc/{self._pid}/root{self._private}/netns/{node}"
                if state.is_name_of(link, self._private):
                    os.unlink(link)
                os.symlink(target, link)
                self._made.add(link)
        except FileExistsError:
            raise LabError(f"{link} exists and does not belong to this lab; remove it first") from None
        except OSError as error:
            raise LabError(f"cannot make {link}: {error.strerror}") from error

    def remove(self, nodes: list[str]) -> None:
        """Make nodes unknown."""
        for node in nodes:
            self._unlink(f"{state.NETNS_DIR}/{self._lab}.{node}")

    def clear(self) -> None:
        """Make all of them unknown."""
        for link in list(self._made):
            self._unlink(link)

    def _unlink(self, link: str) -> None:
        if link in self._made:
            self._made.discard(link)
            if state.is_name_of(link, self._private):  # otherwise, somebody has replaced it
                os.unlink(link)
