"""Wait until a scenario's own programs listen on their ports."""

from __future__ import annotations

import os
import select
import time

from netlab.kernel import netns
from netlab.kernel.netlink.sockdiag import listening_ports

#: Seconds that a program has for opening its ports, before that is worth a warning.
PATIENCE = 15.0
#: Seconds between two looks; the wait itself is for the program's end.
INTERVAL = 0.005


def wait_for(pid: int, namespace: int, ports: set[int]) -> int:
    """Wait until the program ``pid`` listens on ``ports``; an exit code for the waiting child.

    0: it listens; 1: it has ended; 2: it did not listen within :data:`PATIENCE`.
    """
    netns.enter(namespace)
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return 1
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)

    until = time.monotonic() + PATIENCE
    while not ports <= listening_ports(None):
        if poll.poll(INTERVAL * 1000):
            return 1
        if time.monotonic() > until:
            return 2
    return 0
