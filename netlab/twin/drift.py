"""What on a host is not what its engine and its firewall would have written.

Only what no healthy host has is a finding: an engine's rules in another order of networks, an administrator's
in DOCKER-USER, and other programs' behind the engine's are as they should be.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from netlab.engine.contract import HostFacts
from netlab.engine.found import read_native, read_rules, settings_of
from netlab.model.family import FAMILIES, Family
from netlab.model.nft_listing import listed_tables
from netlab.model.rules import BASE_CHAINS, NftTable, Ruleset
from netlab.twin.finding import Chains, Finding, Place, chains_of
from netlab.twin.host import RealHost
from netlab.twin.order import inverted
from netlab.twin.rules import has_rules, is_engine_chain, target_of
from netlab.twin.tools import tool_of

_RESTART = "systemctl restart docker"
_ADDRESS = re.compile(r"(?:-d |--to-destination )\[?([0-9a-f.:]+?)\]?(?:/\d+|:\d+)?(?= |$)")
_BRIDGE = re.compile(r"\b(br-[0-9a-f]{12}|docker\d+)\b")
_USER = "DOCKER-USER"
#: how many rules of one finding are shown
_SHOWN = 8


def drift(host: RealHost, engines: HostFacts) -> list[Finding]:
    """Everything found; ``engines``: what the host's engine alone would have left on it."""
    expected = chains_of(engines.rulesets)
    found = chains_of(found_rulesets(host, engines))
    return [
        *_missing(expected, found),
        *_order(expected, found),
        *_more(host, expected, found),
        *_in_front(expected, found),
        *_unreachable(expected, found),
        *_legacy(host),
        *_policy(host, engines),
        *_settings(host, engines),
    ]


def found_rulesets(host: RealHost, engines: HostFacts) -> Iterator[Ruleset]:
    """The host's rules, of native tables only those that its engine writes."""
    for family in FAMILIES:
        yield read_rules(family, "".join(_readable(host.rules.get(family.iptables, ""))))
    listed = listed_tables(host.nft)
    for table in engines.rulesets:
        if isinstance(table, NftTable):
            name = (table.family, table.name)
            yield read_native(name, listed.get(name))


def _readable(saved: str) -> Iterator[str]:
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


def _missing(expected: Chains, found: Chains) -> Iterator[Finding]:
    for place, rules in expected.items():
        lost = list((Counter(rules) - Counter(found.get(place, ()))).elements())
        gone = place not in found and place.chain not in BASE_CHAINS.get(place.table, ())
        if lost:
            what = f"{place.name} lacks {len(lost)} of the {len(rules)} rules that the engine wrote"
        elif gone and rules == () and not place.native:
            what = f"the chain {place.name} is gone"
        else:
            continue
        yield Finding("missing", what, _lost_means(place), _RESTART, _shown(place, lost))


def _lost_means(place: Place) -> str:
    if place.table == "nat" and place.chain == "POSTROUTING":
        return "containers leave with their own addresses, which nobody outside answers"
    if place.table == "nat":
        return "published ports lead to no container, or only through the userland proxy"
    if place.chain == _USER or place.chain == "FORWARD":
        return "packets to and from containers pass FORWARD's policy and others' rules, and not the engine's"
    return "packets that the engine let through are dropped, or those that it dropped pass"


def _order(expected: Chains, found: Chains) -> Iterator[Finding]:
    for place, rules in expected.items():
        if place.native:
            continue
        pairs = list(inverted(rules, found.get(place, ())))
        if pairs:
            late, early = pairs[0]
            yield Finding(
                "order",
                f'in {place.name}, "{early}" stands before "{late}"',
                "the engine has them the other way round: the first one decides before the second is asked",
                _RESTART,
                _shown(place, dict.fromkeys(rule for pair in pairs for rule in pair)),
            )


def _more(host: RealHost, expected: Chains, found: Chains) -> Iterator[Finding]:
    """What stands in the engine's chains, or looks like its own, without being so."""
    bridges = {link.name for link in host.links} | {network.bridge for network in host.networks}
    addresses = {a for c in host.containers for e in c.endpoints for a in (e.ipv4, e.ipv6) if a}
    addresses |= {a.partition("/")[0] for link in host.links for a in link.addresses}
    networks = {str(pool.get("Subnet")) for network in host.networks for pool in network.pools}
    for place, rules in found.items():
        known = Counter(expected.get(place, ()))
        more = list((Counter(rules) - known).elements())
        doubled = [rule for rule in more if known[rule]]
        if doubled:
            yield Finding(
                "doubled",
                f"{place.name} has {len(doubled)} of the engine's rules more than once",
                "the first one decides; when the engine takes one away, the other one stays",
                _delete(place, doubled),
                _shown(place, doubled),
            )
        rest = [rule for rule in more if not known[rule]]
        engines = place in expected and place.chain not in BASE_CHAINS.get(place.table, ())
        old = [r for r in rest if _is_left(r, place, bridges, addresses, networks, engines=engines)]
        if old:
            yield Finding(
                "left-over",
                f"{place.name} has {len(old)} rules for a container or network that is not there",
                "a port is sent to an address that nobody has, or to another container that gets it next",
                _delete(place, old),
                _shown(place, old),
            )
        others = [r for r in rest if r not in old] if engines and place.chain != _USER else []
        for tool in dict.fromkeys(map(tool_of, others)):
            yield _foreign(place, [r for r in others if tool_of(r) == tool], tool)


