"""``run: real``: the tool's input, and the positions of the engine's rules among those that it writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from netlab.firewall import firewalld, firewalld_config, firewalld_files, ufw
from netlab.firewall.firewalld_layout import with_zone
from netlab.model.errors import UsageError
from netlab.model.plan import FirewalldZone, RealFirewall
from netlab.model.rules import Chain, IptablesRuleset, NftTable, Ruleset
from netlab.model.scenario import Host

_POLICY = """<?xml version="1.0" encoding="utf-8"?>
<policy target="ACCEPT">
  <description>allow forwarding to the {zone} zone</description>
  <ingress-zone name="ANY"/>
  <egress-zone name="{zone}"/>
</policy>
"""


def run_real(host: Host, engine: FirewalldZone, rulesets: Sequence[Ruleset]) -> RealFirewall | None:
    """The real tool, which writes its part of ``rulesets`` itself; None if the scenario has none.

    ``host`` is prepared. Raises UsageError for an option that the tool does not have.
    """
    if host.firewall.options.get("run") is None:
        return None
    if host.firewall.options["run"] != "real":
        raise UsageError(f"firewall: run is real, not {host.firewall.options['run']!r}")
    if host.firewall.kind == "ufw":
        made, written = _ufw(host), host.firewall.rulesets
    else:
        made, written = _firewalld(host, engine), firewalld.written(host, engine)
    own = {ruleset.family: ruleset for ruleset in written}
    return replace(
        made,
        rules=tuple(
            (ruleset.family, text)
            for ruleset in rulesets
            if isinstance(ruleset, IptablesRuleset)
            and (text := "".join(_among(ruleset, own.get(ruleset.family) or IptablesRuleset(ruleset.family))))
        ),
        tables=tuple(r for r in rulesets if isinstance(r, NftTable) and r.name != "firewalld"),
        sets=tuple(one for r in rulesets if isinstance(r, IptablesRuleset) for one in r.sets),
    )


def _ufw(host: Host) -> RealFirewall:
    calls: list[tuple[str, ...]]
    calls = [("ufw", "default", policy, which) for which, policy in ufw.defaults(host.firewall).items()]
    calls += [("ufw", *entry.text.split()) for entry in ufw.entries(host.firewall)]
    files = tuple(
        (f"{key.removesuffix('_rules')}.rules", host.firewall.files[key])
        for key in ufw.AFTER.values()
        if key in host.firewall.files
    )
    return RealFirewall("ufw", files, (*calls, ("ufw", "--force", "enable")))


def _firewalld(host: Host, engine: FirewalldZone) -> RealFirewall:
    config = firewalld_config.read(host.firewall)
    if engine.bridges:
        config = with_zone(config, replace(engine, bridges=()))
    files = firewalld_files.files(config, firewalld.kind(host))
    if engine.policy and engine.bridges:
        files[f"policies/{engine.policy}.xml"] = _POLICY.format(zone=engine.name)
    return RealFirewall("firewalld", tuple(files.items()), joined=engine.bridges, zone=engine.name)


# -- the engine's rules among the tool's


def _among(full: IptablesRuleset, own: IptablesRuleset) -> Iterator[str]:
    """Input for ``iptables-restore --noflush`` that turns ``own`` into ``full``.

    The tool's rules keep their order; the engine's rules before them are inserted, the others appended.
    """
    for table in full.tables:
        there = own.table(table.name)
        chains = {chain.name: chain for chain in there.chains} if there is not None else {}
        lines = []
        for chain in table.chains:
            before = chains.get(chain.name)
            policy = before.policy if before is not None else "ACCEPT"
            if (before is None and chain.policy is None) or (chain.policy not in (None, policy)):
                lines.append(f":{chain.name} {chain.policy or '-'}\n")
        for chain in table.chains:
            lines += _added(chain, chains.get(chain.name))
        if lines or there is None:
            yield f"*{table.name}\n"
            yield from lines
            yield "COMMIT\n"


def _added(chain: Chain, own: Chain | None) -> Iterator[str]:
    left = [rule.text for rule in own.rules] if own is not None else []
    for position, rule in enumerate(chain.rules, 1):
        if left and rule.text == left[0]:
            del left[0]
        elif left:
            yield f"-I {chain.name} {position} {rule.text}\n"
        else:
            yield f"-A {chain.name} {rule.text}\n"
