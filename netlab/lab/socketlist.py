"""Who listens in a lab's nodes: a helper that runs in the lab's PID namespace, and prints JSON.

Sources: /proc/net/tcp, udp and their IPv6 forms (Documentation/networking/proc_net_tcp.rst),
/proc/net/sctp/eps, and the links in /proc/PID/fd, which name sockets by inode.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
from collections.abc import Iterator

from netlab.kernel import netns

#: include/net/tcp_states.h: TCP_LISTEN; a bound UDP socket without a peer shows as TCP_CLOSE.
_WAITING = {"tcp": "0A", "udp": "07"}


def main(_args: list[str], _fds: list[int], namespaces: dict[str, int]) -> int:
    """Print a list of ``[[node, protocol, address, port, inode], …]`` and ``{inode: [[pid, name], …]}``."""
    found: list[tuple[str, str, str, int, int]] = []
    for node, namespace in namespaces.items():
        netns.enter(namespace)
        found += [(node, *entry) for entry in listening()]
    print(json.dumps([found, owners({entry[-1] for entry in found})]))
    return 0


def listening() -> Iterator[tuple[str, str, int, int]]:
    """(protocol, address, port, inode) of every listening socket in the thread's network namespace."""
    for protocol, state in _WAITING.items():
        for suffix in ("", "6"):
            path = f"/proc/thread-self/net/{protocol}{suffix}"
            if os.path.exists(path):
                with open(path, encoding="ascii") as file:
                    next(file)
                    for line in file:
                        words = line.split()
                        if words[3] == state:
                            address, port = words[1].split(":")
                            yield protocol, _address(address), int(port, 16), int(words[9])
    if os.path.exists("/proc/thread-self/net/sctp/eps"):
        with open("/proc/thread-self/net/sctp/eps", encoding="ascii") as file:
            next(file)
            for line in file:
                words = line.split()
                if words[3] == "10":  # include/net/sctp/constants.h: SCTP_SS_LISTENING is TCP_LISTEN
                    yield "sctp", words[8] if len(words) > 8 else "::", int(words[5]), int(words[7])


def _address(text: str) -> str:
    """An address as the kernel writes it there: 32-bit words in the machine's byte order."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def owners(inodes: set[int]) -> dict[int, list[tuple[int, str]]]:
    """Which processes of this PID namespace hold each of the sockets."""
    held: dict[int, list[tuple[int, str]]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/comm", encoding="utf-8", errors="replace") as file:
                comm = file.read().strip()
            links = [_link(f"/proc/{name}/fd/{fd}") for fd in os.listdir(f"/proc/{name}/fd")]
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended meanwhile, or belongs to a program's own user namespace
        for inode in {int(link[8:-1]) for link in links if link.startswith("socket:[")} & inodes:
            held.setdefault(inode, []).append((int(name), comm))
    return held


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit("a helper of netlab sockets: the supervisor runs it")