def _is_left(
    rule: str, place: Place, bridges: set[str], addresses: set[str], networks: set[str], *, engines: bool
) -> bool:
    """Whether a rule is about a bridge, a subnet or a container that the host does not have."""
    mentioned = _BRIDGE.findall(rule)
    if any(bridge not in bridges for bridge in mentioned):
        return True
    if not (engines and place.chain != _USER) and not (
        place.chain == "POSTROUTING" and target_of(rule) == "MASQUERADE" and rule.count("/32") == 2
    ):
        return False
    named = [a for a in _ADDRESS.findall(rule) if a not in ("127.0.0.0", "0.0.0.0", "::", "::1")]
    return any(a not in addresses and not any(n.startswith(f"{a}/") for n in networks) for a in named)


def _foreign(place: Place, rules: Sequence[str], tool: str) -> Finding:
    who = (
        f"{tool}'s, by its name"
        if tool and tool != "Docker"
        else "an administrator's, or a program's unknown to netlab"
    )
    return Finding(
        "foreign",
        f"{place.name} has {len(rules)} rules that the engine does not write: {who}",
        "the engine empties and deletes its chains; what others put there decides until then, and is lost",
        f"{_delete(place, rules)}  # {_USER} is the chain for such rules",
        _shown(place, rules),
        tool,
    )


def _in_front(expected: Chains, found: Chains) -> Iterator[Finding]:
    """Rules of others before the engine's jumps in FORWARD that end packets, or may."""
    for family in FAMILIES:
        place = Place(family.nft, "filter", "FORWARD")
        own = set(expected.get(place, ()))
        rules = found.get(place, ())
        first = next((n for n, rule in enumerate(rules) if rule in own), 0)
        before = [rule for rule in rules[:first] if _ends(rule, place, found, set())]
        if before:
            tool = next((t for t in map(tool_of, before) if t), "")
            yield Finding(
                "foreign",
                f"{place.name} has {len(before)} rules before the engine's: {tool or 'an administrator'}'s",
                f"they decide before {_USER}; the engine puts its own rules first at each start",
                f"{_delete(place, before)}  # {_USER} is the chain for such rules",
                _shown(place, before),
                tool,
            )


def _ends(rule: str, place: Place, found: Chains, seen: set[str]) -> bool:
    """Whether a rule may end a packet's way: its target, or something in the chain that it jumps to."""
    target = target_of(rule)
    if target in ("ACCEPT", "DROP", "REJECT", "QUEUE", "NFQUEUE"):
        return True
    if target in seen or is_engine_chain(target):
        return False
    inner = found.get(Place(place.family, place.table, target), ())
    return any(_ends(one, place, found, seen | {target}) for one in inner)


def _unreachable(expected: Chains, found: Chains) -> Iterator[Finding]:
    """Chains with rules to which no base chain leads; of a tool, only if that is so for all of its chains."""
    reached, wanted = _reached(found), _reached(expected)
    cut = [place for place, rules in found.items() if rules and not place.native and place not in reached]
    tools = {tool_of(place.chain) for place in reached}
    for place in cut:
        tool = tool_of(place.chain)
        engines = is_engine_chain(place.chain)
        if (engines and place not in wanted) or (not engines and tool and tool in tools):
            continue
        who = "the engine's" if engines else f"{tool}'s" if tool else "an administrator's"
        mend = (
            _RESTART
            if engines
            else f"systemctl restart {tool.lower()}"
            if tool
            else f"{place.command} -X {place.chain}"
        )
        yield Finding(
            "unreachable",
            f"no packet can reach the chain {place.name} ({who}): nothing jumps to it",
            "its rules have no effect",
            mend,
            _shown(place, found[place]),
            tool,
        )
    for place in (p for p in found if p.chain == _USER and not p.native):
        rules = found[place]
        last = next(
            (n for n, rule in enumerate(rules) if rule in ("-j RETURN", "-j ACCEPT", "-j DROP")), None
        )
        behind = rules[last + 1 :] if last is not None else ()
        if behind:
            yield Finding(
                "unreachable",
                f'{place.name} has {len(behind)} rules behind "{rules[last or 0]}"',
                "no packet comes to them",
                f"{place.command} -I {_USER} …  # instead of -A: put them before it",
                _shown(place, behind),
            )


