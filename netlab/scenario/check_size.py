"""Count what a scenario asks for, before any of it is created.

It is all arithmetic on the tree: a range counts with its length, a service once for each container. Wrong
values count as nothing here; the code that reads them reports them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from netlab.model import limits
from netlab.model.limits import Limit
from netlab.scenario.tree import Mark, Report, Value

#: the last number, or range of numbers, of a port in any of its forms
_LAST = re.compile(r"(?:\A|:)([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/[A-Za-z]*)?\Z", re.ASCII)
#: what makes a name of a flow a pattern
_GLOB = re.compile(r"[*?\[]")
_PER_CONTAINER = ("extra_hosts", "dns", "dns_search", "dns_opt", "sysctls", "external_links")


@dataclass(slots=True)
class _Sum:
    count: int = 0
    largest: int = 0
    at: Mark = ("", 1, 1)


@dataclass(slots=True)
class Tally:
    """Sums by what they are bounded by, each with the place that adds most to it."""

    sums: dict[Limit, _Sum] = field(default_factory=dict)

    def add(self, limit: Limit, count: int, at: Mark) -> None:
        """Add a count, for which the file asks at ``at``."""
        found = self.sums.setdefault(limit, _Sum())
        found.count += count
        if count > found.largest:
            found.largest, found.at = count, at

    def tell(self, report: Report) -> bool:
        """Report every bound that is exceeded, at the place that adds most; whether there is any."""
        before = len(report.problems)
        for limit, found in self.sums.items():
            wrong = limit.exceeded(found.count)
            if wrong:
                here = "" if found.largest == found.count else f" ({found.largest:,} of them here)"
                report.add(found.at, wrong + here)
        return len(report.problems) > before


def check_size(root: Value, scale: Mapping[str, int], profiles: frozenset[str], report: Report) -> bool:
    """Report what there is too much of; whether anything is. Nothing but the tree's shape is known."""
    tally = Tally()
    netlab = root.get("x-netlab") or Value({}, root.at)
    extras = netlab.get("services") or Value({}, root.at)
    services = dict((root.get("services") or Value({}, root.at)).pairs())
    containers = {name: _replicas(name, value, scale, profiles) for name, value in services.items()}
    for name, value in services.items():
        _service(value, extras.get(name), containers[name], tally)
        _links(value, services, extras, containers[name], tally)
    for _, value in (root.get("networks") or Value({}, root.at)).pairs():
        tally.add(limits.NETWORKS, 1, value.at)
    _around(netlab, tally)
    _happenings(netlab, sum(containers.values()), tally)
    return tally.tell(report)


def count_ports(value: Value) -> int:
    """How many ports one entry of ``ports``, ``expose`` or ``listen`` names."""
    if isinstance(value.data, dict):
        listed = value.get("port")
        return 1 if listed is None else count_ports(listed)
    match = _LAST.search(value.text)
    if not match:
        return 0
    low, high = int(match[1]), int(match[2] or match[1])
    return max(0, high - low + 1)


def _replicas(name: str, value: Value, scale: Mapping[str, int], profiles: frozenset[str]) -> int:
    wanted = [item.text for item in value.get("profiles") or ()]
    if wanted and "*" not in profiles and profiles.isdisjoint(wanted):
        return 0
    if name in scale:
        return max(0, scale[name])
    deploy = value.get("deploy")
    written = value.get("scale") or (deploy.get("replicas") if deploy is not None else None)
    return written.number if written is not None else 1


def _length(value: Value | None) -> int:
    if value is None:
        return 0
    if isinstance(value.data, list | dict):
        return len(value.data)
    return 1


def _port_lists(value: Value, extra: Value | None) -> Iterable[Value]:
    yield from value.get("ports") or ()
    yield from value.get("expose") or ()
    yield from (extra.get("listen") if extra is not None else None) or ()


def _service(value: Value, extra: Value | None, containers: int, tally: Tally) -> None:
    """One service; one that no profile enables counts once."""
    tally.add(limits.CONTAINERS, containers, value.at)
    times = max(1, containers)
    for item in _port_lists(value, extra):
        tally.add(limits.PORTS, times * count_ports(item), item.at)
    rules = extra.get("rules") if extra is not None else None
    if rules is not None:
        tally.add(limits.LINES, times * _length(rules), rules.at)
    networks = value.get("networks")
    tally.add(limits.ATTACHMENTS, containers * max(1, _length(networks)), (networks or value).at)
    for key in _PER_CONTAINER:
        entry = value.get(key)
        if entry is not None:
            tally.add(limits.ENTRIES, times * _length(entry), entry.at)
    for _, attachment in networks.pairs() if networks is not None else ():
        for key in ("aliases", "link_local_ips"):
            entry = attachment.get(key)
            if entry is not None:
                tally.add(limits.ENTRIES, times * _length(entry), entry.at)


def _links(value: Value, services: Mapping[str, Value], extras: Value, containers: int, tally: Tally) -> None:
    for item in value.get("links") or ():
        target = item.text.partition(":")[0]
        other = services.get(target)
        if other is not None:
            ports = sum(map(count_ports, _port_lists(other, extras.get(target))))
            tally.add(limits.LINKED_PORTS, containers * ports, item.at)


def _around(netlab: Value, tally: Tally) -> None:
    """Hosts and outside nodes."""
    hosts = [value for _, value in (netlab.get("hosts") or Value({}, netlab.at)).pairs()]
    hosts += [host] if (host := netlab.get("host")) is not None else []
    outside = [value for _, value in (netlab.get("outside") or Value({}, netlab.at)).pairs()]
    for item in netlab.get("rules") or ():
        tally.add(limits.LINES, 1, item.at)
    for node in (*hosts, *outside):
        tally.add(limits.NODES, 1, node.at)
        for item in node.get("listen") or ():
            tally.add(limits.PORTS, count_ports(item), item.at)
        for key, limit in (("rules", limits.LINES), ("routes", limits.ROUTES)):
            entry = node.get(key)
            if entry is not None and isinstance(entry.data, list):
                tally.add(limit, len(entry.data), entry.at)
        _interfaces(node, tally)


def _interfaces(node: Value, tally: Tally) -> None:
    groups = [entry for key in ("interfaces", "bridges") if (entry := node.get(key)) is not None]
    for group in groups:
        tally.add(limits.INTERFACES, _length(group), group.at)
    for owner in (node, *(value for group in groups for _, value in group.pairs())):
        addresses = owner.get("addresses")
        if addresses is not None:
            tally.add(limits.ADDRESSES, _length(addresses), addresses.at)


def _happenings(netlab: Value, containers: int, tally: Tally) -> None:
    """Events, and the cost of those between flows: after each, everything is planned again."""
    events = netlab.get("events")
    if events is not None:
        tally.add(limits.EVENTS, _length(events), events.at)
    for item in netlab.get("expect") or ():
        event, flow = item.get("event"), item.get("flow")
        if flow is not None:
            tally.add(limits.MATCHES, containers * len(_GLOB.findall(flow.text)), flow.at)
        if event is not None:
            tally.add(limits.EVENTS, 1, event.at)
            tally.add(limits.REPLANNED, containers, event.at)
