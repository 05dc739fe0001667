"""Plan × Plan → what changes: rules, policies, listeners, sysctls, links, addresses, published ports.

Pure: the same two plans give the same :class:`PlanDiff` on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal

from netlab.model.family import FAMILIES, endpoint
from netlab.model.plan import Interface, Listener, Node, Note, Plan, Publication, Route, Sysctl
from netlab.model.rules import Chain, IptablesRuleset, NftTable
from netlab.model.scenario import HostRule
from netlab.plan.diff_rules import PlacedRule, RuleChange, RulePlace, rule_changes

__all__ = [
    "Inapplicable",
    "PlacedRule",
    "PlanDiff",
    "PlanDifference",
    "RuleChange",
    "RulePlace",
    "applicable",
    "diff",
    "inapplicable",
]

ChangeKind = Literal["goes", "comes", "changes"]
Topic = Literal[
    "node",
    "published port",
    "policy",
    "chain",
    "map",
    "typed rule",
    "listener",
    "sysctl",
    "interface",
    "route",
    "file",
]
Facts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PlanDifference:
    """One difference of one node; ``node`` is empty for the whole lab.

    ``before`` and ``after`` are its properties in words; None if it does not exist.
    """

    topic: Topic
    node: str
    name: str
    before: Facts | None
    after: Facts | None
    reason: str = ""

    @property
    def kind(self) -> ChangeKind:
        """Whether it goes, comes or changes."""
        if self.before is None:
            return "comes"
        return "goes" if self.after is None else "changes"

    @property
    def fields(self) -> tuple[tuple[str, str, str], ...]:
        """(property, before, after) of those that differ; empty text for "not there"."""
        old, new = self.before or {}, self.after or {}
        names = dict.fromkeys([*old, *new])
        return tuple((n, old.get(n, ""), new.get(n, "")) for n in names if old.get(n) != new.get(n))


@dataclass(frozen=True, slots=True)
class Inapplicable:
    """A line that the administrator would type, and that this side's chains cannot take."""

    node: str
    rule: HostRule
    reason: str


@dataclass(frozen=True, slots=True)
class PlanDiff:
    """What changes from one plan to another; ``same_rules`` counts those that stay as they are.

    ``inapplicable``: the typed lines that do not apply, of the first plan and of the second.
    """

    rules: tuple[RuleChange, ...]
    same_rules: int
    changes: tuple[PlanDifference, ...]
    inapplicable: tuple[tuple[Inapplicable, ...], tuple[Inapplicable, ...]]
    #: what should be known of the first plan, and of the second
    notes: tuple[tuple[Note, ...], tuple[Note, ...]] = ((), ())

    def about(self, *topics: Topic) -> tuple[PlanDifference, ...]:
        """The changes of these topics."""
        return tuple(change for change in self.changes if change.topic in topics)

    @property
    def empty(self) -> bool:
        """Whether the two plans make the same."""
        return not self.rules and not self.changes


def diff(before: Plan, after: Plan) -> PlanDiff:
    """What changes if ``after`` replaces ``before``."""
    rules: list[RuleChange] = []
    same = 0
    changes = list(_keyed("published port", "", _publications(before), _publications(after)))
    for old, new in _paired(before, after):
        node = old or new
        assert node is not None
        found, stay = rule_changes(old, new)
        rules += found
        same += stay
        changes += _node_changes(node.name, old, new)
    sides = (tuple(inapplicable(before)), tuple(inapplicable(after)))
    return PlanDiff(tuple(rules), same, tuple(changes), sides, (before.notes, after.notes))


def _paired(before: Plan, after: Plan) -> Iterator[tuple[Node | None, Node | None]]:
    """Nodes with the same name; segments are not the user's nodes."""
    old = {node.name: node for node in before.nodes if node.kind != "segment"}
    new = {node.name: node for node in after.nodes if node.kind != "segment"}
    for name in dict.fromkeys([*old, *new]):
        yield old.get(name), new.get(name)


