"""A running lab as facts, read in the same way as the daemon's host."""

from __future__ import annotations

import os

import netlab
from groundtruth.facts import Facts, Place, facts_of, look
from netlab.model.plan import Plan

#: By default one process serves all listeners, so its command line is no docker-proxy's; a plan has them.
NOT_READ = ("host: docker-proxy",)


def facts_of_lab(plan: Plan, host: str) -> Facts:
    """Bring the plan up, look at its host and that host's containers, take it down."""
    with netlab.Lab(plan=plan) as lab:
        descriptors = lab.namespaces
        nodes = [
            n.name for n in plan.nodes if n.kind == "container" and n.host == host and n.namespace == n.name
        ]
        places = [Place(name, f"/proc/{os.getpid()}/fd/{descriptors[name]}") for name in nodes]
        places.insert(0, Place(host, f"/proc/{os.getpid()}/fd/{descriptors[host]}", full=True))
        facts = facts_of(look(places), host, {})
    return {section: lines for section, lines in facts.items() if section not in not_read_in_labs(plan)}


def not_read_in_labs(plan: Plan) -> set[str]:
    """Sections that a lab of this plan does not have.

    The rules in a container's own namespace are those of the daemon's resolver, so they are compared where
    the plan has such a resolver.
    """
    silent = {f"{n.name}: iptables" for n in plan.nodes if n.kind == "container" and not n.rulesets}
    return silent | set(NOT_READ)
