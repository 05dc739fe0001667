"""The settings that an engine depends on: FORWARD's policy, forwarding, br_netfilter, iptables' back end."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.engine.contract import HostFacts
from netlab.engine.found import read_rules, settings_of
from netlab.model.family import FAMILIES, Family
from netlab.model.rules import BASE_CHAINS, IptablesRuleset, NftTable, Ruleset
from netlab.twin.finding import Chains, Finding, Mended, Place, chains_of
from netlab.twin.host import RealHost
from netlab.twin.rules import has_rules


def readable(saved: str) -> Iterator[str]:
    """The lines that iptables-save writes, of the tables that there are."""
    table = ""
    chains: set[str] = set()
    for line in saved.splitlines():
        if line.startswith("*"):
            table, chains = line[1:].strip(), set()
            if table in BASE_CHAINS:
                chains |= set(BASE_CHAINS[table])
                yield f"*{table}\n"
        elif table in BASE_CHAINS and line.startswith(":"):
            chains.add(line[1:].split(" ")[0])
            yield f"{line}\n"
        elif table in BASE_CHAINS and line.startswith("-A ") and line.split(" ")[1] in chains:
            yield f"{line}\n"


def legacy(host: RealHost) -> Iterator[Finding]:
    """Rules of both back ends of iptables, and not the same ones."""
    for family in FAMILIES:
        old = host.rules.get(f"{family.iptables}-legacy", "")
        new = host.rules.get(f"{family.iptables}-nft", "") or host.rules.get(family.iptables, "")
        if not (has_rules(old) and has_rules(new)) or _texts(family, old) == _texts(family, new):
            continue
        yield Finding(
            "legacy",
            f"{family.iptables}-legacy and {family.iptables}-nft both have rules",
            "the kernel asks both, one after the other: what one lets through, the other may drop, and each "
            "command shows its own rules only",
            f"{family.iptables}-legacy-save > legacy.rules; update-alternatives --display {family.iptables}",
            tuple(
                f"-A {place.chain} {rule}" for place, rules in _texts(family, old).items() for rule in rules
            )[:8],
            unpredicted="a lab has the rules of one of the two only",
        )


def _texts(family: Family, saved: str) -> Chains:
    return {p: r for p, r in chains_of([read_rules(family, "".join(readable(saved)))]).items() if r}


def policy(host: RealHost, engines: HostFacts) -> Iterator[Finding]:
    """FORWARD lets through what nothing decides, where the engine sets DROP; or the other way round."""
    native = any(isinstance(one, NftTable) for one in engines.rulesets)
    for family in FAMILIES:
        planned = next(filter(None, (_forward(one, family) for one in engines.rulesets)), None)
        there = _forward(read_rules(family, "".join(readable(host.rules.get(family.iptables, "")))), family)
        place = Place(family.nft, "filter", "FORWARD")
        if planned == "DROP" and there == "ACCEPT":
            routed = host.ufw_routed == "allow"
            yield Finding(
                "policy",
                f"the policy of {family.nft} filter FORWARD is ACCEPT",
                "the engine sets DROP when it turns forwarding on: now the host forwards what no rule "
                "decides, so others can reach containers' addresses and ports that are not published, unless "
                "a rule drops that",
                "ufw default deny routed" if routed else f"{family.iptables} -P FORWARD DROP",
                tool="ufw" if routed else "",
                evidence=(_who_accepts(host, family),),
                mended=Mended(policies={place: "DROP"}),
            )
        elif native and there == "DROP" and ":DOCKER " in host.rules.get(family.iptables, ""):
            yield Finding(
                "policy",
                f"the policy of {family.nft} filter FORWARD is DROP",
                "the engine writes tables of its own: what these let through, this policy drops all the "
                "same, so containers reach nobody and nobody reaches them",
                f"{family.iptables} -P FORWARD ACCEPT",
                evidence=("Docker with iptables set it before: its chains are still there",),
                mended=Mended(policies={place: "ACCEPT"}),
            )


def _who_accepts(host: RealHost, family: Family) -> str:
    if host.ufw_routed == "allow":
        return "ufw sets it: its default for routed packets is allow"
    firewalld = "; firewalld runs, and sets ACCEPT when it reloads" if "firewalld" in host.tools else ""
    said = _said_in_files(host, _forwarding(family), "1")
    return (
        f"an administrator or a program set it since: {said or 'no file of sysctl turns forwarding on'}, so "
        f"Docker did that, and set DROP with it{firewalld}"
    )


def _forward(ruleset: Ruleset, family: Family) -> str | None:
    if not isinstance(ruleset, IptablesRuleset) or ruleset.family is not family:
        return None
    table = ruleset.table("filter")
    chain = table.chain("FORWARD") if table is not None else None
    return chain.policy if chain is not None else None


def _forwarding(family: Family) -> str:
    return "net.ipv4.ip_forward" if family is Family.IPV4 else "net.ipv6.conf.all.forwarding"


def _said_in_files(host: RealHost, key: str, value: str) -> str:
    """The line of a file that sets a key so at boot, with the file's name."""
    found = [one for one in host.boot_settings if one.key == key and one.value == value]
    return f"{found[-1].file or 'a file of sysctl'} has {key} = {value}" if found else ""


def settings(host: RealHost, engines: HostFacts) -> Iterator[Finding]:
    """Forwarding, and br_netfilter, where they are not as the engine leaves them."""
    wanted = settings_of(engines)
    for key in map(_forwarding, FAMILIES):
        if wanted.get(key) == "1" and host.sysctls.get(key) == "0":
            said = _said_in_files(host, key, "0")
            yield Finding(
                "forwarding",
                f"{key} is 0",
                "the host forwards nothing: containers reach nobody outside, and nobody reaches them but "
                "through the userland proxy",
                f"sysctl -w {key}=1",
                evidence=(
                    f"{said}: it turns forwarding off at boot and with sysctl --system"
                    if said
                    else "Docker turned it on; an administrator or a program has turned it off since",
                ),
                mended=Mended(sysctls={key: "1"}),
            )
    written = {one.key for one in engines.sysctls}
    for family in FAMILIES:
        key = f"net.bridge.bridge-nf-call-{family.iptables}"
        there = host.sysctls.get(key)
        if key in written and wanted[key] == "1" and there != "1":
            what = f"{key} is {there}" if there else f"br_netfilter is not loaded, so there is no {key}"
            said = _said_in_files(host, key, "0")
            yield Finding(
                "bridge-netfilter",
                what,
                "packets between containers of one network do not pass iptables: rules against them "
                "(icc: false) have no effect",
                f"modprobe br_netfilter; sysctl -w {key}=1",
                evidence=(
                    f"{said}: it is off from boot on"
                    if said
                    else "Docker turned it on; an administrator or a program has turned it off since"
                    if there
                    else "the module was taken out, or the host was never asked for it",
                ),
                mended=Mended(sysctls={key: "1"}),
            )
