"""The firewall's rules on a host before the engine starts, and once the firewall knows the engine's
bridges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netlab.firewall import firewalld, own_rules, ufw
from netlab.firewall.ufw_rules import SYSCTLS
from netlab.model.plan import FirewalldZone
from netlab.model.rules import IptablesRuleset, Ruleset
from netlab.model.scenario import Host


def prepared(host: Host) -> Host:
    """The host with its firewall turned into rulesets; raises UsageError for one not reproduced."""
    firewall = host.firewall
    if firewall.kind == "ufw":
        made = replace(firewall, rulesets=ufw.rulesets(firewall))
        host = replace(host, firewall=made, sysctls={**SYSCTLS, **host.sysctls})
    elif firewall.kind == "firewalld":
        host = firewalld.prepared(host)
    own_rules.check_jumps(host)
    return host


def completed(host: Host, engine: FirewalldZone, written: Sequence[IptablesRuleset]) -> tuple[Ruleset, ...]:
    """All rules on a prepared host, the firewall's and the engine's.

    ``written`` are the iptables rules as the engine knows them, one ruleset for each family. ``engine`` is
    what the engine has configured in firewalld.
    """
    if host.firewall.kind == "firewalld":
        return firewalld.completed(host, engine, written)
    return tuple(written)
