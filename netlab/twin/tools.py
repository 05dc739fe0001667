"""Which program a rule that is not the engine's looks like: by the names that each one gives its chains.

Source: ufw's, fail2ban's, kube-proxy's, libvirt's, LXD's, Tailscale's, WireGuard's wg-quick, firewalld's and
CNI plugins' own rules on hosts that have them.
"""

from __future__ import annotations

import re

#: (tool, what names of chains, tables, targets or comments it uses)
_TOOLS = (
    ("ufw", re.compile(r"\bufw6?-")),
    ("fail2ban", re.compile(r"\bf2b-|\bfail2ban")),
    ("kube-proxy", re.compile(r"\bKUBE-")),
    ("Calico", re.compile(r"\bcali-")),
    ("Cilium", re.compile(r"\bCILIUM_")),
    ("a CNI plugin", re.compile(r"\bCNI-|\bFLANNEL-")),
    ("libvirt", re.compile(r"\bLIBVIRT_|\bvirbr\d")),
    (
        "LXD or Incus",
        re.compile(r"for (?:LXD|Incus) network|\b(?:lxd|incus)br\d|\b(?:inet|ip|ip6) (?:lxd|incus)\b"),
    ),
    ("Tailscale", re.compile(r"\bts-(?:input|forward|postrouting)\b|\btailscale\d")),
    ("WireGuard", re.compile(r"\bwg-quick|[io] wg[\w-]*\d*\b|ifname \"?wg")),
    ("firewalld", re.compile(r"\bfirewalld\b|_direct\b|_ZONES\b|\b(?:FWD[IO]?|IN|PRE|POST)_[A-Za-z]+\b")),
    ("Podman", re.compile(r"\bNETAVARK")),
    ("CrowdSec", re.compile(r"\bCROWDSEC|\bcrowdsec")),
    ("miniupnpd", re.compile(r"\bMINIUPNPD\b")),
    ("Docker", re.compile(r"\bDOCKER\b|\bDOCKER-|\bdocker-bridges\b")),
)


def tool_of(*words: str) -> str:
    """The program that such a chain, table or rule looks like; empty: an administrator's, or unknown."""
    text = " ".join(words)
    return next((tool for tool, pattern in _TOOLS if pattern.search(text)), "")
