"""A real Podman in a testbed: what netlab's Podman engines are compared with.

There is no daemon: each call of ``podman`` does its part and ends; conmon and aardvark-dns stay. They end
with the testbed, whose init they are children of.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from netlab.bench.real.daemon import image_tar
from netlab.bench.real.testbed import CommandError, Testbed
from netlab.model.event import (
    Connect,
    ContainerRemove,
    ContainerRestart,
    ContainerSpec,
    ContainerStart,
    ContainerStop,
    Disconnect,
    EndpointSpec,
    Event,
    FirewallFlush,
    NetworkCreate,
    NetworkReload,
    NetworkRemove,
    NetworkSpec,
)
from netlab.model.family import FAMILIES, Family
from netlab.model.scenario import PortMapping

PROGRAM = "usr/bin/podman"
IMAGE = "localhost/netlab:1"
NETWORKS, STORE = "/etc/containers/networks", "/var/lib/containers"
BRIDGE = "com.docker.network.bridge.name"
#: Compose's name of the default network, and Podman's.
DEFAULTS = {"bridge": "podman"}
#: crun sets no limit that a container of ours may not have, and makes no cgroup.
CONFIG = """
[containers]
pids_limit=0
cgroups="disabled"
default_ulimits=["nofile=1024:4096","nproc=4096:4096","memlock=65536:65536"]
[engine]
cgroup_manager="cgroupfs"
events_logger="file"
"""


class Podman:
    """One installation of Podman on the host of a testbed, with one firewall driver of netavark.

    ``driver`` is empty for a version that has only one; ``network`` has more of ``[network]`` in
    containers.conf. Errors of ``podman`` are :class:`CommandError`.
    """

    def __init__(self, testbed: Testbed, driver: str = "", network: Mapping[str, Any] | None = None) -> None:
        self.testbed = testbed
        #: node → container name, in order of creation
        self.containers: dict[str, str] = {}
        #: the random words → the plan's
        self.names: dict[str, str] = {}
        chosen = {**(network or {}), **({"firewall_driver": driver} if driver else {})}
        lines = "".join(f"{key}={_toml(value)}\n" for key, value in chosen.items())
        self._write("/etc/containers/containers.conf", f"{CONFIG}[network]\n{lines}")
        testbed.run(["mkdir", "-p", NETWORKS, STORE])
        testbed.run(["mount", "-t", "tmpfs", "-o", "mode=700", "store", STORE])
        # crun takes no machine that has version 1 beside it; it makes no cgroup here, whichever there is
        testbed.run(["mount", "-t", "cgroup2", "none", "/sys/fs/cgroup"])

    def _write(self, path: str, text: str) -> None:
        self.testbed.run(["mkdir", "-p", str(Path(path).parent)])
        self.testbed.run(["tee", path], stdin=text)

    def call(self, *arguments: str, check: bool = True) -> str:
        """``podman ARGUMENTS``: what it prints."""
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        words = ["env", "-C", "/", path, "STORAGE_DRIVER=vfs", "podman", "--log-level=error", *arguments]
        return self.testbed.run(words, check=check)

    def version(self) -> str:
        """``4.3.1``."""
        return str(json.loads(self.call("version", "--format", "json"))["Client"]["Version"])

    def load_image(self) -> None:
        """``podman import`` of the one image."""
        (self.testbed.root / "run" / "image.tar").write_bytes(image_tar())
        self.call("import", "-q", "/run/image.tar", IMAGE)

    def inspect(self, name: str) -> dict[str, Any]:
        """``podman inspect NAME``."""
        found: dict[str, Any] = json.loads(self.call("inspect", name))[0]
        return found

    def play(self, events: Iterable[Event]) -> None:
        """Everything that happens, in order."""
        for event in events:
            self.step(event)

    def step(self, event: Event) -> None:
        """One event; a refusal is a CommandError, an event that Podman cannot have a ValueError."""
        match event:
            case NetworkCreate(spec):
                self._create(spec)
            case NetworkRemove(name):
                self.call("network", "rm", name)
            case ContainerStart(spec_):
                self._run(spec_)
            case ContainerStop(node):
                self.call("stop", "-t", "0", self.containers[node])
            case ContainerRestart(node, if_stopped):
                running = self.inspect(self.containers[node])["State"]["Running"]
                if not (if_stopped and running):
                    self.call("restart", "-t", "0", self.containers[node])
            case ContainerRemove(node):
                self.call("rm", "-f", "-t", "0", self.containers.pop(node))
            case Connect(node, wish):
                self.call(
                    "network", "connect", *_endpoint(wish)[1:], _network(wish.network), self.containers[node]
                )
            case Disconnect(node, network):
                self.call("network", "disconnect", _network(network), self.containers[node])
            case NetworkReload(node):
                self.call("network", "reload", self.containers[node] if node else "--all")
            case FirewallFlush():
                for family in FAMILIES:
                    for table in ("filter", "nat"):
                        self.testbed.run([family.iptables, "-t", table, "-F"])
            case _:
                raise ValueError(f"Podman has no such event, or no recording of it: {event}")

    def _create(self, spec: NetworkSpec) -> None:
        """``podman network create``; then the id and the bridge's name, as the API's clients give them."""
        words = ["network", "create"]
        for pool in spec.pools:
            for option, value in (
                ("subnet", pool.subnet),
                ("gateway", pool.gateway),
                ("ip-range", pool.ip_range),
            ):
                words += [f"--{option}", value] if value else []
        words += ["--internal"] if spec.internal else []
        words += ["--ipv6"] if spec.enable_ipv6 else []
        for key, value in spec.driver_opts.items():
            words += ["-o", f"{key}={value}"] if key != BRIDGE else []
        self.call(*words, spec.name)
        path = f"{NETWORKS}/{spec.name}.json"
        written = json.loads(self.testbed.run(["cat", path]))
        written["id"] = spec.id
        written["network_interface"] = spec.driver_opts.get(BRIDGE, written["network_interface"])
        self.testbed.run(["tee", path], stdin=json.dumps(written))

    def _run(self, spec: ContainerSpec) -> None:
        """``podman run``: what podman-compose makes of a service."""
        words = [
            "run",
            "-d",
            "--name",
            spec.name,
            "--entrypoint",
            json.dumps(["/busybox", "sleep", "1000000"]),
        ]
        kind, _, target = spec.network_mode.partition(":")
        if kind == "container":
            words += ["--network", f"container:{self.containers.get(target, target)}"]
        elif spec.endpoints:
            for wish in spec.endpoints:
                words += ["--network", _endpoint(wish)[0]]
        else:
            words += ["--network", DEFAULTS.get(kind, kind)]
        words += ["--hostname", spec.hostname] if spec.hostname else []
        for mapping in spec.ports:
            words += ["-p", _mapping(mapping)]
        for name, address in spec.extra_hosts:
            words += ["--add-host", f"{name}:{address}"]
        for server in spec.dns:
            words += ["--dns", server]
        for key, value in spec.sysctls.items():
            words += ["--sysctl", f"{key}={value}"]
        try:
            made = self.call(*words, IMAGE).strip()
        except CommandError:
            self.call("rm", "-f", spec.name, check=False)
            raise
        self.containers[spec.node] = spec.name
        self.names |= {made: spec.id, made[:12]: spec.id[:12]}


def _toml(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{json.dumps(key)}={_toml(one)}' for key, one in value.items())}}}"
    return json.dumps(value)


def _network(name: str) -> str:
    return DEFAULTS.get(name, name)


def _endpoint(wish: EndpointSpec) -> list[str]:
    """``NETWORK:ip=…,alias=…`` of ``podman run``, then the options of ``podman network connect``."""
    given = (("ip", wish.ipv4_address), ("ip6", wish.ipv6_address), ("mac", wish.mac_address))
    inline = [f"{key}={value}" for key, value in given if value]
    inline += [f"alias={alias}" for alias in wish.aliases]
    options = [f"--{'mac-address' if key == 'mac' else key}={value}" for key, value in given if value]
    options += [f"--alias={alias}" for alias in wish.aliases]
    return [_network(wish.network) + (f":{','.join(inline)}" if inline else ""), *options]


def _mapping(mapping: PortMapping) -> str:
    address = mapping.host_ip
    if address and Family.of(address) is Family.IPV6:
        address = f"[{address}]"
    low, high = mapping.host_ports or (0, 0)
    host = "" if mapping.host_ports is None else str(low) if low == high else f"{low}-{high}"
    inner = f"{mapping.container_port}/{mapping.protocol}"
    if address:
        return f"{address}:{host}:{inner}"
    return f"{host}:{inner}" if host else inner
