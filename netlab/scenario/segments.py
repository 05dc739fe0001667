"""``x-netlab.segments``: what the interfaces on a segment have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netlab.model.scenario import Host, Outside, OutsideInterface
from netlab.scenario.tree import Report, Value, hint, shown

#: of an interface of which nothing is said, before its segment is known
UNSAID = 0
#: Ethernet's
_USUAL = 1500


def with_segments(
    netlab: Value, hosts: tuple[Host, ...], outside: tuple[Outside, ...], report: Report
) -> tuple[tuple[Host, ...], tuple[Outside, ...]]:
    """The nodes, each interface with its own MTU, or else its segment's."""
    mtus = _mtus(netlab.get("segments"), hosts, outside, report)

    def on_segments(interfaces: tuple[OutsideInterface, ...]) -> tuple[OutsideInterface, ...]:
        return tuple(
            one if one.mtu != UNSAID else replace(one, mtu=mtus.get(one.segment, _USUAL))
            for one in interfaces
        )

    return (
        tuple(replace(host, interfaces=on_segments(host.interfaces)) for host in hosts),
        tuple(replace(node, interfaces=on_segments(node.interfaces)) for node in outside),
    )


def _mtus(
    value: Value | None, hosts: tuple[Host, ...], outside: tuple[Outside, ...], report: Report
) -> Mapping[str, int]:
    bridges = {bridge.name for host in hosts for bridge in host.bridges}
    interfaces = (*(node.interfaces for node in hosts), *(node.interfaces for node in outside))
    known = {one.segment for some in interfaces for one in some} - bridges
    found = {}
    if value is None:
        return {}
    for name, entry in value.pairs():
        mtu = entry.get("mtu")
        if name not in known:
            what = "is a bridge of the host, not a segment" if name in bridges else "has no interface on it"
            more = hint(name, known)
            report.add(value.key_at(name), f"x-netlab.segments: {shown(name)} {what}{more}")
        elif mtu is not None:
            found[name] = mtu.number
    return found
