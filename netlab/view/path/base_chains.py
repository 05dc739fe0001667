"""The base chains of a host's planned rules, in the order in which a packet meets them at each hook."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from netlab.model.rules import BASE_CHAINS, IptablesRuleset, NftTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.model.plan import Node
    from netlab.model.rules import Ruleset

#: nft(8), "standard priority names", and enum nf_ip_hook_priorities of linux/netfilter_ipv4.h.
_PRIORITIES: Final = {
    "raw": -300,
    "mangle": -150,
    "dstnat": -100,
    "filter": 0,
    "security": 50,
    "srcnat": 100,
}
CONNTRACK: Final = -200
#: iptables has its nat table at the priority of the translation that its hook makes.
_SOURCE_NAT: Final = ("INPUT", "POSTROUTING")
_HOOK: Final = re.compile(r"hook (\w+) priority (\w+|-\d+)(?: ([+-]) (\d+))?")
#: What registers conntrack's hooks: nf_ct_netns_get() in nft_ct.c, nft_nat.c, xt_conntrack.c, xt_nat.c, …
_TRACKS: Final = re.compile(
    r"\bct (?!helper)|-m (?:conntrack|state|connmark|connlimit|connbytes|helper)\b"
    r"|-j (?:DNAT|SNAT|MASQUERADE|REDIRECT|NETMAP|CONNMARK|CT)\b|\b[ds]nat\b|\bmasquerade\b|\bredirect\b"
)


@dataclass(frozen=True, slots=True)
class BaseChain:
    """A chain at a hook: nft's words for its family and hook, and its priority.

    ``table`` is empty for conntrack, which has a place of its own at the hooks where packets enter.
    """

    family: str
    table: str
    name: str
    hook: str
    priority: int


def base_chains(host: Node, family: str) -> list[BaseChain]:
    """The base chains that packets of a family (``ip`` or ``ip6``) meet on a host, in order of priority."""
    found = [chain for ruleset in host.rulesets for chain in _of(ruleset) if chain.family in (family, "inet")]
    if any(_tracks(ruleset, family) for ruleset in host.rulesets):
        found += [BaseChain(family, "", "conntrack", hook, CONNTRACK) for hook in ("prerouting", "output")]
    return sorted(found, key=lambda chain: chain.priority)


def _of(ruleset: Ruleset) -> Iterator[BaseChain]:
    if isinstance(ruleset, IptablesRuleset):
        for table in ruleset.tables:
            for name in BASE_CHAINS[table.name]:
                if table.chain(name) is not None:
                    yield BaseChain(
                        ruleset.family.nft, table.name, name, name.lower(), _priority(table.name, name)
                    )
    elif isinstance(ruleset, NftTable):
        for chain in ruleset.chains:
            if found := _HOOK.search(chain.hook):
                hook, word, sign, more = found.groups()
                priority = _PRIORITIES[word] if word in _PRIORITIES else int(word)
                priority += int(f"{sign}{more}") if more else 0
                yield BaseChain(ruleset.family, ruleset.name, chain.name, hook, priority)


def _priority(table: str, chain: str) -> int:
    if table == "nat":
        return _PRIORITIES["srcnat" if chain in _SOURCE_NAT else "dstnat"]
    return _PRIORITIES[table]


def _tracks(ruleset: Ruleset, family: str) -> bool:
    """Whether a rule makes the kernel track connections of the family."""
    if isinstance(ruleset, IptablesRuleset):
        if ruleset.family.nft != family:
            return False
        texts = [rule.text for table in ruleset.tables for chain in table.chains for rule in chain.rules]
    elif isinstance(ruleset, NftTable):
        if ruleset.family not in (family, "inet"):
            return False
        texts = [rule.text for chain in ruleset.chains for rule in chain.rules]
    else:
        return False
    return any(_TRACKS.search(text) for text in texts)
