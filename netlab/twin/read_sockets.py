"""Sockets, as ``ss -Hlntup`` lists them on a host and in its containers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from netlab.scenario.netlab_shapes import PROGRAM
from netlab.twin.host import Socket

_SOCKET = re.compile(
    r"(?P<protocol>tcp|udp)\s+\S+\s+\d+\s+\d+\s+(?P<address>\S+):(?P<port>\d+)\s+\S+(?P<rest>.*)", re.ASCII
)
_PROCESS = re.compile(r'users:\(\("([^"]{0,64})"')


def sockets(listing: str) -> Iterator[Socket]:
    """The sockets that ``ss -Hlntup`` lists; a wildcard in both families gives one of each."""
    for line in listing.splitlines():
        match = _SOCKET.match(line)
        if match is None or not 0 < int(match["port"]) < 1 << 16:
            continue
        address = match["address"].partition("%")[0].strip("[]")
        process = _PROCESS.search(match["rest"])
        name = process[1] if process else ""
        families = {"*": (4, 6), "0.0.0.0": (4,), "::": (6,)}.get(address)
        for family in families or ((6,) if ":" in address else (4,)):
            yield Socket(match["protocol"], "" if families else address, int(match["port"]), name, family)


def listen_entries(found: Iterable[Socket]) -> list[int | str | dict[str, int | str]]:
    """Sockets as entries of a scenario's ``listen``: the ports, each once, with the name of its program."""
    programs: dict[int | str, str] = {}
    for one in found:
        port: int | str = one.port if one.protocol == "tcp" else f"{one.port}/{one.protocol}"
        programs[port] = programs.get(port) or (one.process if re.search(PROGRAM, one.process) else "")
    return [{"port": port, "program": name} if name else port for port, name in programs.items()]
