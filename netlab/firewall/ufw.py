"""ufw: its own rules, and the ports that ``ufw allow`` lets in."""

from __future__ import annotations

import re

from netlab.firewall.ufw_rules import RULES
from netlab.model.errors import UsageError
from netlab.model.family import FAMILIES, Family
from netlab.model.scenario import Firewall, JsonValue

_PORT = re.compile(r"(\d+)(?:/(tcp|udp))?")

#: Where the lines of ``after.rules`` and ``after6.rules`` go.
AFTER = {Family.IPV4: "after_rules", Family.IPV6: "after6_rules"}


def rulesets(firewall: Firewall) -> dict[str, str]:
    """The rulesets by tool (``iptables``, ``ip6tables``); raises UsageError for what is not reproduced."""
    unknown = set(firewall.options) - {"allow"}
    if unknown:
        raise UsageError(f"firewall: ufw: {', '.join(sorted(unknown))} is not reproduced, only allow")
    allow = firewall.options.get("allow")
    lines = [line for entry in _entries(allow) for line in _allowed(entry)]
    texts = {}
    for family in FAMILIES:
        head, commit, tail = RULES[family].rpartition("COMMIT\n")
        texts[family.iptables] = head + "".join(lines) + commit + tail + firewall.files.get(AFTER[family], "")
    return texts


def _entries(value: JsonValue) -> list[str]:
    if value is None:
        return []
    return [str(entry) for entry in value] if isinstance(value, list) else [str(value)]


def _allowed(entry: str) -> list[str]:
    """``80/tcp``, or ``53`` for both protocols, as ufw writes them."""
    match = _PORT.fullmatch(entry)
    if not match:
        raise UsageError(
            f"firewall: ufw: allow {entry!r} is not reproduced: write PORT or PORT/tcp or PORT/udp"
        )
    protocols = [match[2]] if match[2] else ["tcp", "udp"]
    return [f"-A ufw-user-input -p {p} -m {p} --dport {match[1]} -j ACCEPT\n" for p in protocols]
