"""A scenario on a real Podman, from an empty testbed to its last event, beside netlab's Podman engines.

The machine's own is used, and with ``--conformance-all`` also those of other Debian suites, each in a root of
its own beside the daemons' (``python3 tests/conformance/groundtruth/daemons.py podman [SUITE…]`` makes them).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from groundtruth.daemons import Installed, podman_roots
from groundtruth.facts import Facts, Place, facts_of, look
from groundtruth.real import saved, ufw
from groundtruth.testbed_network import lay_out
from netlab.bench.real.podman import PROGRAM, Podman
from netlab.bench.real.testbed import Testbed
from netlab.model.event import Event
from netlab.model.scenario import Host, HostRule, Scenario

#: The firewall drivers of netavark since Podman 5, and the engine of each.
DRIVERS = {"podman-5-iptables": "iptables", "podman-5-nftables": "nftables"}


def _installed(lower: Path) -> Iterator[Installed]:
    if not (lower / PROGRAM).exists():
        return
    # 5.x itself needs /proc to say its version
    asked = ["chroot", str(lower), "dpkg-query", "--show", "--showformat=${Version}", "podman"]
    words = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    version = words.partition("+")[0]  # 5.4.2+ds1-2+b2
    for engine in ("podman-4",) if version.startswith("4.") else DRIVERS:
        yield Installed(engine, version, str(lower))


def installed(*, everywhere: bool = False) -> list[Installed]:
    """Every Podman that can be had here, the machine's own first; one a engine and version."""
    roots = [Path("/"), *(podman_roots() if everywhere else ())]
    found: dict[tuple[str, str], Installed] = {}
    for root in roots:
        for one in _installed(root):
            found.setdefault((one.engine, one.version), one)
    return list(found.values())


@dataclass(slots=True)
class RealPodman:
    """Podman's host after all events."""

    testbed: Testbed
    podman: Podman

    def admin(self, rules: tuple[HostRule, ...]) -> None:
        """The lines that the administrator types once everything is up."""
        for rule in rules:
            self.testbed.run(rule.argv)

    def places(self) -> list[Place]:
        """The host, and each running container with a namespace of its own."""
        places = [Place("host", self.testbed.namespace(), full=True)]
        seen = {os.stat(places[0].net).st_ino}
        for node, name in self.podman.containers.items():
            state = self.podman.inspect(name)["State"]
            if state["Running"]:
                own = f"{self.testbed.root}/proc/{state['Pid']}/ns/net"
                number = os.stat(own).st_ino
                places += [Place(node, own)] if number not in seen else []
                seen.add(number)
        return places

    def facts(self) -> Facts:
        """Everything comparable."""
        files: Facts = {}
        for node, name in self.podman.containers.items():
            found = self.podman.inspect(name)
            for key, word in (("HostsPath", "hosts"), ("ResolvConfPath", "resolv.conf")):
                if found[key]:
                    files[f"{node}: {word}"] = self._lines(found[key])
        return facts_of(look(self.places()), "host", self.podman.names) | files

    def _lines(self, path: str) -> list[str]:
        text = self.testbed.run(["cat", path])
        for random, plans in self.podman.names.items():
            text = text.replace(random, plans)
        return [line for line in text.splitlines() if line and not line.startswith("#")]


@contextmanager
def real_podman(
    scenario: Scenario, host: Host, events: tuple[Event, ...], found: Installed
) -> Iterator[RealPodman]:
    """That Podman's host after ``events``; gone at the end, however it ends."""
    with Testbed(found.lower) as testbed:
        if host.firewall.kind == "ufw":
            ufw(testbed, host.firewall.options)
        lay_out(testbed, scenario, host)
        saved(testbed, host)
        testbed.run(["tee", "/etc/hosts"], stdin="127.0.0.1\tlocalhost\n")
        podman = Podman(testbed, DRIVERS.get(found.engine, ""), host.containers_conf)
        podman.load_image()
        podman.play(events)
        yield RealPodman(testbed, podman)
