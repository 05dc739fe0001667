"""Names that are in the plans of labs or in scenarios, to complete a command line with."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from netlab.cli.complete_names import labs, published
from netlab.cli.gallery_page import scenarios
from netlab.lab import state
from netlab.lab.client.client import Client
from netlab.lab.state import Record
from netlab.lesson.read import lessons
from netlab.model.errors import MachineError, NetlabError
from netlab.model.plan import Node, Plan
from netlab.model.rules import Chain, IptablesRuleset, NftChain, NftTable
from netlab.plan import make
from netlab.scenario import find_default, folder_environment, load


def nodes() -> list[str]:
    """LAB.NODE of every lab, and NODE alone if there is only one lab."""
    known = labs()
    found = published(known)
    for record in _records():
        if record.alive and not any(name.startswith(f"{record.name}.") for name in found):
            found += [
                f"{record.name}.{node.name}" for node in Client(record).plan.nodes if node.kind != "segment"
            ]
    if len(known) == 1:
        found += [name.partition(".")[2] for name in found]
    return found


def _records() -> list[Record]:
    """The user's own labs; none if another user may change their folder, which other commands report."""
    try:
        return state.records()
    except MachineError:
        return []


def _profiles() -> Iterator[tuple[str, str]]:
    """The profiles of the scenario that this folder offers."""
    with suppress(NetlabError):
        environ = folder_environment(".", os.environ)
        files = find_default(".", environ, above=True)
        if files:
            yield from ((name, "a profile") for name in load(files, environ=environ).profiles)


def places(typed: Sequence[str], *, entering: bool) -> Iterator[tuple[str, str]]:
    """What --from (``entering``) and --to of ``netlab exposure`` name, in the typed file or lab."""
    if entering:
        yield "outside", "packets from outside"
    for node in {node.name: node for plan in _asked(typed) for node in plan.nodes}.values():
        if node.kind == "segment":
            continue
        yield node.name, "a node"
        if entering and node.kind == "host":
            yield from ((one.name, "an interface") for one in node.interfaces if one.kind != "bridge")


def _asked(typed: Sequence[str]) -> Iterator[Plan]:
    """The plans of the files and labs that were typed; without any, of the scenario of this folder."""
    groups = [[word] for word in typed if os.path.isfile(word)]
    for record in _records():
        if record.alive and record.name in typed and [record.name] not in groups:
            yield Client(record).plan
    with suppress(NetlabError):
        environ = folder_environment(".", os.environ)
        if not typed:
            groups = [[str(path) for path in find_default(".", environ, above=True)]]
        for files in filter(None, groups):
            yield make(load(files, environ=environ))


def _chains() -> Iterator[tuple[str, str]]:
    """The chains of one's own labs' hosts."""
    names = {chain.name for plan in _plans() for node in plan.nodes for chain in _chains_of(node)}
    yield from ((name, "a chain") for name in sorted(names))


def _chains_of(node: Node) -> Iterator[Chain | NftChain]:
    for ruleset in node.rulesets:
        if isinstance(ruleset, IptablesRuleset):
            yield from (chain for table in ruleset.tables for chain in table.chains)
        elif isinstance(ruleset, NftTable):
            yield from ruleset.chains


def _plans() -> Iterator[Plan]:
    yield from (Client(record).plan for record in _records() if record.alive)


def _gallery() -> Iterator[tuple[str, str]]:
    """The scenarios that come with netlab."""
    yield from ((name, "a scenario") for name in scenarios())


def _lessons() -> Iterator[tuple[str, str]]:
    """The lessons that come with netlab."""
    yield from ((name, "a lesson") for name in lessons())


#: What completes words of these kinds.
NAMED: dict[str, Callable[[], Iterator[tuple[str, str]]]] = {
    "profile": _profiles,
    "chain": _chains,
    "gallery": _gallery,
    "lesson": _lessons,
}
