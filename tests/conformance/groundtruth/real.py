"""A scenario on a real daemon, from an empty testbed to its last event, and what it looks like then."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from groundtruth.facts import Facts, Place, facts_of, look
from groundtruth.replay import Replay
from groundtruth.testbed_network import lay_out
from netlab.bench.real.daemon import Daemon
from netlab.bench.real.testbed import CommandError, Testbed
from netlab.model.event import ContainerStart, Event
from netlab.model.scenario import Host, HostRule, JsonValue, Scenario


@dataclass(slots=True)
class RealHost:
    """The daemon's host after all events."""

    testbed: Testbed
    daemon: Daemon
    replay: Replay

    def places(self) -> list[Place]:
        """The host, and each container that has a namespace of its own."""
        found = [Place("host", self.testbed.namespace(), full=True)]
        if not self.daemon.running:
            return found
        seen = set()
        for node, name in self.replay.containers.items():
            container = self.daemon.api.container(name)
            key = container["NetworkSettings"]["SandboxKey"].rsplit("/", 1)[-1]
            if container["State"]["Running"] and key and key != "default" and key not in seen:
                seen.add(key)
                found.append(Place(node, f"{self.testbed.root}/run/docker/netns/{key}"))
        return found

    def names(self) -> dict[str, str]:
        """The daemon's random ids, and the plan's in their place."""
        return dict(self.replay.names)

    def admin(self, rules: tuple[HostRule, ...]) -> None:
        """The lines that the administrator types once everything is up."""
        for rule in rules:
            self.testbed.run(rule.argv)

    def settled(self) -> dict[str, Any]:
        """A snapshot once the kernel has finished what the daemon began."""
        return look(self.places())

    def facts(self) -> Facts:
        """Everything comparable."""
        facts = facts_of(self.settled(), "host", self.names())
        for node, name in self.replay.containers.items():
            if self.daemon.running:  # a stopped one cannot be asked where the files are
                facts |= self._files(node, name)
        return facts

    def _files(self, node: str, container: str) -> Facts:
        inspected = self.daemon.api.container(container)
        found: Facts = {}
        for key, word in (
            ("HostsPath", "hosts"),
            ("ResolvConfPath", "resolv.conf"),
            ("HostnamePath", "hostname"),
        ):
            path = inspected[key]
            if path:
                text = (self.testbed.root / path.lstrip("/")).read_text()
                for random, plans in self.names().items():
                    text = text.replace(random, plans)
                found[f"{node}: {word}"] = [
                    line for line in text.splitlines() if line and not line.startswith("#")
                ]
        return found


def ufw(testbed: Testbed, options: Mapping[str, JsonValue]) -> None:
    """Enable the real ufw in the testbed, with files of its own. CommandError if it is missing."""
    allowed = options.get("allow")
    for entry in allowed if isinstance(allowed, list) else []:
        testbed.run(["ufw", "allow", str(entry)])
    testbed.run(["ufw", "--force", "enable"])


BUS = "/run/dbus/system_bus_socket"
BUS_CONFIG = f"""<busconfig><type>system</type><listen>unix:path={BUS}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="*"/><allow receive_type="*"/>
</policy></busconfig>"""


def firewalld(testbed: Testbed) -> None:
    """Start the real firewalld in the testbed, on a D-Bus of its own. CommandError if it is missing."""
    testbed.run(["mkdir", "-p", "/run/dbus", "/run/firewalld"])
    testbed.run(["tee", "/run/dbus.conf"], stdin=BUS_CONFIG)
    testbed.run(["dbus-daemon", "--config-file=/run/dbus.conf", "--fork"])
    testbed.run(["firewalld"])
    deadline = time.monotonic() + 60
    while testbed.run(["firewall-cmd", "--state"], check=False).strip() != "running":
        if time.monotonic() > deadline:
            raise CommandError("firewalld did not answer within 60 s")


def saved(testbed: Testbed, host: Host) -> None:
    """The rulesets that the administrator had loaded before the daemon came."""
    for key, text in host.firewall.files.items():
        if key in ("iptables", "ip6tables"):
            testbed.run([f"{key}-restore"], stdin=text)
        elif key == "nftables":
            testbed.run(["nft", "-f", "-"], stdin=text)


@contextmanager
def real_host(scenario: Scenario, host: Host, events: tuple[Event, ...], lower: str) -> Iterator[RealHost]:
    """The daemon of root ``lower``, having lived through ``events``; gone at the end, however it ends."""
    testbed = Testbed(lower)
    daemon = None
    try:
        if host.firewall.kind == "ufw":
            ufw(testbed, host.firewall.options)  # at boot it comes before the network
        if host.firewall.kind == "firewalld":
            firewalld(testbed)
        lay_out(testbed, scenario, host)
        saved(testbed, host)
        if host.wsl2_mirrored:  # how a daemon tells (isRunningUnderWSL2MirroredMode), beside loopback0
            testbed.run(["install", "-m", "755", "/bin/true", "/usr/bin/wslinfo"])
        daemon = Daemon(testbed, host.daemon, host.environment)
        replay = Replay(daemon)
        daemon.start()
        if any(isinstance(event, ContainerStart) for event in events):
            daemon.load_image()
        replay.play(events)
        yield RealHost(testbed, daemon, replay)
    finally:
        if daemon is None:
            testbed.close()
        else:
            daemon.kill()
