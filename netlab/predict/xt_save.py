"""Read what ``iptables-save`` and ``ip6tables-save`` print."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from typing import Final

from netlab.model.family import Family
from netlab.model.rules import BASE_CHAINS, IpSet, IptablesRuleset
from netlab.predict.rules import In, Lookup, ModelChain, ModelRule, ModelTable, Translate
from netlab.predict.syntax import Where, Word, words_of
from netlab.predict.xt_matches import conditions
from netlab.predict.xt_targets import action
from netlab.predict.xt_words import take_apart

#: the priorities of iptables' base chains (xtables_ipv4, iptables/nft.c): security's is not the kernel's 50
_PRIORITIES: Final = {"raw": -300, "mangle": -150, "filter": 0, "security": 150}
_NAT: Final = {"PREROUTING": -100, "INPUT": 100, "OUTPUT": -100, "POSTROUTING": 100}
_CHAIN: Final = re.compile(r":(\S+) (ACCEPT|DROP|QUEUE|-)(?: \[\d+:\d+\])?")
_COUNTERS: Final = re.compile(r"\[\d+:\d+\] *")


def base_chain(table: str, name: str, policy: str = "accept") -> ModelChain:
    """A built-in chain of iptables."""
    kind = "nat" if table == "nat" else "route" if (table, name) == ("mangle", "OUTPUT") else "filter"
    priority = _NAT[name] if table == "nat" else _PRIORITIES[table]
    return ModelChain(
        name,
        hook=name.lower(),
        type=kind,
        priority=priority,
        policy="drop" if policy.lower() == "drop" else "accept",
    )


def rule_of(
    text: str,
    words: Iterable[Word],
    where: Where,
    chains: Container[str],
    sets: Mapping[str, Lookup],
    chain: str,
) -> ModelRule:
    """The rule of these words, of which ``text`` is what the tool prints; raises ScenarioError."""
    parts = take_apart(list(words), where)
    steps = list(parts.steps)
    for match in parts.matches:
        steps += conditions(match, where, sets)
    done = action(parts.target, where, chains, goto=parts.goto)
    if isinstance(done, Translate) and done.prefix is not None and chain in ("POSTROUTING", "INPUT"):
        done = Translate("src", done.addresses, prefix=done.prefix)
    return ModelRule(text, (*steps, done), where.line)


def lookup_of(one: IpSet) -> Lookup:
    """A set of subnets as the model evaluates it."""
    where = Where(f"ipset {one.name}", 1, one.family)
    elements = []
    for member in one.members:
        found = where.network("saddr", member, 1)
        assert isinstance(found, In)
        elements.append((found,))
    return Lookup(("saddr",), tuple(elements))


def model_tables(ruleset: IptablesRuleset) -> list[ModelTable]:
    """The tables of a plan's ruleset; raises ScenarioError for a rule that iptables would refuse, too."""
    sets = {one.name: lookup_of(one) for one in ruleset.sets}
    found = []
    for table in ruleset.tables:
        made = ModelTable(ruleset.family.nft, table.name, iptables=True)
        names = {chain.name for chain in table.chains}
        for chain in table.chains:
            new = (
                ModelChain(chain.name)
                if chain.policy is None
                else base_chain(table.name, chain.name, chain.policy)
            )
            for number, rule in enumerate(chain.rules, 1):
                where = Where(f"{table.name}/{chain.name}", number, ruleset.family)
                line = f"-A {chain.name} {rule.text}"
                new.rules.append(rule_of(line, words_of(rule.text), where, names, sets, chain.name))
            made.chains[chain.name] = new
        found.append(made)
    return found


def read_save(text: str, family: Family, file: str, sets: Iterable[IpSet] = ()) -> list[ModelTable]:
    """The tables of a dump; raises ScenarioError, with file, line and column, for what no iptables prints.

    A match or target that the model does not know is no error: rules that have it depend on it.
    """
    known = {one.name: lookup_of(one) for one in sets}
    lines = text.splitlines()
    found: list[ModelTable] = []
    table: ModelTable | None = None
    chains = _chains_by_table(lines)
    for number, line in enumerate(lines, 1):
        where = Where(file, number, family)
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("*"):
            if table is not None:
                where.wrong(f"the table {table.name} has no COMMIT before this line")
            name = where.choice(line[1:].strip(), BASE_CHAINS, "a table of iptables", 2)
            table = ModelTable(family.nft, name, iptables=True)
        elif table is None:
            where.wrong(f"{line.split()[0]!r} stands outside of a table: expected *TABLE")
        elif line.strip() == "COMMIT":
            found.append(table)
            table = None
        elif line.startswith(":"):
            _declare(line, table, where)
        else:
            _append(line, table, where, chains[table.name], known)
    if table is not None:
        Where(file, len(lines), family).wrong(
            f"the listing is cut short: the table {table.name} has no COMMIT"
        )
    return found


def _chains_by_table(lines: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    table = ""
    for line in lines:
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":"):
            found.setdefault(table, set()).add(line[1:].split(" ")[0])
    return found


def _declare(line: str, table: ModelTable, where: Where) -> None:
    match = _CHAIN.fullmatch(line.strip())
    if match is None:
        where.wrong("expected :CHAIN POLICY [PACKETS:BYTES], with the policy - for a chain of the user's own")
    name, policy = match.groups()
    if policy == "-":
        table.chains[name] = ModelChain(name)
        return
    where.choice(name, BASE_CHAINS[table.name], f"a built-in chain of the table {table.name}", 2)
    table.chains[name] = base_chain(table.name, name, policy)


def _append(
    line: str, table: ModelTable, where: Where, chains: Container[str], sets: Mapping[str, Lookup]
) -> None:
    counters = _COUNTERS.match(line)
    start = counters.end() if counters else 0
    words = words_of(line[start:], start + 1)
    if len(words) < 2 or words[0].text not in ("-A", "--append"):
        where.wrong("expected -A CHAIN, a chain's declaration, or COMMIT", start + 1)
    chain = table.chains.get(words[1].text)
    if chain is None:
        where.wrong(f"the chain {words[1].text!r} was not declared above", words[1].column)
    text = line[start:].strip()
    chain.rules.append(rule_of(text, words[2:], where, chains, sets, chain.name))
