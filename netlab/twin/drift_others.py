"""What others than the engine have put on a host: in its chains, before its rules, or where nothing leads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from netlab.model.family import FAMILIES
from netlab.model.rules import BASE_CHAINS
from netlab.twin.finding import Chains, Finding, Mended, Place, deletion, rules_in_words, shown, without
from netlab.twin.host import RealHost
from netlab.twin.order import inverted, with_rules
from netlab.twin.rules import is_engine_chain, target_of
from netlab.twin.tools import tool_of

_RESTART = "systemctl restart docker"
_ADDRESS = re.compile(r"(?:-d |--to-destination )\[?([0-9a-f.:]+?)\]?(?:/\d+|:\d+)?(?= |$)")
_BRIDGE = re.compile(r"\b(br-[0-9a-f]{12}|docker\d+)\b")
_USER = "DOCKER-USER"


def more(host: RealHost, expected: Chains, found: Chains) -> Iterator[Finding]:
    """What stands in the engine's chains, or looks like its own, without being so."""
    bridges = {link.name for link in host.links} | {network.bridge for network in host.networks}
    addresses = {a for c in host.containers for e in c.endpoints for a in (e.ipv4, e.ipv6) if a}
    addresses |= {a.partition("/")[0] for link in host.links for a in link.addresses}
    networks = {str(pool.get("Subnet")) for network in host.networks for pool in network.pools}
    for place, rules in found.items():
        known = Counter(expected.get(place, ()))
        extra = list((Counter(rules) - known).elements())
        doubled = [rule for rule in extra if known[rule]]
        if doubled:
            yield _doubled(place, doubled, rules, expected[place])
        rest = [rule for rule in extra if not known[rule]]
        engines = place in expected and place.chain not in BASE_CHAINS.get(place.table, ())
        old = [r for r in rest if _is_left(r, place, bridges, addresses, networks, engines=engines)]
        if old:
            yield Finding(
                "left-over",
                f"{place.name} has {rules_in_words(len(old))} for a container or network that is not there",
                "a port is sent to an address that nobody has, or to another container that gets it next",
                deletion(place, old),
                shown(place, old),
                mended=Mended({place: without(rules, old)}),
            )
        others = [r for r in rest if r not in old] if engines and place.chain != _USER else []
        for tool in dict.fromkeys(map(tool_of, others)):
            yield _foreign(place, rules, [r for r in others if tool_of(r) == tool], tool)


def _doubled(place: Place, doubled: list[str], found: Sequence[str], wanted: Sequence[str]) -> Finding:
    """The extra ones are the first of each, unless the order says that these are the right ones."""
    left = without(found, doubled)
    mend = deletion(place, doubled)
    if not place.native and any(inverted(wanted, left)):
        left = tuple(reversed(without(found[::-1], doubled)))
        number = len(found) - found[::-1].index(doubled[0])
        mend = f"{place.command} -D {place.chain} {number}  # the last one of them"
    return Finding(
        "doubled",
        f"{place.name} has {rules_in_words(len(doubled))} of the engine's more than once",
        "the first one decides; when the engine takes one away, the other one stays",
        mend,
        shown(place, doubled),
        mended=Mended({place: left}),
    )


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


def _foreign(place: Place, found: Sequence[str], rules: Sequence[str], tool: str) -> Finding:
    who = (
        f"{tool}'s, by its name"
        if tool and tool != "Docker"
        else "an administrator's, or a program's unknown to netlab"
    )
    return Finding(
        "foreign",
        f"{place.name} has {rules_in_words(len(rules))} that the engine does not write: {who}",
        "the engine empties and deletes its chains; what others put there decides until then, and is lost",
        f"{deletion(place, rules)}  # {_USER} is the chain for such rules",
        shown(place, rules),
        tool,
        mended=Mended({place: without(found, rules)}),
    )


def in_front(expected: Chains, found: Chains) -> Iterator[Finding]:
    """Rules of others before the engine's jumps in FORWARD that end packets, or may."""
    for family in FAMILIES:
        place = Place(family.nft, "filter", "FORWARD")
        own = set(expected.get(place, ()))
        rules = found.get(place, ())
        first = next((n for n, rule in enumerate(rules) if rule in own), 0)
        before = [rule for rule in rules[:first] if _ends(rule, place, found, set())]
        if before:
            tool = next((t for t in map(tool_of, before) if t), "")
            whose = f"{tool or 'an administrator'}'s"
            yield Finding(
                "foreign",
                f"{place.name} has {rules_in_words(len(before))} before the engine's: {whose}",
                f"they decide before {_USER}; the engine puts its own rules first at each start",
                f"{deletion(place, before)}  # {_USER} is the chain for such rules",
                shown(place, before),
                tool,
                mended=Mended({place: without(rules, before)}),
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


def unreachable(expected: Chains, found: Chains) -> Iterator[Finding]:
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
            shown(place, found[place]),
            tool,
            mended=Mended(dict(_with_jumps(place, expected, found)) if engines else {}),
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
                f'{place.name} has {rules_in_words(len(behind))} behind "{rules[last or 0]}"',
                "no packet comes to them",
                f"{place.command} -I {_USER} …  # instead of -A: put them before it",
                shown(place, behind),
                mended=Mended({place: (*behind, *rules[: len(rules) - len(behind)])}),
            )


def _with_jumps(target: Place, expected: Chains, found: Chains) -> Iterator[tuple[Place, tuple[str, ...]]]:
    """The chains in which the engine's jumps to another one are gone, with them."""
    for place, rules in expected.items():
        lost = Counter(rules) - Counter(found.get(place, ()))
        jumps = [rule for rule in lost if target_of(rule) == target.chain]
        if (place.family, place.table) == (target.family, target.table) and jumps:
            yield place, with_rules(rules, found.get(place, ()), jumps)


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
