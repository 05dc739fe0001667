"""What stands on a host before the engine starts: the rulesets of its own firewall."""

from __future__ import annotations

from dataclasses import replace

from netlab.firewall import firewalld, ufw
from netlab.model.scenario import Host


def prepared(host: Host) -> Host:
    """The host with its firewall turned into rulesets; raises UsageError for one not reproduced."""
    firewall = host.firewall
    if firewall.kind == "ufw":
        files = {**firewall.files, **ufw.rulesets(firewall)}
        return replace(host, firewall=replace(firewall, files=files))
    if firewall.kind == "firewalld":
        return firewalld.prepared(host)
    return host
