"""firewalld beside an engine: which rules stand before the engine starts."""

from __future__ import annotations

from dataclasses import replace

from netlab.firewall import firewalld_centos7, firewalld_config
from netlab.model.scenario import Host

_OPTIONS = {"layout", "backend", "zones", "default_zone", "direct", "run"}


def prepared(host: Host) -> Host:
    """The host with firewalld's rules; raises UsageError for what is not reproduced."""
    options = host.firewall.options
    unknown = set(options) - _OPTIONS
    if unknown:
        raise firewalld_config.refuse(f"{', '.join(sorted(unknown))} is not reproduced")
    if options.get("layout") == "centos7":
        return _centos7(host)
    raise firewalld_config.refuse("only layout: centos7 is reproduced")


def _centos7(host: Host) -> Host:
    """CentOS 7's firewalld; forwarding is on before Docker starts, so FORWARD keeps its policy ACCEPT."""
    options = host.firewall.options
    if options.get("backend", "iptables") != "iptables" or "run" in options:
        raise firewalld_config.refuse("layout: centos7 is firewalld 0.6, which writes iptables rules")
    config = firewalld_config.read(options)
    interfaces = [interface.name for interface in host.interfaces]
    rules = firewalld_centos7.rulesets(config, interfaces)
    sysctls = {"net.ipv4.ip_forward": "1", **host.sysctls}
    return replace(host, firewall=replace(host.firewall, rulesets=rules), sysctls=sysctls)
