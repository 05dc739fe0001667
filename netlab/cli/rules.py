"""``netlab rules``: a node's current ruleset, with counters, each rule with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from netlab.cli.json_objects import object_of
from netlab.cli.output import print_json, print_text, width
from netlab.cli.status import the_lab
from netlab.lab.client.client import find_lab, find_node
from netlab.lab.client.rules import RulesReader
from netlab.lab.state import read
from netlab.model.errors import UsageError
from netlab.model.family import FAMILIES, Family
from netlab.view import ruleset as view

if TYPE_CHECKING:
    import argparse

    from netlab.cli.documents import RulesDocument
    from netlab.lab.client.client import Client


def run(args: argparse.Namespace) -> int:
    """Show the rules; returns 0."""
    client, node = _target(args.node)
    families = [f for f in FAMILIES if not (args.ipv4 or args.ipv6) or (f == 4) == args.ipv4]
    reader = _Reader(client, node)
    chains = {family: _wanted(args, reader.chains(family)) for family in families}
    if args.json:
        print_json(_document(client, node, chains, reader))
        return 0
    if args.nft:
        lines = reader.nft(chains, args)
    elif args.save:
        lines = _saved(chains, reasons=not args.no_reasons)
    else:
        lines = reader.listed(chains, args)
    for line in lines:
        print_text(line)
    return 0


def _target(text: str | None) -> tuple[Client, str]:
    if text is not None and "." not in text:
        record = read(text)
        if record is not None and record.ready:
            client = find_lab(text)
            if not any(node.name == text for node in client.plan.nodes):
                return client, _host(client)
    if text is not None:
        return find_node(text)
    client = the_lab(None)
    return client, _host(client)


def _host(client: Client) -> str:
    """The lab's host; raises UsageError if there are several."""
    hosts = [node.name for node in client.plan.nodes if node.kind == "host"]
    if len(hosts) != 1:
        raise UsageError(
            f"say which node of {client.name}: {', '.join(f'{client.name}.{host}' for host in hosts)}"
        )
    return hosts[0]


def _wanted(args: argparse.Namespace, chains: list[view.LiveChain]) -> list[view.LiveChain]:
    return [
        chain for chain in chains if args.table in (None, chain.table) and args.chain in (None, chain.name)
    ]


class _Reader(RulesReader):
    """Shows what it reads."""

    def listed(self, chains: dict[Family, list[view.LiveChain]], args: argparse.Namespace) -> Iterator[str]:
        for family, found in chains.items():
            for table in dict.fromkeys(chain.table for chain in found):
                if len(chains) > 1 or not args.table:
                    yield f"# {family.iptables} -t {table}"
                some = [chain for chain in found if chain.table == table]
                one = [args.chain] if args.chain else []
                listing = self.ask(family.iptables, "-t", table, "-nvL", *one)
                yield from listing.splitlines() if args.no_reasons else view.annotate(listing, some, width())
                yield ""
        if args.table is None and args.chain is None:
            yield from self.listed_native(chains, args)

    def listed_native(
        self, chains: dict[Family, list[view.LiveChain]], args: argparse.Namespace
    ) -> Iterator[str]:
        """The tables that iptables cannot show."""
        by_family = {family.nft: found for family, found in chains.items()}
        for family, name in self.native(chains):
            listing = self.ask("nft", "list", "table", family, name)
            lines = (
                listing.splitlines()
                if args.no_reasons
                else view.annotate_nft(listing, by_family, self.reasons, width())
            )
            yield f"# nft list table {family} {name}"
            yield from lines
            yield ""

    def nft(self, chains: dict[Family, list[view.LiveChain]], args: argparse.Namespace) -> Iterator[str]:
        by_family = {family.nft: found for family, found in chains.items()}
        for line in self.ask("nft", "list", "tables").splitlines():
            _, family, table = line.split()[:3]
            if args.table not in (None, table) or (family in ("ip", "ip6") and family not in by_family):
                continue
            if args.chain:
                if f"chain {args.chain} {{" not in self.ask("nft", "list", "table", family, table):
                    continue
                listing = self.ask("nft", "list", "chain", family, table, args.chain)
            else:
                listing = self.ask("nft", "list", "table", family, table)
            yield from (
                listing.splitlines()
                if args.no_reasons
                else view.annotate_nft(listing, by_family, self.reasons, width())
            )


def _saved(chains: dict[Family, list[view.LiveChain]], *, reasons: bool) -> Iterator[str]:
    for family, found in chains.items():
        if len(chains) > 1:
            yield f"# {family.iptables}-save"
        yield from view.save_lines(found, counters=True, reasons=reasons)


def _document(
    client: Client, node: str, chains: dict[Family, list[view.LiveChain]], reader: _Reader
) -> RulesDocument:
    by_family = {family.nft: found for family, found in chains.items()}
    native = view.native_tables(reader.ask("nft", "list", "tables"), by_family)
    document: RulesDocument = {
        "lab": client.name,
        "node": node,
        "native": [
            {"family": family, "table": name, "text": reader.ask("nft", "list", "table", family, name)}
            for family, name in native
        ],
    }
    if Family.IPV4 in chains:
        document["ipv4"] = [object_of(chain) for chain in chains[Family.IPV4]]
    if Family.IPV6 in chains:
        document["ipv6"] = [object_of(chain) for chain in chains[Family.IPV6]]
    return document
