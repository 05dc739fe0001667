"""A snapshot as comparable lines: sections of text, so that a difference can be read as a diff.

Only what a machine makes up is brought to a common form here: ``br-`` names carry a network's id, host ends
of veth pairs are named after the container's end, link-local addresses after the MAC. Everything else stays
as the tools print it; what may differ in spite of that is an entry in ``departures.toml``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SNAPSHOT = Path(__file__).with_name("snapshot.py")
#: The link-local address that the kernel makes of a MAC (RFC 4291, appendix A).
EUI64 = re.compile(r"fe80::(?:[0-9a-f]{1,4}:)?[0-9a-f]{0,2}ff:fe[0-9a-f]{2}:[0-9a-f]{1,4}/64")
Facts = dict[str, list[str]]  #: section -> lines

#: What follows from others (ids from MACs, the kernel's numbering) or runs (timers, counters).
DERIVED = re.compile(
    r"^(ifindex|link_index|link_netnsid|ifname|link|address|permaddr|stats.*|.*_timer|"
    r".*\.(bridge_id|root_id|root_port|designated_.*|id|no|root_path_cost|topology_change.*|.*timer)|.*_max_size|.*_max_segs|allmulti|parentbus)$"
)
#: Sysctls that count, or are the machine's and not the namespace's.
COUNTERS = re.compile(
    r"(nf_conntrack_count|nf_conntrack_buckets|nf_conntrack_max|nf_conntrack_expect_max|gc_thresh|\.mtu$|"
    r"^core\.|^unix\.|mem$|^netfilter\.nf_log|tcp_fastopen_key|stable_secret|fib_multipath|ip_local_reserved)"
)


@dataclass(frozen=True, slots=True)
class Place:
    """One namespace to look at: the host in full, a container by its links and settings."""

    name: str
    net: str
    full: bool = False


def look(places: Sequence[Place]) -> dict[str, Any]:
    """Run the snapshot program over these namespaces."""
    request = json.dumps([{"name": p.name, "net": p.net, "full": p.full} for p in places])
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(SNAPSHOT)],
        input=request,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the snapshot failed: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def veth_names(snapshot: Mapping[str, Any], host: str) -> dict[str, str]:
    """Host ends of containers' veth pairs: the daemon's random name -> ``veth(NODE.eth0)``."""
    by_index = {link["ifindex"]: link["ifname"] for link in snapshot[host]["links"]}
    found = {}
    for node, seen in snapshot.items():
        if node != host:
            for link in seen["links"]:
                if link.get("linkinfo", {}).get("info_kind") == "veth":
                    found[by_index[link["link_index"]]] = f"veth({node}.{link['ifname']})"
    return found


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """The same structure with every one of these words replaced, in keys too."""
    if not names:
        return value
    words = re.compile("|".join(sorted(map(re.escape, names), key=len, reverse=True)))
    return json.loads(words.sub(lambda m: names[m[0]], json.dumps(value)))


def facts_of(snapshot: Mapping[str, Any], host: str, names: Mapping[str, str]) -> Facts:
    """All sections; ``names`` replaces further words (bridges with random ids)."""
    snapshot = renamed(snapshot, {**veth_names(snapshot, host), **names})
    facts: Facts = {}
    for node, seen in snapshot.items():
        where = "host" if node == host else node
        facts[f"{where}: iptables"] = rules(seen["rules4"])
        facts[f"{where}: links"] = sorted(links(seen["links"]))
        facts[f"{where}: addresses"] = addresses(seen)
        facts[f"{where}: addresses, plain"] = plain_addresses(seen)
        facts[f"{where}: routes"] = sorted(flat_lines(seen["routes4"]) + flat_lines(seen["routes6"]))
        facts[f"{where}: sysctls"] = sysctls(seen["sysctls"])
        if node == host:
            facts["host: order of links"] = [link["ifname"] for link in sorted(seen["links"], key=_index)]
            facts["host: ip6tables"] = rules(seen["rules6"])
            facts["host: nft"] = [line for text in seen["nft"].values() for line in text.splitlines()]
            facts["host: policy routing"] = (seen["rule4"] + seen["rule6"]).splitlines()
            facts["host: listeners"] = listeners(seen["sockets"])
            facts["host: docker-proxy"] = proxies(seen["commands"])
    return facts


def _index(link: Mapping[str, Any]) -> int:
    return int(link["ifindex"])


def rules(save: str) -> list[str]:
    """iptables-save without comments and counters."""
    lines = [line for line in save.splitlines() if not line.startswith("#")]
    return [re.sub(r" \[\d+:\d+\]$", "", line) for line in lines]


def flatten(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Leaves of a JSON structure as (dotted path, text)."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flatten(inner, f"{prefix}.{key}" if prefix else key)
    elif isinstance(value, list):
        yield prefix, " ".join(sorted(map(str, value)))
    else:
        yield prefix, str(value)


def links(seen: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One line an attribute: ``docker0 linkinfo.info_data.stp_state = 0``."""
    for link in seen:
        yield f"{link['ifname']} mac = {link['address']}"
        for key, value in flatten(link):
            if not DERIVED.match(key):
                yield f"{link['ifname']} {key} = {value}"