def _node_changes(name: str, old: Node | None, new: Node | None) -> Iterator[PlanDifference]:
    both = (old, new)
    yield from _keyed("node", name, *({"": (_node_facts(n), "")} if n else {} for n in both))
    yield from _policies(name, old, new)
    yield from _keyed("chain", name, *(dict(_chains(n)) if n else {} for n in both))
    yield from _keyed("map", name, *(dict(_maps(n)) if n else {} for n in both))
    yield from _keyed("typed rule", name, *(dict(_typed(n)) if n else {} for n in both))
    yield from _keyed("listener", name, *(dict(map(_listener, n.listeners)) if n else {} for n in both))
    yield from _keyed("sysctl", name, *(dict(map(_sysctl, n.sysctls)) if n else {} for n in both))
    yield from _keyed("interface", name, *(dict(map(_interface, n.interfaces)) if n else {} for n in both))
    yield from _keyed("route", name, *(dict(map(_route, n.routes)) if n else {} for n in both))
    texts = [_files(n) if n else {} for n in both]
    yield from _keyed("file", name, *texts)


Entries = Mapping[str, tuple[Facts, str]]


def _keyed(topic: Topic, node: str, old: Entries, new: Entries) -> Iterator[PlanDifference]:
    """What differs between two mappings of name → (properties, reason)."""
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name), new.get(name)
        facts = before and before[0], after and after[0]
        if facts[0] != facts[1]:
            reason = (after or before or ({}, ""))[1]
            yield PlanDifference(topic, node, name, *facts, reason)


def _facts(**values: object) -> Facts:
    """The properties that say something, as text."""
    return {key: str(value) for key, value in values.items() if value not in (None, "", False, ())}


def _node_facts(node: Node) -> Facts:
    return _facts(
        kind=node.kind,
        engine=node.engine if node.kind == "host" else "",
        namespace="" if node.namespace == node.name else node.namespace,
        hostname=node.hostname,
        container=node.container,
        host=node.host,
        proxy=node.proxy if node.kind == "host" else "",
        runs=" ".join(node.command),
        answers=" ".join(f"{entry.port}/{entry.protocol}" for entry in node.responders),
    )


def _publications(plan: Plan) -> dict[str, tuple[Facts, str]]:
    return dict(_publication(entry) for entry in plan.publications)


def _publication(entry: Publication) -> tuple[str, tuple[Facts, str]]:
    address = entry.host_address or "every address"
    name = f"{entry.host} {entry.host_port}/{entry.protocol} at {address}"
    return name, (_facts(to=f"{entry.node}:{entry.container_port}", network=entry.network), "")


def _policies(name: str, old: Node | None, new: Node | None) -> Iterator[PlanDifference]:
    """Policies of iptables' built-in chains; an untouched chain accepts."""
    found = [dict(_policies_of(node)) if node else {} for node in (old, new)]
    for place in dict.fromkeys([*found[0], *found[1]]):
        before, after = (policies.get(place, "ACCEPT") for policies in found)
        if before != after:
            yield PlanDifference("policy", name, place, {"policy": before}, {"policy": after})


def _policies_of(node: Node) -> Iterator[tuple[str, str]]:
    for place, chain in _iptables_chains(node):
        if chain.policy is not None:
            yield str(place), chain.policy


def _chains(node: Node) -> Iterator[tuple[str, tuple[Facts, str]]]:
    """User-defined and native chains, which matter to the rules that jump to them."""
    yield from ((str(place), ({}, "")) for place, chain in _iptables_chains(node) if chain.policy is None)
    for ruleset in node.rulesets:
        if isinstance(ruleset, NftTable):
            for native in ruleset.chains:
                place = RulePlace(ruleset.family, ruleset.name, native.name)
                yield str(place), (_facts(hook=native.hook), "")


def _iptables_chains(node: Node) -> Iterator[tuple[RulePlace, Chain]]:
    for ruleset in node.rulesets:
        if isinstance(ruleset, IptablesRuleset):
            for table in ruleset.tables:
                for chain in table.chains:
                    yield RulePlace(ruleset.family.nft, table.name, chain.name), chain


def _maps(node: Node) -> Iterator[tuple[str, tuple[Facts, str]]]:
    """Native sets and maps, by their first line (``map NAME {``)."""
    for ruleset in node.rulesets:
        if isinstance(ruleset, NftTable):
            for text in ruleset.objects:
                title = text.partition("{")[0].strip()
                body = " ".join(text.split())
                yield f"{ruleset.family} {ruleset.name} {title}", ({"text": body}, "")


