"""A random host: engine, firewall, options, and rules that are typed or in files."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agree import nft, xt

ENGINES = (
    "docker-19.03", "docker-20.10", "docker-24", "docker-26", "docker-27", "docker-28.0.0", "docker-28",
    "docker-29", "docker-29", "docker-29-nftables", "podman-4", "podman-5-iptables", "podman-5-nftables",
)  # fmt: skip
FIREWALLS = ("none", "none", "ufw", "firewalld", "files", "files")
SETTINGS = (
    "net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.all.rp_filter=2", "net.ipv4.conf.all.route_localnet=1",
    "net.ipv4.ip_forward=1", "net.ipv4.icmp_echo_ignore_all=1", "net.ipv4.conf.ext0.accept_local=1",
    "net.ipv6.conf.all.forwarding=1",
)  # fmt: skip
_TABLES = ("raw", "mangle", "nat", "filter")
_BUILT_IN = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
}
SCENARIO = """\
services:
  web: {{image: nginx, ports: ["8080:80", "5353:53/udp"]}}
  db: {{image: nginx, expose: ["443"]}}
  api: {{image: nginx, ports: ["9000:80"], networks: [back]}}
networks:
  back: {{enable_ipv6: true, ipam: {{config: [{{subnet: 172.30.0.0/24}}, {{subnet: "fd00:9::/64"}}]}}}}
x-netlab:
  host:
    engine: {engine}
    firewall: {firewall}
    daemon: {daemon}
    sysctls: {sysctls}
    rules: {rules}
"""


@dataclass(frozen=True)
class Group:
    """Rules that belong together. ``kind``: ``typed``, or the file in which they are."""

    kind: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Host:
    """What is random of a host."""

    engine: str
    firewall: str
    proxy: bool
    sysctls: tuple[str, ...]
    groups: tuple[Group, ...]

    @classmethod
    def at_random(cls, chance: random.Random) -> Host:
        """One of all."""
        engine, firewall = chance.choice(ENGINES), chance.choice(FIREWALLS)
        if "podman" in engine and firewall == "firewalld":  # netlab refuses both together
            firewall = "none"
        groups = tuple(_group(chance, n, firewall == "files") for n in range(chance.randint(1, 5)))
        sysctls = (chance.choice(SETTINGS),) if chance.random() < 0.25 else ()
        return cls(engine, firewall, chance.random() < 0.5, sysctls, groups)

    def of(self, groups: Sequence[Group]) -> Host:
        """The host with other rules."""
        return replace(self, groups=tuple(groups))

    def write(self, folder: Path) -> Path:
        """Write its scenario with its files; the scenario's path."""
        files = {}
        for kind in ("iptables", "ip6tables", "nftables"):
            text = self.file(kind)
            if text:
                (folder / f"rules.{kind}").write_text(text)
                files[kind] = f"rules.{kind}"
        firewall = self.firewall if self.firewall != "files" else json.dumps(files) if files else "none"
        path = folder / "agree.yaml"
        path.write_text(
            SCENARIO.format(
                engine=self.engine,
                firewall=firewall,
                daemon="{}" if "podman" in self.engine else json.dumps({"userland-proxy": self.proxy}),
                sysctls=json.dumps(dict(one.split("=") for one in self.sysctls)),
                rules=json.dumps(
                    [line for group in self.groups if group.kind == "typed" for line in group.lines]
                ),
            )
        )
        return path

    def file(self, kind: str) -> str:
        """The rules of one kind of file; empty if it has none."""
        lines = [line for group in self.groups if group.kind == kind for line in group.lines]
        if not lines or kind == "nftables":
            return "\n".join(lines) + "\n" if lines else ""
        return "".join(
            _saved(table, [line for line in lines if line.startswith(f"-t {table} ")]) for table in _TABLES
        )

    def __str__(self) -> str:
        """One line."""
        proxy = "" if self.proxy or "podman" in self.engine else ", userland-proxy: false"
        rules = "; ".join(" | ".join(one.strip() for one in group.lines) for group in self.groups)
        return f"{self.engine}, {self.firewall}{proxy}{''.join(f', {one}' for one in self.sysctls)}: {rules}"


def _group(chance: random.Random, number: int, files: bool) -> Group:
    in_file = files and chance.random() < 0.7
    if chance.random() < 0.55:
        family, lines = xt.rule(chance, number)
        tool = "iptables" if family == 4 else "ip6tables"
        return (
            Group(tool, tuple(lines)) if in_file else Group("typed", tuple(f"{tool} {one}" for one in lines))
        )
    made = nft.table(chance, number)
    return Group("nftables", tuple(made.text())) if in_file else Group("typed", tuple(made.commands()))


def _saved(table: str, lines: list[str]) -> str:
    """One table as iptables-save prints it, of commands; empty if there are none."""
    if not lines:
        return ""
    words = [line.removeprefix(f"-t {table} ") for line in lines]
    chains = [f":{name} ACCEPT [0:0]" for name in _BUILT_IN[table]]
    chains += [f":{word.split()[1]} - [0:0]" for word in words if word.startswith("-N ")]
    rules = [word.replace("-I ", "-A ", 1) for word in words if not word.startswith("-N ")]
    return "\n".join([f"*{table}", *chains, *rules, "COMMIT"]) + "\n"
