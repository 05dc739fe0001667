"""The current rules of a node, as iptables-save and nft list them, with the plan's reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.kernel.trace.table import TABLE_PREFIX
from netlab.lab.client.programs import collect
from netlab.model.errors import LabError
from netlab.model.family import FAMILIES, Family
from netlab.plan.live_rules import LiveChain, NativeTable, Reasons, Rules, native_tables, parse_save

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from netlab.lab.client.client import Client


class RulesReader:
    """Asks the tools in a node itself; a guest of another's namespace has that one's rules."""

    def __init__(self, client: Client, node: str) -> None:
        self.client = client
        self.node = client.plan.node(client.plan.node(node).namespace)
        self.reasons = Reasons(self.node)

    def ask(self, *argv: str) -> str:
        """A tool's output; raises LabError with what it says."""
        done = collect(self.client, self.node.name, argv, cwd="/")
        if done.returncode != 0:
            raise LabError(f"{' '.join(argv)} in {self.client.name}.{self.node.name}: {done.stderr.strip()}")
        return done.stdout

    def chains(self, family: Family) -> list[LiveChain]:
        """The chains of one family's iptables, with their counters."""
        return parse_save(self.ask(f"{family.iptables}-save", "-c"), family, self.reasons)

    def native(self, chains: Mapping[Family, Iterable[LiveChain]]) -> list[tuple[str, str]]:
        """(family, name) of the nft tables that do not belong to iptables' ``chains``."""
        known = {family.nft: list(found) for family, found in chains.items()}
        without = {family.nft for family in FAMILIES if family not in chains}
        found = native_tables(self.ask("nft", "list", "tables"), known)
        return [(family, name) for family, name in found if family not in without]


def read_rules(client: Client, node: str, families: Iterable[Family] = FAMILIES) -> Rules:
    """Everything that a node's kernel would do to a packet of these families; raises LabError."""
    reader = RulesReader(client, node)
    chains = {family: tuple(reader.chains(family)) for family in families}
    native = [
        NativeTable(family, name, reader.ask("nft", "list", "table", family, name))
        for family, name in reader.native(chains)
        if not name.startswith(TABLE_PREFIX)
    ]
    return Rules(node, chains, tuple(native))