def _typed(node: Node) -> Iterator[tuple[str, tuple[Facts, str]]]:
    for command in node.commands:
        yield command.text, ({}, "typed by the administrator")


def _listener(entry: Listener) -> tuple[str, tuple[Facts, str]]:
    where = "*" if entry.v6only is False else entry.address
    backend = endpoint(entry.backend.address, entry.backend.port) if entry.backend else ""
    facts = _facts(process=entry.process, to=backend, backlog=entry.backlog, arguments=" ".join(entry.argv))
    return f"{endpoint(where, entry.port)}/{entry.protocol}", (facts, entry.reason)


def _sysctl(entry: Sysctl) -> tuple[str, tuple[Facts, str]]:
    return entry.key, ({"value": entry.value}, entry.reason)


def _interface(entry: Interface) -> tuple[str, tuple[Facts, str]]:
    facts = _facts(
        kind=entry.kind,
        addresses=" ".join(entry.addresses),
        mac=entry.mac,
        mtu=entry.mtu,
        master=entry.master,
        peer="" if entry.peer is None else ".".join(entry.peer),
        hairpin="on" if entry.hairpin else "",
        state="" if entry.up else "down",
    )
    return entry.name, (facts, entry.reason)


def _route(entry: Route) -> tuple[str, tuple[Facts, str]]:
    return entry.words, ({}, "")


def _files(node: Node) -> dict[str, tuple[Facts, str]]:
    """The contents of /etc/hosts and /etc/resolv.conf."""
    texts = {"/etc/hosts": node.hosts_file, "/etc/resolv.conf": node.resolv_conf}
    return {path: ({"text": text}, "") for path, text in texts.items() if text}


def changed_lines(change: PlanDifference) -> Iterator[tuple[str, str]]:
    """(before, after) of the lines of a file that are not the same, in order."""
    old = (change.before or {}).get("text", "").splitlines()
    new = (change.after or {}).get("text", "").splitlines()
    for one, other in zip_longest(old, new, fillvalue=""):
        if one != other:
            yield one, other


# ── lines that an engine's chains cannot take ────────────────────────────────────────────────────────────

#: The built-in chains of iptables' tables.
_BUILT_IN = {
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "raw": ("PREROUTING", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}
_PROGRAMS = {family.iptables: family.nft for family in FAMILIES}
_NEEDS_CHAIN = {
    "-A", "--append", "-I", "--insert", "-D", "--delete", "-R", "--replace", "-C", "--check",
    "-F", "--flush", "-Z", "--zero", "-X", "--delete-chain", "-E", "--rename-chain", "-P", "--policy",
}  # fmt: skip


def inapplicable(plan: Plan) -> Iterator[Inapplicable]:
    """The administrator's lines that name a chain which is not there, on this side."""
    for node in plan.nodes:
        chains = {place for place, _ in _iptables_chains(node)}
        for command in node.commands:
            wanted = _chain_named(command.argv)
            if wanted is None:
                continue
            place, creates = wanted
            if creates:
                chains.add(place)
            elif place not in chains and place.chain not in _BUILT_IN.get(place.table, ()):
                reason = f"{node.engine or node.name} has no chain {place}"
                yield Inapplicable(node.name, command, reason)


def _chain_named(argv: tuple[str, ...]) -> tuple[RulePlace, bool] | None:
    """The chain that an iptables line is about, and whether it is made; None of any other line."""
    program, *words = argv or ("",)
    family = _PROGRAMS.get(program)
    if family is None:
        return None
    table, chain, creates = "filter", "", False
    for word, following in _with_next(words):
        if word in ("-t", "--table"):
            table = following
        elif word in ("-N", "--new-chain"):
            chain, creates = following, True
        elif word in _NEEDS_CHAIN and following and not following.startswith("-"):
            chain = following
    return (RulePlace(family, table, chain), creates) if chain else None


def _with_next(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    found = list(words)
    return zip(found, [*found[1:], ""], strict=True)


def applicable(plan: Plan) -> Plan:
    """The plan without the typed lines that its chains cannot take."""
    lost = {(entry.node, entry.rule) for entry in inapplicable(plan)}
    if not lost:
        return plan
    nodes = (
        replace(node, commands=tuple(rule for rule in node.commands if (node.name, rule) not in lost))
        for node in plan.nodes
    )
    return replace(plan, nodes=tuple(nodes))
