"""What on a host is not what its engine and its firewall would have written.

Only what no healthy host has is a finding: an engine's rules in another order of networks, an administrator's
in DOCKER-USER, and other programs' behind the engine's are as they should be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from netlab.engine.contract import HostFacts
from netlab.engine.found import read_native, read_rules
from netlab.model.family import FAMILIES
from netlab.model.nft_listing import listed_tables
from netlab.model.rules import BASE_CHAINS, NftTable, Ruleset
from netlab.twin.drift_others import in_front, more, unreachable
from netlab.twin.drift_settings import legacy, policy, readable, settings
from netlab.twin.finding import Chains, Finding, Mended, Place, chains_of, rules_in_words, shown
from netlab.twin.host import RealHost
from netlab.twin.order import inverted, with_rules, with_the_order

_RESTART, _RELOAD = "systemctl restart docker", "podman network reload --all"
_USER = "DOCKER-USER"


def drift(host: RealHost, engines: HostFacts) -> list[Finding]:
    """Everything found; ``engines``: what the host's engine alone would have left on it."""
    expected = chains_of(engines.rulesets)
    found = chains_of(found_rulesets(host, engines))
    return [
        *_missing(expected, found),
        *_order(expected, found),
        *more(host, expected, found),
        *in_front(expected, found),
        *unreachable(expected, found),
        *legacy(host),
        *policy(host, engines),
        *settings(host, engines),
    ]


def found_rulesets(host: RealHost, engines: HostFacts) -> Iterator[Ruleset]:
    """The host's rules, of native tables only those that its engine writes."""
    for family in FAMILIES:
        yield read_rules(family, "".join(readable(host.rules.get(family.iptables, ""))))
    listed = listed_tables(host.nft)
    for table in engines.rulesets:
        if isinstance(table, NftTable):
            name = (table.family, table.name)
            yield read_native(name, listed.get(name))


def _missing(expected: Chains, found: Chains) -> Iterator[Finding]:
    """One finding a table: what takes the rules of one chain away mostly takes others', too."""
    lost: dict[tuple[str, str, bool], dict[Place, list[str]]] = {}
    for place, rules in expected.items():
        gone = list((Counter(rules) - Counter(found.get(place, ()))).elements())
        empty = not rules and not place.native and place.chain not in BASE_CHAINS.get(place.table, ())
        if gone or (empty and place not in found):
            lost.setdefault((place.family, place.table, place.native), {})[place] = gone
    for table, places in lost.items():
        yield _missing_in(table, places, expected, found)


def _missing_in(
    table: tuple[str, str, bool], places: dict[Place, list[str]], expected: Chains, found: Chains
) -> Finding:
    count = sum(map(len, places.values()))
    if count:
        all_ = sum(len(rules) for p, rules in expected.items() if (p.family, p.table, p.native) == table)
        where = ", ".join(place.chain for place, rules in places.items() if rules)
        what = f"{table[0]} {table[1]} lacks {count} of the engine's {rules_in_words(all_)}: in {where}"
    else:
        what = f"{table[0]} {table[1]} lacks the chain {', '.join(place.chain for place in places)}"
    meanings = dict.fromkeys(_lost_means(place) for place, rules in places.items() if rules or not count)
    return Finding(
        "missing",
        what,
        "; ".join(meanings),
        _mends(places),
        tuple(line for place, rules in places.items() for line in shown(place, rules)),
        mended=Mended({p: with_rules(expected[p], found.get(p, ()), rules) for p, rules in places.items()}),
    )


def _is_podmans(rule: str) -> bool:
    """Of two engines on a host, the one that started last may have its rules before the other one's."""
    return "NETAVARK" in rule


def _mends(places: dict[Place, list[str]]) -> str:
    """What makes each engine write its rules again."""
    lost = [
        _is_podmans(f"{place.table} {place.chain} {rule}".upper())
        for place, rules in places.items()
        for rule in rules or [""]
    ]
    return "; ".join([_RESTART] * (not all(lost)) + [_RELOAD] * any(lost))


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
        there: Sequence[str] = found.get(place, ())
        pairs = [pair for pair in inverted(rules, there) if len({*map(_is_podmans, pair)}) == 1]
        if pairs:
            late, early = pairs[0]
            yield Finding(
                "order",
                f'in {place.name}, "{early}" stands before "{late}"',
                "the engine has them the other way round: the first one decides before the second is asked",
                _RESTART,
                shown(place, dict.fromkeys(rule for pair in pairs for rule in pair)),
                mended=Mended({place: with_the_order(rules, there)}),
            )
