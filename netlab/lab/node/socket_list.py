"""List listening sockets from inside a lab's PID namespace, as JSON.

The links in /proc/PID/fd tell which process holds a socket; they name sockets by inode.
"""

from __future__ import annotations

import json
import os
import sys

from netlab.kernel import netns, process
from netlab.kernel.netlink.listening import listening


def main(_args: list[str], _fds: list[int], namespaces: dict[str, int]) -> int:
    """Print a list of ``[[node, protocol, address, port, inode], …]`` and ``{inode: [[pid, name], …]}``."""
    found: list[tuple[str, str, str, int, int]] = []
    for node, namespace in namespaces.items():
        netns.enter(namespace)
        in_order = sorted(listening(), key=lambda entry: (entry[0], entry[2], entry[1]))
        found += [(node, *entry) for entry in in_order]
    print(json.dumps([found, owners({entry[-1] for entry in found})]))
    return 0


def owners(inodes: set[int]) -> dict[int, list[tuple[int, str]]]:
    """Which processes of this PID namespace hold each of the sockets."""
    held: dict[int, list[tuple[int, str]]] = {}
    for pid, sockets in process.held_sockets():
        if pid == os.getpid() or not sockets & inodes:
            continue
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                comm = file.read().strip()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        for inode in sockets & inodes:
            held.setdefault(inode, []).append((pid, comm))
    return held


if __name__ == "__main__":
    sys.exit("a helper of netlab sockets: the supervisor runs it")
