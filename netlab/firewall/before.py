"""What stands on a host before the engine starts, and once the engine has told the firewall of bridges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netlab.firewall import firewalld, ufw
from netlab.firewall.ufw_rules import SYSCTLS
from netlab.model.rules import IptablesRuleset, Ruleset
from netlab.model.scenario import Host


def prepared(host: Host) -> Host:
    """The host with its firewall turned into rulesets; raises UsageError for one not reproduced."""
    firewall = host.firewall
    if firewall.kind == "ufw":
        made = replace(firewall, rulesets=ufw.rulesets(firewall))
        sysctls = {**SYSCTLS, **host.sysctls}
        return replace(host, firewall=made, sysctls=sysctls)
    if firewall.kind == "firewalld":
        return firewalld.prepared(host)
    return host


def completed(
    host: Host, bridges: tuple[str, ...], forwarding: bool, written: Sequence[IptablesRuleset]
) -> tuple[Ruleset, ...]:
    """Everything that stands on a prepared host, of the firewall's and of the engine's.

    ``written`` are the iptables rules as the engine knows them, one ruleset a family. ``bridges`` is what the
    engine put into firewalld's zone ``docker``, in this order; ``forwarding`` whether it made its policy.
    """
    if host.firewall.kind == "firewalld":
        return firewalld.completed(host, bridges, forwarding, written)
    return tuple(written)
