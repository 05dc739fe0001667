"""Load the rulesets of new namespaces, each with its own tool, in parallel with the rest of the build.

Containers that have the same rules get them from the first of them, which is forty times as fast.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping

from netlab.kernel import ipset, netns, ruleset
from netlab.kernel.netlink import rulecopy
from netlab.kernel.sandbox.launcher import TOOL, Program, Sandbox
from netlab.lab.build.layout import Space
from netlab.model.family import Family
from netlab.model.problem import Position, Problem, ScenarioError
from netlab.model.rules import IptablesRuleset, NftFile, NftTable
from netlab.plan import render

#: "/dev/stdin:3:11-13: Error: invalid log level"
_NFT_PLACE = re.compile(r"^/dev/stdin:([0-9]+):([0-9]+)(?:-[0-9]+)?: (?:Error: )?(.*)", re.MULTILINE)


class Rulesets:
    """All rulesets of a layout. ``first``: the namespaces in which a tool runs."""

    def __init__(self, spaces: Iterable[Space], standing: Container[str]) -> None:
        self._alike = _alike((space for space in spaces if space.rulesets), standing)
        self._loaders = [_Loader(first) for first, *_ in self._alike]
        self.first = frozenset(first.name for first, *_ in self._alike)

    def begin(self, namespaces: Mapping[str, int]) -> None:
        """Start loading rules, which needs no links; the namespaces in ``first`` exist. Leaves the thread in
        one.
        """
        for loader in self._loaders:
            loader.begin(namespaces)

    def copy(self, namespaces: Mapping[str, int]) -> None:
        """Copy the rules of the first namespace to others that need the same rules."""
        for (first, *others), loader in zip(self._alike, self._loaders, strict=True):
            if not others:
                continue
            loader.finish(namespaces)
            netns.enter(namespaces[first.name])
            rules = rulecopy.read()
            for space in others:
                netns.enter(namespaces[space.name])
                rulecopy.write(rules)

    def finish(self, namespaces: Mapping[str, int]) -> None:
        """Wait until all are in; raises LabError, and nothing is loading then."""
        for loader in self._loaders:
            loader.finish(namespaces)

    def cancel(self) -> None:
        """Stop loading."""
        for loader in self._loaders:
            loader.cancel()


def _alike(spaces: Iterable[Space], standing: Container[str]) -> list[list[Space]]:
    """Namespaces grouped by their rulesets; a container's rules can be copied from the first one's."""
    groups: dict[object, list[Space]] = {}
    for space in spaces:
        new = space.kind == "container" and space.name not in standing
        copied = new and all(
            isinstance(r, IptablesRuleset) or (isinstance(r, NftTable) and not r.objects)
            for r in space.rulesets
        )
        groups.setdefault(tuple(space.rulesets) if copied else space.name, []).append(space)
    return list(groups.values())


class _Loader:
    """The rulesets of one namespace: in order, but neighbours of different families at once."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.waiting = list(space.rulesets)
        self.loading: list[ruleset.Loading] = []
        self.places = {
            (table, text): position
            for one in space.rulesets
            if isinstance(one, IptablesRuleset)
            for table, text, position in one.places
        }
        self.fresh = set(Family)

    def begin(self, namespaces: Mapping[str, int]) -> None:
        """Start what needs no links: nft's own text may name them. Leaves the thread in the namespace."""
        if isinstance(self.waiting[0], IptablesRuleset):
            self.advance(namespaces)

    def advance(self, namespaces: Mapping[str, int]) -> None:
        """Start what may start now. Leaves the thread in the namespace."""
        netns.enter(namespaces[self.space.name])
        families: set[Family] = set()
        while self.waiting:
            first = self.waiting[0]
            if isinstance(first, IptablesRuleset):
                if first.family in families:
                    return
                families.add(first.family)
                ipset.ensure(first.sets)
                fresh = first.family in self.fresh
                self.fresh.discard(first.family)
                text = render.restore_text(first)
                self.loading.append(ruleset.start_iptables(first.family, text, fresh=fresh))
                self.waiting.pop(0)
                continue
            if families:
                return
            self.fresh.clear()
            self.waiting.pop(0)
            if isinstance(first, NftTable):
                self.loading.append(ruleset.start_nft(render.nft_input(first)))
                return
            _load_file(first, namespaces[self.space.name])

    def finish(self, namespaces: Mapping[str, int]) -> None:
        """Wait until all are in; raises LabError or ScenarioError, and nothing is loading then."""
        while self.loading or self.waiting:
            while self.loading:
                try:
                    self.loading.pop().finish()
                except ruleset.RulesetError as error:
                    self._blame(error)
                    raise
            self.advance(namespaces)

    def _blame(self, error: ruleset.RulesetError) -> None:
        """Raise ScenarioError for a rule that a file of the scenario has."""
        rule = error.rule.removeprefix("-A ").partition(" ")[2]
        position = self.places.get((error.table, rule))
        if position is not None:
            raise ScenarioError([Problem(position, str(error))]) from None

    def cancel(self) -> None:
        """Stop loading."""
        while self.loading:
            self.loading.pop().cancel()


def _load_file(file: NftFile, network: int) -> None:
    """Load a file of the scenario's, isolated as its lines are: whether nft looks up a name, no text shows.

    Raises ScenarioError with the place in the file.
    """
    sandbox = Sandbox()
    try:
        done = sandbox.run(Program(("nft", "-f", "-"), network, TOOL), file.text.encode())
    finally:
        sandbox.close()
    if done.code != 0:
        raise ScenarioError(list(_nft_problems(file, done.errors.strip() or f"exit code {done.code}")))


def _nft_problems(file: NftFile, words: str) -> Iterator[Problem]:
    """The messages of nft, each at its place; all of them at the beginning of the file if there is none."""
    found = list(_NFT_PLACE.finditer(words))
    for match in found:
        yield Problem(Position(file.origin, int(match[1]), int(match[2])), f"nft: {match[3]}")
    if not found:
        yield Problem(Position(file.origin, 1, 1), f"nft: {words}")
