"""How large a lab may be: every limit, with a name.

A few words in a file can ask for millions of things (ranges of ports, replicas, patterns of flows), so they
are counted before any is created. The limits are far above what one kernel runs well: a lab with 4000
containers, or with 10,000 flows, is below all of them. ``docs/limits.md`` lists them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that one lab may have of something."""

    most: int
    what: str  #: in the plural, for the message

    def exceeded(self, count: int) -> str | None:
        """The error message for a count; None if it is within the limit."""
        return None if count <= self.most else f"{count:,} {self.what}: a lab takes at most {self.most:,}"


CONTAINERS = Limit(8_000, "containers")
#: hosts and outside nodes
NODES = Limit(1_000, "hosts and outside nodes")
NETWORKS = Limit(1_000, "networks")
#: containers on networks: each is a pair of interfaces
ATTACHMENTS = Limit(16_000, "connections of containers to networks")
#: published ports, and those on which containers, hosts and outside nodes answer: each is at least a socket
PORTS = Limit(32_768, "ports")
#: the interfaces and bridges that hosts and outside nodes name
INTERFACES = Limit(4_000, "interfaces and bridges of hosts and outside nodes")
ADDRESSES = Limit(16_000, "addresses of hosts and outside nodes")
ROUTES = Limit(32_768, "routes of outside nodes")
#: lines that administrators type: each is a process
LINES = Limit(10_000, "lines of rules")
#: extra_hosts, aliases, DNS settings and sysctls of all containers
ENTRIES = Limit(200_000, "entries of extra_hosts, aliases, dns and sysctls in all containers")
#: a link of the default bridge writes two rules for each port of its target
LINKED_PORTS = Limit(10_000, "ports of containers that others link to")
FLOWS = Limit(32_768, "flows")
MATRIX = Limit(500_000, "flows in the matrix")
#: patterns of flows against the names of containers
MATCHES = Limit(5_000_000, "names to compare with patterns of flows (expectations, times containers)")
#: each event between flows needs its own plan, in which every container is laid out again
REPLANNED = Limit(200_000, "containers to lay out again (events between flows, times containers)")
EVENTS = Limit(10_000, "events")

#: What the kernel takes on one bridge (BR_PORT_BITS 10, net/bridge/br_private.h).
BRIDGE_PORTS = 1023
