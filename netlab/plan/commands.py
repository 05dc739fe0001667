"""Events that no engine takes part in: commands of the administrator's in a running lab."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlab.model.errors import UsageError
from netlab.model.event import HostCommand
from netlab.model.expectation import ScenarioEvent
from netlab.model.family import FAMILIES
from netlab.model.plan import NetworkFacts
from netlab.model.problem import Problem, ScenarioError
from netlab.model.rules import BASE_CHAINS
from netlab.model.scenario import Host, HostRule, Scenario
from netlab.plan.placeholders import with_bridges
from netlab.scenario.rules import BRIDGE


def commands_of(
    scenario: Scenario, event: ScenarioEvent, networks: Sequence[NetworkFacts]
) -> tuple[HostCommand, ...]:
    """What is run, in order, in a lab that has these ``networks``.

    Raises UsageError where there is no ruleset file to load or to flush, ScenarioError for a ``{bridge:…}``
    that is none.

    ``run`` runs what it says, ``up link`` and ``down link`` are ``ip link set``. ``reload rules`` loads the
    files of ``firewall``, as netfilter-persistent and nftables.service do at boot; ``flush rules`` is what
    they do when they are stopped, or told to flush.
    """
    verb, thing, *names = event.words
    if verb == "run":
        return (HostCommand(thing, _with_bridges(scenario, event, networks)),)
    if thing == "link":
        node, interface = names
        return (HostCommand(node, ("ip", "link", "set", "dev", interface, verb)),)
    hosts = [host for host in scenario.hosts if host.name in (names or [h.name for h in scenario.hosts])]
    having = [host for host in hosts if _files(host)]
    if not having:
        where = ", ".join(host.name for host in hosts)
        raise UsageError(f"{where}: x-netlab names no ruleset file (firewall: iptables, ip6tables, nftables)")
    make = _reload if verb == "reload" else _flush
    return tuple(command for host in having for command in make(host))


def _with_bridges(
    scenario: Scenario, event: ScenarioEvent, networks: Sequence[NetworkFacts]
) -> tuple[str, ...]:
    """The command of ``run NODE COMMAND`` with the names of the node's bridges."""
    _, node, *command = event.words
    if not any(BRIDGE in word for word in command):
        return tuple(command)
    kind, _, name = node.rpartition("/")
    if not any(host.name == name for host in scenario.hosts) or kind not in ("", "host"):
        what = f"event: {BRIDGE}…}} is the name of a host's bridge, which {node} does not have"
        raise ScenarioError([Problem(event.position, what)])
    line = HostRule(tuple(command), event.position)
    own = [network for network in networks if network.host == name]
    return next(with_bridges([line], own)).argv


def _files(host: Host) -> dict[str, str]:
    """The administrator's own files; ufw and firewalld see to theirs."""
    return {} if host.firewall.kind in ("ufw", "firewalld") else dict(host.firewall.files)


def _reload(host: Host) -> Iterator[HostCommand]:
    files = _files(host)
    for family in FAMILIES:
        if family.iptables in files:
            yield HostCommand(host.name, (f"{family.iptables}-restore",), files[family.iptables])
    if "nftables" in files:
        yield HostCommand(host.name, ("nft", "-f", "-"), files["nftables"])


def _flush(host: Host) -> Iterator[HostCommand]:
    files = _files(host)
    for family in FAMILIES:
        if family.iptables not in files:
            continue
        for chain in BASE_CHAINS["filter"]:
            yield HostCommand(host.name, (family.iptables, "-P", chain, "ACCEPT"))
        for table in BASE_CHAINS:
            yield HostCommand(host.name, (family.iptables, "-t", table, "-F"))
            yield HostCommand(host.name, (family.iptables, "-t", table, "-X"))
    if "nftables" in files:
        yield HostCommand(host.name, ("nft", "flush", "ruleset"))
