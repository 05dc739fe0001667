"""The sysctls of a host as the engine finds and leaves them, each write with its reason."""

from __future__ import annotations

from collections.abc import Mapping

from netlab.model.plan import Sysctl

#: What a fresh network namespace holds, of the keys that an engine reads before it writes.
KERNEL = {
    "net.ipv4.ip_forward": "0",
    "net.ipv4.ip_local_port_range": "32768 60999",
    "net.ipv4.ip_local_reserved_ports": "",
    "net.ipv6.conf.all.forwarding": "0",
    "net.ipv6.conf.default.forwarding": "0",
    "net.ipv6.conf.all.disable_ipv6": "0",
    "net.ipv6.conf.default.disable_ipv6": "0",
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
}

#: Keys that are one and the same variable.
ALIASES = {"net.ipv4.conf.all.forwarding": "net.ipv4.ip_forward"}

#: Keys whose write also sets another key (include/net/ip.h, addrconf_fixup_forwarding,
#: addrconf_disable_ipv6).
CARRIES = {
    "net.ipv6.conf.all.forwarding": "net.ipv6.conf.default.forwarding",
    "net.ipv6.conf.all.disable_ipv6": "net.ipv6.conf.default.disable_ipv6",
}


def normal(key: str) -> str:
    """The dotted form of a key, under one name for each variable."""
    dotted = key.replace("/", ".") if "/" in key and "." not in key else key
    return ALIASES.get(dotted, dotted)


class Sysctls:
    """The values of one namespace."""

    def __init__(self, before: Mapping[str, str]) -> None:
        self._values: dict[str, Sysctl] = {}
        self._read = dict(KERNEL)
        for key, value in before.items():
            self._set(normal(key), str(value), "the host's own, before the engine started")

    def _set(self, key: str, value: str, reason: str) -> None:
        self._values.pop(key, None)
        self._values[key] = Sysctl(key, value, reason)
        self._read[key] = value
        if key in CARRIES:
            self._read[CARRIES[key]] = value

    def get(self, key: str) -> str:
        """The value now; the empty string for a key that is not known here."""
        return self._read.get(normal(key), "")

    def write(self, key: str, value: str, reason: str) -> None:
        """Write a value."""
        self._set(normal(key), value, reason)

    def ensure(self, key: str, value: str, reason: str) -> bool:
        """Write a value unless the key already has it; returns whether it was written."""
        if self.get(key) == value:
            return False
        self.write(key, value, reason)
        return True

    def forget(self, interface: str) -> None:
        """Drop what was written for an interface that is gone."""
        part = f".conf.{interface}."
        for key in [key for key in self._values if part in key]:
            del self._values[key]
            self._read.pop(key, None)

    def all(self) -> tuple[Sysctl, ...]:
        """Every value that was written, in order of the last write."""
        return tuple(self._values.values())
