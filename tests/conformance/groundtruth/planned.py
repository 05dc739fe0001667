"""A plan as the same facts that a snapshot gives, as far as a plan says them."""

from __future__ import annotations

from collections.abc import Iterator

from groundtruth.facts import EUI64, Facts
from netlab.model.family import Family
from netlab.model.plan import Listener, Node, Plan
from netlab.model.rules import IptablesRuleset, NftFile, NftTable

#: Sections of a snapshot that a plan can be held against without a kernel.
SECTIONS = ("host: iptables", "host: ip6tables", "host: listeners", "host: docker-proxy")


def save(ruleset: IptablesRuleset) -> Iterator[str]:
    """What iptables-save would print, without comments and counters."""
    for table in ruleset.tables:
        yield f"*{table.name}"
        for chain in table.chains:
            yield f":{chain.name} {chain.policy or '-'}"
        for chain in table.chains:
            for rule in chain.rules:
                yield f"-A {chain.name} {rule.text}"
        yield "COMMIT"


def listener_line(listener: Listener) -> str:
    """The line of ``ss``, as :func:`groundtruth.facts.listeners` writes it."""
    address = listener.address
    if Family.of(address) is Family.IPV6:
        address = "*" if listener.v6only is False else f"[{address}]"
    state, backlog = ("LISTEN", listener.backlog) if listener.protocol == "tcp" else ("UNCONN", 0)
    v6only = "" if listener.v6only is None else f" v6only:{int(listener.v6only)}"
    return (
        f"{listener.protocol} {state} {address}:{listener.port} backlog {backlog} {listener.process}{v6only}"
    )


def node_addresses(node: Node) -> list[str]:
    """``eth0 192.168.10.10/24``, in the order of names; none that a kernel makes of a MAC."""
    addresses = ((i.name, a) for i in node.interfaces for a in i.addresses)
    return sorted(f"{name} {address}" for name, address in addresses if not EUI64.fullmatch(address))


def facts_of_plan(plan: Plan, host: str) -> Facts:
    """The sections of one host and of its containers."""
    node = plan.node(host)
    facts: Facts = {name: [] for name in SECTIONS}
    for ruleset in node.rulesets:
        if isinstance(ruleset, IptablesRuleset):
            facts[f"host: {ruleset.family.iptables}"] = list(save(ruleset))
        elif not isinstance(ruleset, NftTable | NftFile):
            raise TypeError(f"a ruleset of an unknown kind: {ruleset!r}")
    facts["host: listeners"] = sorted(map(listener_line, node.listeners))
    facts["host: docker-proxy"] = sorted(" ".join(x.argv) for x in node.listeners if x.argv)
    facts["host: addresses, plain"] = node_addresses(node)
    for container in plan.nodes:
        if container.kind == "container" and container.host == host and container.namespace == container.name:
            facts[f"{container.name}: addresses, plain"] = node_addresses(container)
            if container.hosts_file:
                facts[f"{container.name}: hosts"] = container.hosts_file.splitlines()
            if container.resolv_conf:
                facts[f"{container.name}: resolv.conf"] = [
                    x for x in container.resolv_conf.splitlines() if x and x[0] != "#"
                ]
    return facts
