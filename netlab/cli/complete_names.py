"""The names of labs and nodes, to complete a command line with, read without any right.

A plain user's shell completes ``sudo netlab`` too, so root's labs are found by what everybody may read: the
directories in /run/netlab, the names in /run/netns.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from netlab.lab import folder, state
from netlab.lab.state import netns_names
from netlab.model.errors import MachineError

_ROOTS_LABS = "/run/netlab"


def labs() -> list[str]:
    """The names of root's and the user's labs; these may include killed ones."""
    found: set[str] = set()
    for path, owner in ((_ROOTS_LABS, 0), (state.root(), None)):
        with suppress(FileNotFoundError, MachineError):
            fd = folder.open_root(path, owner=owner)
            try:
                found.update(filter(folder.is_name, os.listdir(fd)))
            finally:
                os.close(fd)
    return sorted(found)


def published(known: Sequence[str]) -> list[str]:
    """The names in /run/netns that root's labs put there."""
    return [name for name in netns_names() if name.partition(".")[0] in known and "." in name]
