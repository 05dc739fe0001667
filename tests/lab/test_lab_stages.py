"""Events in a lab that stands, against real daemons: the kernel's rules after every step of a history.

``tests/data/captures/*/*/stages`` hold what stood after each step of a daemon's life; a file that would equal
the one before it is absent. The lab comes up where the daemon had made everything.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support.captures import CAPTURES, DAEMONS, scenario_file

#: What is done for each stage, by the number that its file's name begins with; the lab comes up at the first.
SEED = {
    "06": (),
    "07": ("restart httpd",),
    "08": ("remove httpd",),
    "09": ("remove sib",),
    "10": ("remove network nw",),
    "11": ("remove other", "remove network nw2"),
}
TWO_NETWORKS = {
    "06": (),
    "07": ("remove ca",),
    "08": ("remove cab",),
    "09": ("remove cb",),
    "10": ("remove network nwa",),
    "11": ("remove network nwb",),
}
HISTORIES = {"c02": SEED, "c03": SEED, "c04": SEED, "c09": TWO_NETWORKS}
GENERATIONS = ("19.03.15", "20.10.24", "24.0.9", "26.1.5", "27.5.1", "28.5.2", "29-iptables")
#: Every generation with two networks, but for 29-nftables: there the daemon joined the networks of one
#: container in the other order, since it iterates over a Go map. The others: the proxy on, off, and IPv6.
CASES = [(daemon, "c09") for daemon in GENERATIONS] + [
    ("19.03.15", "c02"),
    ("20.10.24", "c03"),
    ("26.1.5", "c04"),
    ("28.5.2", "c03"),
    ("29-iptables", "c04"),
    ("29-nftables", "c02"),
    ("29-nftables", "c04"),
]


def tables(text: str) -> dict[str, list[str]]:
    """Each table of ``iptables-save``, without comments, counters and empty tables.

    A table that was used once stays, empty.
    """
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            table = found.setdefault(line, [])
        elif line.startswith((":", "-A")):
            table.append(re.sub(r" \[\d+:\d+\]$", "", line))
    bare = re.compile(r":\S+ ACCEPT")
    return {name: lines for name, lines in found.items() if not all(map(bare.fullmatch, lines))}


def blocks(text: str) -> dict[str, list[str]]:
    """Each chain and map of each table of ``nft -s list ruleset``; one that comes anew is listed last.

    Up to 1.0.6 nft has no word for that priority at the output hook.
    """
    found: dict[str, list[str]] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("table"):
            table = line
        elif re.match(r"\t\w", line):
            block = found.setdefault(f"{table} {line.strip()}", [])
        elif line.strip() not in ("", "}"):
            block.append(line.strip().replace("hook output priority -100", "hook output priority dstnat"))
    return found


def latest(folder: Path, kind: str, stage: str) -> str:
    """The rules at a stage: the last dump up to then."""
    files = [file for file in sorted(folder.glob(f"*.{kind}.txt")) if file.name[:2] <= stage]
    return files[-1].read_text() if files else ""


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("daemon", "config"), CASES)
def test_after_each_event_the_rules_are_those_of_the_daemon(netlab: Any, daemon: str, config: str) -> None:
    folder = CAPTURES / daemon / config / "stages"
    lab = netlab.up(scenario_file(daemon, config), "--engine", DAEMONS[daemon])
    dumps = {"iptables": ("iptables-save",), "ip6tables": ("ip6tables-save",)}
    read = tables
    if DAEMONS[daemon] == "docker-29-nftables":
        dumps, read = {"nft": ("nft", "-s", "list", "ruleset")}, blocks
    expected = {kind: read(latest(folder, kind, min(HISTORIES[config]))) for kind in dumps}
    for stage, events in HISTORIES[config].items():
        for event in events:
            netlab("do", lab, *event.split())
        for kind, dump in dumps.items():
            for file in folder.glob(f"{stage}-*.{kind}.txt"):
                expected[kind] = read(file.read_text())
            found = read(netlab.exec(lab, "host", *dump))
            assert found == expected[kind], f"{stage}: {', '.join(events)}: {kind}"