def _reached(chains: Chains) -> set[Place]:
    waiting = [place for place in chains if place.chain in BASE_CHAINS.get(place.table, ())]
    reached = set(waiting)
    while waiting:
        place = waiting.pop()
        for rule in chains[place]:
            after = Place(place.family, place.table, target_of(rule))
            if after in chains and after not in reached:
                reached.add(after)
                waiting.append(after)
    return reached


def _legacy(host: RealHost) -> Iterator[Finding]:
    for family in FAMILIES:
        legacy = host.rules.get(f"{family.iptables}-legacy", "")
        other = host.rules.get(f"{family.iptables}-nft", "") or host.rules.get(family.iptables, "")
        if not (has_rules(legacy) and has_rules(other)) or _texts(family, legacy) == _texts(family, other):
            continue
        yield Finding(
            "legacy",
            f"{family.iptables}-legacy and {family.iptables}-nft both have rules",
            "the kernel asks both, one after the other: what one lets through, the other may drop, and each "
            "command shows its own rules only",
            f"{family.iptables}-legacy-save > legacy.rules; update-alternatives --display {family.iptables}",
        )


def _texts(family: Family, saved: str) -> Chains:
    return {p: r for p, r in chains_of([read_rules(family, "".join(_readable(saved)))]).items() if r}


def _policy(host: RealHost, engines: HostFacts) -> Iterator[Finding]:
    """FORWARD lets through what nothing decides, where the engine sets DROP."""
    for family in FAMILIES:
        planned = _forward(read_rules(family, ""), family)
        for one in engines.rulesets:
            planned = _forward(one, family) or planned
        there = _forward(read_rules(family, "".join(_readable(host.rules.get(family.iptables, "")))), family)
        word = "ip_forward" if family is Family.IPV4 else "ipv6"
        if planned != "DROP" or there != "ACCEPT" or any(word in line for line in host.boot_forwarding):
            continue
        yield Finding(
            "policy",
            f"the policy of {family.nft} filter FORWARD is ACCEPT",
            "the engine sets DROP when it turns forwarding on, and nothing below /etc/sysctl.d does that "
            "before it. So something has set ACCEPT since, and the host forwards what no rule decides: "
            "others can reach containers' addresses and ports that are not published, unless a rule drops "
            "that",
            f"{family.iptables} -P FORWARD DROP",
        )


def _forward(ruleset: Ruleset, family: Family) -> str | None:
    table = (
        getattr(ruleset, "table", lambda _: None)("filter")
        if getattr(ruleset, "family", None) is family
        else None
    )
    chain = table.chain("FORWARD") if table is not None else None
    return chain.policy if chain is not None else None


def _settings(host: RealHost, engines: HostFacts) -> Iterator[Finding]:
    """Forwarding, and br_netfilter, where they are not as the engine leaves them."""
    wanted = settings_of(engines)
    for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        if wanted.get(key) == "1" and host.sysctls.get(key) == "0":
            yield Finding(
                "forwarding",
                f"{key} is 0",
                "the host forwards nothing: containers reach nobody outside, and nobody reaches them but "
                "through the userland proxy",
                f"sysctl -w {key}=1",
            )
    written = {one.key for one in engines.sysctls}
    for family in FAMILIES:
        key = f"net.bridge.bridge-nf-call-{family.iptables}"
        there = host.sysctls.get(key)
        if key in written and wanted[key] == "1" and there != "1":
            what = f"{key} is {there}" if there else f"br_netfilter is not loaded, so there is no {key}"
            yield Finding(
                "bridge-netfilter",
                what,
                "packets between containers of one network do not pass iptables: rules against them "
                "(icc: false) have no effect",
                f"modprobe br_netfilter; sysctl -w {key}=1",
            )


def _shown(place: Place, rules: Sequence[str] | dict[str, None]) -> tuple[str, ...]:
    if place.native:
        return tuple(f"{place.chain}: {rule}" for rule in list(rules)[:_SHOWN])
    return tuple(f"-A {place.chain} {rule}" for rule in list(rules)[:_SHOWN])


def _delete(place: Place, rules: Sequence[str]) -> str:
    if place.native:
        return f"nft -a list chain {place.name}; nft delete rule {place.name} handle N"
    more = "" if len(rules) == 1 else f"  # and {len(rules) - 1} more"
    return f"{place.command} -D {place.chain} {rules[0]}{more}"
