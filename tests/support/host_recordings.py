"""How recordings of real hosts are read: settings, links and addresses."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import ClassVar

from netlab.model.plan import Node

#: One link of ``ip -d link``: its index, name, peer's index, MTU and bridge.
LINK = re.compile(r"^(\d+): ([^:@]+)(?:@if(\d+))?: .* mtu (\d+) .*?(?:master (\S+) )?state")


def anonymous(text: str) -> str:
    """A text without the random part of Docker's names for veths."""
    return re.sub(r"veth[0-9a-f]{7}", "veth", text)


class Sysctls:
    """A small model of the kernel: which writes reach which variables."""

    PER_INTERFACE: ClassVar = {
        "net.ipv4.conf.*.forwarding": "0",
        "net.ipv4.conf.*.route_localnet": "0",
        "net.ipv4.conf.*.rp_filter": "0",
        "net.ipv6.conf.*.accept_ra": "1",
        "net.ipv6.conf.*.disable_ipv6": "0",
        "net.ipv6.conf.*.forwarding": "0",
    }
    #: What ``sysctls.txt`` does not have.
    ELSEWHERE = (".accept_redirects", ".accept_dad", ".arp_notify", ".autoconf")
    PLAIN: ClassVar = {
        "net.bridge.bridge-nf-call-arptables": "1",
        "net.bridge.bridge-nf-call-ip6tables": "1",
        "net.bridge.bridge-nf-call-iptables": "1",
        "net.ipv4.ip_forward": "0",
        "net.ipv4.ip_unprivileged_port_start": "1024",
    }

    def __init__(self, node: Node) -> None:
        names = sorted({"lo", *(interface.name for interface in node.interfaces)})
        self.plain = dict(self.PLAIN)
        self.per = {
            key: dict.fromkeys(["all", "default", *names], v) for key, v in self.PER_INTERFACE.items()
        }
        for sysctl in node.sysctls:
            self.write(sysctl.key, sysctl.value)
        if node.kind == "host":
            for values in self.per.values():
                del values["lo"]

    def write(self, key: str, value: str) -> None:
        if key == "net.ipv4.ip_forward":
            self.plain[key] = value
            self.write("net.ipv4.conf.all.forwarding", value)
            return
        if key in self.plain:
            self.plain[key] = value
            return
        if key == "net.ipv4.ping_group_range" or key.endswith(self.ELSEWHERE):
            return
        match = re.fullmatch(r"(net\.ipv[46]\.conf)\.([^.]+)\.(\w+)", key)
        assert match, key
        values = self.per[f"{match[1]}.*.{match[3]}"]
        spreads = match[2] == "all" and match[3] in ("forwarding", "disable_ipv6")
        for name in values if spreads else [match[2]]:
            assert name in values, f"{key}: there is no {name}"
            values[name] = value

    def show(self) -> str:
        lines = [f"{key} = {value}" for key, value in self.plain.items()]
        for key, values in self.per.items():
            groups: dict[str, list[str]] = defaultdict(list)
            for name, value in values.items():
                groups[value].append(anonymous(name))
            lines += [f"{key} = {value}: {' '.join(sorted(names))}" for value, names in groups.items()]
        return "\n".join(sorted(lines))


def by_name(line: str) -> str:
    key, colon, names = line.partition(": ")
    return f"{key}: {' '.join(sorted(names.split()))}" if colon else line


def sections(text: str) -> dict[str, list[str]]:
    """The sections of a file by title: the lines after each ``# title``."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("# "):
            found[line[2:]] = []
        else:
            next(reversed(found.values())).append(line)
    return found


def is_autoconfigured(address: str) -> bool:
    """A link-local address that the kernel made."""
    return address.startswith("fe80::") and address != "fe80::1/64"