def addresses(seen: Mapping[str, Any]) -> list[str]:
    """One line an address, in the order of each interface; one made from the MAC is called so."""
    lines = []
    for link in sorted(seen["addresses"], key=lambda a: str(a["ifname"])):
        for entry in link.get("addr_info", ()):
            if not entry:
                continue
            name = link["ifname"]
            attributes = dict(entry)
            text = f"{attributes.pop('local')}/{attributes.pop('prefixlen')}"
            # a bridge keeps the address of the MAC that it had first, whatever port joined it later
            if EUI64.fullmatch(text):
                text = "fe80::MAC/64"
            rest = " ".join(f"{k}={v}" for k, v in sorted(attributes.items()) if k != "family")
            lines.append(f"{name} {text} {rest}")
    return lines


def plain_addresses(seen: Mapping[str, Any]) -> list[str]:
    """What somebody set, as a plan says it: no loopback's own, none that the kernel made of a MAC."""
    words = (line.split() for line in addresses(seen))
    return sorted(f"{name} {address}" for name, address, *_ in words if name != "lo" and "MAC" not in address)


def flat_lines(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line an entry, its attributes in a fixed order."""
    return [" ".join(f"{k}={v}" for k, v in flatten(entry)) for entry in entries]


def sysctls(seen: Mapping[str, str]) -> list[str]:
    """``ipv4.conf.*.forwarding = 1: all br_a docker0``; others one a line."""
    groups: dict[tuple[str, str], list[str]] = {}
    for path, value in seen.items():
        parts = path.split("/")
        if len(parts) == 4 and parts[1] in ("conf", "neigh"):
            key, who = f"{parts[0]}.{parts[1]}.*.{parts[3]}", parts[2]
        else:
            key, who = ".".join(parts), ""
        if not COUNTERS.search(key):
            groups.setdefault((key, value), []).append(who)
    return sorted(
        f"{key} = {value}" + (f": {' '.join(sorted(w))}" if w[0] else "")
        for (key, value), w in groups.items()
    )


def proxies(commands: Mapping[str, str]) -> list[str]:
    """The arguments of each docker-proxy that listens."""
    words = [line.split(" ") for line in commands.values()]
    return sorted(" ".join(arguments) for name, *arguments in words if name.endswith("docker-proxy"))


def listeners(sockets: str) -> list[str]:
    """``tcp 0.0.0.0:80 backlog 4096 docker-proxy``: who listens, without PIDs and descriptors."""
    lines = []
    for line in sockets.splitlines():
        protocol, state, _, backlog, local, _, *rest = line.split()
        words = " ".join(rest)
        who = ",".join(sorted(set(re.findall(r'"([^"]+)",pid=', words)))) or "nobody"
        v6only = re.search(r"v6only:\d", words)
        lines.append(
            f"{protocol} {state} {local} backlog {backlog} {who}" + (f" {v6only[0]}" if v6only else "")
        )
    return sorted(lines)
