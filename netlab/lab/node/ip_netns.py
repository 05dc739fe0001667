"""Make ``ip netns`` work in the shell of a lab, for every node, also without root."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from netlab.kernel import libc
from netlab.lab.state import NETNS_DIR

if TYPE_CHECKING:
    from collections.abc import Iterable


def name_all(private: str, lab: str, nodes: Iterable[str]) -> None:
    """Mount a private directory over /run/netns; the caller has its own mount namespace.

    Raises OSError.
    """
    if not os.path.isdir(NETNS_DIR):
        if os.access("/run", os.W_OK) and os.geteuid() == 0 and not _mapped():
            os.makedirs(NETNS_DIR, mode=0o755, exist_ok=True)
        else:
            _replace_run(private)
            os.mkdir(NETNS_DIR)
    libc.mount("netlab", NETNS_DIR, "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, "mode=0755")
    for node in nodes:
        os.symlink(f"{private}/netns/{node}", f"{NETNS_DIR}/{node}")
        os.symlink(f"{private}/netns/{node}", f"{NETNS_DIR}/{lab}.{node}")


def _mapped() -> bool:
    """Whether root is root in a user namespace only."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return file.read().split() != ["0", "0", "4294967295"]


def _replace_run(private: str) -> None:
    """Make /run writable: a tmpfs with everything that was there, each thing as a bind mount."""
    old = f"{private}/run"
    os.makedirs(old, exist_ok=True)
    libc.mount("/run", old, "", libc.MS_BIND | libc.MS_REC)
    libc.mount("netlab", "/run", "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, "mode=0755")
    for name in os.listdir(old):
        source, target = f"{old}/{name}", f"/run/{name}"
        mode = os.lstat(source).st_mode
        if stat.S_ISLNK(mode):
            os.symlink(os.readlink(source), target)
            continue
        if stat.S_ISDIR(mode):
            os.mkdir(target)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        libc.mount(source, target, "", libc.MS_BIND | libc.MS_REC)
