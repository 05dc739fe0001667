"""firewalld beside an engine: what it has written before the engine starts, and what it has in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from netlab.firewall import (
    firewalld_centos7,
    firewalld_config,
    firewalld_found,
    firewalld_iptables,
    firewalld_nft,
)
from netlab.firewall.firewalld_config import Config
from netlab.firewall.firewalld_layout import with_zone
from netlab.model.plan import FirewalldZone
from netlab.model.rules import Chain, IptablesRuleset, NftTable, Ruleset, Table
from netlab.model.scenario import Host

_OPTIONS = {"layout", "backend", "zones", "default_zone", "direct", "run"}
NFTABLES, IPTABLES, CENTOS7 = "nftables", "iptables", "centos7"


def kind(host: Host) -> str:
    """``nftables`` (firewalld's own default) or ``iptables``, of 1.3.3; or ``centos7``. Raises UsageError."""
    options = host.firewall.options
    unknown = set(options) - _OPTIONS
    if unknown:
        raise firewalld_config.refuse(f"{', '.join(sorted(unknown))} is not reproduced")
    if "layout" not in options:
        return str(options.get("backend", NFTABLES))
    if options.get("backend", IPTABLES) != IPTABLES or "run" in options:
        raise firewalld_config.refuse("layout: centos7 is firewalld 0.6, which writes iptables rules")
    return CENTOS7


def prepared(host: Host) -> Host:
    """The host with the iptables rules that firewalld writes; raises UsageError for unknown settings.

    On CentOS 7, forwarding is on, so Docker leaves the policy of FORWARD at ACCEPT; a zone that masquerades
    has the same effect, because firewalld enables forwarding for it. The scenario's sysctls take precedence.
    """
    config = firewalld_config.read(host.firewall)
    rules = _iptables(kind(host), host, config, FirewalldZone())
    masquerades = any(zone.masquerade for zone in config.used())
    sysctls = dict(host.sysctls)
    if kind(host) == CENTOS7 or masquerades:
        sysctls = {"net.ipv4.ip_forward": "1", **sysctls}
    return replace(host, firewall=replace(host.firewall, rulesets=rules), sysctls=sysctls)


def written(host: Host, engine: FirewalldZone) -> tuple[IptablesRuleset, ...]:
    """The iptables rules of firewalld itself, once it knows the engine's bridges."""
    config = firewalld_config.read(host.firewall)
    return _iptables(kind(host), host, config, engine)


def completed(host: Host, engine: FirewalldZone, written: Sequence[IptablesRuleset]) -> tuple[Ruleset, ...]:
    """All rules: see :func:`netlab.firewall.completed`."""
    config = firewalld_config.read(host.firewall)
    which = kind(host)
    if which == NFTABLES:
        return (*_native(host, config, engine), *written)
    own = {r.family: r for r in _iptables(which, host, config, engine)}
    completed = []
    for ruleset in written:
        wanted, bridges = own[ruleset.family], engine.found.get(ruleset.family)
        if bridges is None:
            ruleset = _with_own_chains(ruleset, wanted)
        elif not _is_real(host):
            earlier = _iptables(which, host, config, replace(engine, bridges=bridges))
            known = next(one for one in earlier if one.family is ruleset.family)
            ruleset = firewalld_found.iptables(ruleset, known, wanted)
        completed.append(ruleset)
    return tuple(completed)


def _is_real(host: Host) -> bool:
    """Whether the tool itself runs, and has done its part to its rules by the time that they are read."""
    return "run" in host.firewall.options


def _native(host: Host, config: Config, engine: FirewalldZone) -> Iterator[NftTable]:
    """The table of firewalld's own, if there is one."""
    wanted = firewalld_nft.table(config, engine)
    if engine.found_table is None:
        yield wanted
        return
    left, bridges = engine.found_table
    if _is_real(host):
        table = left if bridges == engine.bridges else wanted
    else:
        known = firewalld_nft.table(config, replace(engine, bridges=bridges))
        table = firewalld_found.native(left, known, wanted)
    if table.chains:
        yield table


def _iptables(which: str, host: Host, config: Config, engine: FirewalldZone) -> tuple[IptablesRuleset, ...]:
    if which == NFTABLES:
        return firewalld_nft.direct(config)
    if which == IPTABLES:
        return firewalld_iptables.rulesets(config, engine)
    interfaces = [interface.name for interface in host.interfaces]
    return firewalld_centos7.rulesets(with_zone(config, engine) if engine.bridges else config, interfaces)


def _with_own_chains(written: IptablesRuleset, own: IptablesRuleset) -> IptablesRuleset:
    """The engine's tables with firewalld's chains as they are now; base chains are the engine's."""
    tables = []
    for table in written.tables:
        now = own.table(table.name)
        tables.append(table if now is None or _flushed(table, now) else _with_chains(table, now))
    return IptablesRuleset(written.family, tuple(tables))


def _flushed(table: Table, now: Table) -> bool:
    """Whether an administrator emptied the table since."""
    return not any(
        rule in there.rules
        for chain in now.chains
        if chain.policy is not None and (there := table.chain(chain.name)) is not None
        for rule in chain.rules
    )


def _with_chains(table: Table, now: Table) -> Table:
    chains = {chain.name: chain for chain in (*table.chains, *(c for c in now.chains if c.policy is None))}
    base = [chain for chain in table.chains if chain.policy is not None]
    others: list[Chain] = sorted(
        (chain for chain in chains.values() if chain.policy is None), key=lambda chain: chain.name
    )
    return Table(table.name, (*base, *others))
