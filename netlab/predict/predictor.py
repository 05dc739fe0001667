"""Predict the journeys of flows from a plan: no root, no kernel, no lab."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from netlab.journey.build import journey_of, question
from netlab.journey.doubt import doubt
from netlab.journey.evidence import PacketPaths
from netlab.journey.hook_passes import HookPass
from netlab.journey.topology import Topology, TracedNode, topology_of
from netlab.model.flow import Flow
from netlab.model.journey import Continuation, DecidedBy, Journey
from netlab.model.plan import Node, Plan
from netlab.model.rules import IptablesRuleset, NftTable
from netlab.model.trace import BaseChain
from netlab.predict.evaluate import RuleName, Undetermined
from netlab.predict.exchange import Exchange, NotPredicted, Result
from netlab.predict.hooks import Hooks
from netlab.predict.host import Namespace, namespace_of
from netlab.predict.links import Links
from netlab.predict.nft_list import TableReader, model_table, read_list
from netlab.predict.stack import Stack
from netlab.predict.typed import Typist
from netlab.predict.xt_save import model_tables

#: Undetermined rules on one way that are followed to both sides; behind more, only the first is named.
_MOST_FORKS = 6


@dataclass(slots=True)
class Predictor:
    """Everything that predictions need of a plan, read once.

    >>> predictor = Predictor.of(netlab.load_plan(["scenarios/httpd.yaml"]))
    """

    plan: Plan
    spaces: dict[str, Namespace]
    links: Links
    facts: Topology
    hosts: frozenset[str]
    _wide: Topology = field(default_factory=Topology)

    @classmethod
    def of(cls, plan: Plan) -> Predictor:
        """Read a plan; raises ScenarioError for a rule that its tool would refuse, too."""
        spaces = _spaces(plan)
        homes = {node.name: node.namespace for node in plan.nodes}
        facts = topology_of(plan)
        for space in spaces.values():
            facts.traced[space.name] = _traced(space)
        made = cls(plan, spaces, Links(spaces, homes), facts, facts.hosts)
        made._wide = replace(facts, looked_at=frozenset(spaces))
        return made

    def journeys(self, flows: Iterable[Flow]) -> list[Journey]:
        """The journeys of flows, in their order."""
        return [self.journey(flow) for flow in flows]

    def journey(self, flow: Flow) -> Journey:
        """The journey of one flow.

        Its outcome is ``unpredicted`` if it depends on more than its first packet; ``continuations`` then has
        one journey for each possibility, where the model knows both.
        """
        return self._follow(flow, {})

    def _follow(self, flow: Flow, known: dict[RuleName, bool]) -> Journey:
        try:
            return self._certain(flow, known)
        except NotPredicted as reason:
            return unpredicted(flow, str(reason))
        except Undetermined as fork:
            if len(known) >= _MOST_FORKS:
                return unpredicted(flow, _words(fork), _named(fork))
            both = [self._follow(flow, {**known, fork.rule: answer}) for answer in (True, False)]
            if _same(*both):
                note = (
                    f"{fork.rule.text} may match or not (it depends on {fork.what}); it makes no difference"
                )
                return replace(both[1], notes=(*both[1].notes, note))
            words = ("its target lets the packet go on", "its target ends the packet")
            if not fork.effect:
                words = ("it matches", "it does not match")
            ways = tuple(Continuation(word, one) for word, one in zip(words, both, strict=True))
            return replace(unpredicted(flow, _words(fork), _named(fork)), continuations=ways)

    def _certain(self, flow: Flow, known: dict[RuleName, bool]) -> Journey:
        """The journey, if these answers for undetermined rules suffice; raises Undetermined, NotPredicted."""
        if self.plan.events:
            what = f"the lab's first events ({self.plan.events[0].text}) happen once it is up"
            raise NotPredicted(f"{what}, and a plan does not know what they change")
        hooks = Hooks(known)
        stack = Stack(self.links, hooks, refuse_unknown)
        result = Exchange(self.links, stack).predict(flow)
        result.probe.notes += dict.fromkeys(hooks.notes)
        narrow = _only(result, self.facts.traced_nodes)
        narrow.forth = _followed(narrow.forth, result.probe.key)
        if doubt(flow, result.probe, narrow, self.facts):
            journey = journey_of(flow, result.probe, result.paths, self._wide)
        else:
            journey = journey_of(flow, result.probe, narrow, self.facts)
        return replace(journey, how="predicted")


def refuse_unknown(space: Namespace) -> None:
    """Raise NotPredicted if a packet comes to a namespace of which the model does not know everything."""
    if space.unknown:
        raise NotPredicted(f"{space.name}: {space.unknown[0]}")


def _only(result: Result, hosts: frozenset[str]) -> PacketPaths:
    """The paths as the instrument in the hosts shows them."""

    def inside(way: Sequence[HookPass]) -> list[HookPass]:
        return [visit for visit in way if visit.node in hosts]

    paths = result.paths
    return PacketPaths(
        forth=inside(paths.forth),
        proxied=inside(paths.proxied),
        back=inside(paths.back),
        switched=inside(paths.switched),
        lost=inside(paths.lost),
        returned=inside(paths.returned),
        errors=inside(paths.errors),
    )


def _followed(way: list[HookPass], key: bytes | None) -> list[HookPass]:
    """The visits as long as each begins with the addresses with which the last one ended."""
    found = []
    for visit in way:
        if visit.key != key:
            break
        found.append(visit)
        key = visit.left
    return found


def unpredicted(flow: Flow, problem: str, decided: DecidedBy | None = None) -> Journey:
    """The journey of a flow that the model does not know; ``problem`` says why."""
    return Journey(
        question(flow, None),
        "unpredicted",
        "none",
        how="predicted",
        problem=problem,
        decided_by=decided or DecidedBy("none"),
    )


def _words(fork: Undetermined) -> str:
    place = f"{fork.rule.family} {fork.rule.table} {fork.rule.chain} of {fork.rule.node}"
    return f"the rule {fork.rule.text} in {place} depends on {fork.what}"


def _named(fork: Undetermined) -> DecidedBy:
    rule = fork.rule
    return DecidedBy(
        "rule", node=rule.node, family=rule.family, table=rule.table, chain=rule.chain, rule=rule.text
    )


def _same(one: Journey, other: Journey) -> bool:
    """Whether two continuations end alike, in everything but the rules that do nothing."""
    return _essence(one) == _essence(other)


def _essence(journey: Journey) -> tuple[object, ...]:
    return (
        journey.outcome,
        journey.path,
        journey.sees,
        journey.answered_by,
        journey.icmp,
        journey.decided_by,
        tuple((leg.node, leg.by, leg.nat, leg.letters) for leg in journey.legs),
    )


# -- from the plan


def _spaces(plan: Plan) -> dict[str, Namespace]:
    groups: dict[str, list[Node]] = {}
    for node in plan.nodes:
        groups.setdefault(node.namespace, []).append(node)
    found = {}
    for name, nodes in groups.items():
        nodes.sort(key=lambda node: node.name != name)
        space = found[name] = namespace_of(nodes)
        space.resolvers = tuple(
            (resolver.program, protocol, resolver.address, port)
            for resolver in plan.resolvers
            if resolver.node in space.nodes
            for protocol, port in (("udp", resolver.udp), ("tcp", resolver.tcp))
            if port
        )
        _load(space, nodes)
    for network in (one for node in plan.nodes for one in node.user_networks):
        found[network.wire].unknown.append(
            f"{network.program} takes what {network.node} sends, and has connections of its own on the host"
        )
    return found


def _load(space: Namespace, nodes: Iterable[Node]) -> None:
    """The rules of a namespace, and what its administrator types."""
    readers: list[TableReader] = []
    typist = Typist(space)
    for node in nodes:
        for ruleset in node.rulesets:
            if isinstance(ruleset, IptablesRuleset):
                space.tables += model_tables(ruleset)
                typist.sets |= {one.name: one for one in ruleset.sets}
            elif isinstance(ruleset, NftTable):
                readers.append(reader := model_table(ruleset))
                space.tables.append(reader.table)
            else:
                space.tables += read_list(ruleset.text, ruleset.origin)
    typist.readers = {(one.table.family, one.table.name): one for one in readers}
    for node in nodes:
        for rule in node.commands:
            typist.type(rule)


def _traced(space: Namespace) -> TracedNode:
    """A namespace's hooks as the reader of traces knows them."""
    return TracedNode(
        space.name,
        {index: name for name, index in space.indexes.items()},
        frozenset(bytes.fromhex(one.mac.replace(":", "")) for one in space.interfaces.values() if one.mac),
        {
            (table.family, table.name, chain.name): BaseChain(
                table.family, table.name, chain.name, chain.hook, chain.type, chain.priority, chain.policy
            )
            for table in space.tables
            for chain in table.chains.values()
            if chain.hook
        },
        {
            (table.family, table.name, chain.name, number): rule.text
            for table in space.tables
            for chain in table.chains.values()
            for number, rule in enumerate(chain.rules, 1)
        },
    )
