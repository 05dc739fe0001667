"""An iptables ruleset with the operations of the iptables command.

A rule is identified by its text as ``iptables-save`` prints it after ``-A CHAIN``, so that the engine's
rules, an administrator's file and a kernel's dump can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping

from netlab.engine.refusal import Refused
from netlab.model.family import FAMILIES, Family
from netlab.model.ipset_save import IPSETS, saved_sets
from netlab.model.iptables_save import saved_lines
from netlab.model.rules import BASE_CHAINS, Chain, IpSet, IptablesRuleset, Rule, Table
from netlab.model.scenario import Host


class IptablesError(Exception):
    """A call of iptables fails, because a chain that it names is not there; the text is Docker's.

    ``undone``: what Docker wrote before, for the same purpose, it takes back.
    """

    undone = False


class WorkingChain:
    """One chain: its rules in order, and how often each text occurs (so that ``-C`` is constant time)."""

    __slots__ = ("count", "name", "policy", "rules")

    def __init__(self, name: str, policy: str | None = None) -> None:
        self.name = name
        self.policy = policy
        self.rules: list[Rule] = []
        self.count: dict[str, int] = {}

    def add(self, rule: Rule, at: int | None = None) -> None:
        """Append the rule, or insert it before index ``at``."""
        if at is None:
            self.rules.append(rule)
        else:
            self.rules.insert(at, rule)
        self.count[rule.text] = self.count.get(rule.text, 0) + 1

    def remove(self, text: str) -> bool:
        """Delete the first rule of that text; False if there is none."""
        left = self.count.get(text, 0)
        if not left:
            return False
        for index, rule in enumerate(self.rules):
            if rule.text == text:
                del self.rules[index]
                break
        if left == 1:
            del self.count[text]
        else:
            self.count[text] = left - 1
        return True

    def flush(self) -> None:
        """Delete every rule."""
        self.rules.clear()
        self.count.clear()


class Tables:
    """The tables of one family.  A table comes into being, with its base chains, when it is touched."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self._tables: dict[str, dict[str, WorkingChain]] = {}
        #: the ipsets that rules match, by name
        self.sets: dict[str, IpSet] = {}

    def _table(self, table: str) -> dict[str, WorkingChain]:
        chains = self._tables.get(table)
        if chains is None:
            chains = {name: WorkingChain(name, "ACCEPT") for name in BASE_CHAINS[table]}
            self._tables[table] = chains
        return chains

    def touch(self, table: str) -> None:
        """Make the table, as any rule operation on it does."""
        self._table(table)

    def chain(self, table: str, chain: str) -> WorkingChain:
        """The chain; raises KeyError if there is none."""
        return self._table(table)[chain]

    def has_chain(self, table: str, chain: str) -> bool:
        """Whether the chain exists (``-n -L CHAIN``); never makes a table."""
        return chain in self._tables.get(table, ())

    def new_chain(self, table: str, chain: str) -> None:
        """``-N``, unless it exists."""
        self._table(table).setdefault(chain, WorkingChain(chain))

    def exists(self, table: str, chain: str, text: str) -> bool:
        """``-C``."""
        found = self._tables.get(table, {}).get(chain)
        return found is not None and text in found.count

    def append(self, table: str, chain: str, text: str, reason: str) -> None:
        """``-A``, unless the rule exists; raises IptablesError if a chain that it names does not."""
        if not self.exists(table, chain, text):
            self._for_rule("-A", table, chain, text).add(Rule(text, reason))

    def insert(self, table: str, chain: str, text: str, reason: str, at: int = 0) -> None:
        """``-I`` before index ``at``, unless the rule exists; raises IptablesError as :meth:`append` does."""
        if not self.exists(table, chain, text):
            self._for_rule("-I", table, chain, text).add(Rule(text, reason), at)

    def _for_rule(self, action: str, table: str, chain: str, text: str) -> WorkingChain:
        """The chain that a rule is put into."""
        found = self._tables.get(table, {}).get(chain)
        if chain in BASE_CHAINS[table]:
            found = self._table(table)[chain]
        target = text.rpartition(" -j ")[2].removeprefix("-j ")
        if found is None or (target.startswith("DOCKER") and not self.has_chain(table, target)):
            raise IptablesError(
                f"iptables failed: {self.family.iptables} --wait -t {table} {action} {chain} {text}: "
                "No chain/target/match by that name"
            )
        return found

    def delete(self, table: str, chain: str, text: str) -> None:
        """``-D``, if the rule exists."""
        found = self._tables.get(table, {}).get(chain)
        if found is not None:
            found.remove(text)

    def move_to_top(self, table: str, chain: str, text: str, reason: str) -> None:
        """Docker's EnsureJumpRule: ``-D`` if it exists, then ``-I``; raises IptablesError."""
        self.delete(table, chain, text)
        self._for_rule("-I", table, chain, text).add(Rule(text, reason), 0)

    def policy(self, table: str, chain: str, policy: str) -> None:
        """``-P``."""
        self.chain(table, chain).policy = policy

    def flush(self, table: str, chain: str) -> None:
        """``-F CHAIN``, if it exists."""
        if self.has_chain(table, chain):
            self.chain(table, chain).flush()

    def flush_table(self, table: str) -> None:
        """``-F``: every chain of the table stays, empty."""
        for chain in self._tables.get(table, {}).values():
            chain.flush()

    def remove_chain(self, table: str, chain: str) -> None:
        """``-X CHAIN``: only if it exists and no rule refers to it (otherwise, the kernel returns EBUSY)."""
        if not self.has_chain(table, chain):
            return
        jumps = (f"-j {chain}", f"-g {chain}")
        for other in self._table(table).values():
            for text in other.count:
                if text.endswith(jumps):
                    return
        if not self.chain(table, chain).rules:
            del self._table(table)[chain]

    def freeze(self) -> IptablesRuleset:
        """The ruleset as ``iptables-save`` would print it."""
        tables = []
        for name, base in BASE_CHAINS.items():
            chains = self._tables.get(name)
            if chains is None:
                continue
            order = [*base, *sorted(chain for chain in chains if chain not in base)]
            tables.append(
                Table(name, tuple(Chain(c, chains[c].policy, tuple(chains[c].rules)) for c in order))
            )
        return IptablesRuleset(self.family, tuple(tables), sets=tuple(self.sets.values()))

    def take(self, ruleset: IptablesRuleset) -> None:
        """Replace the contents of these tables with an existing ruleset."""
        self.sets |= {one.name: one for one in ruleset.sets}
        for table in ruleset.tables:
            chains = self._table(table.name)
            for chain in table.chains:
                working = chains[chain.name] = WorkingChain(chain.name, chain.policy)
                for rule in chain.rules:
                    working.add(rule)

    def load(self, text: str, origin: str) -> None:
        """Take in an ``iptables-save`` file without its counters; raises ValueError with the line."""
        reason = "ufw's own" if origin == "ufw" else f"the administrator's own, from {origin}"
        for saved in saved_lines(text):
            table, where = saved.table, f"{origin}, line {saved.number}"
            if saved.kind == "other" and table:
                raise ValueError(f"{where}: {saved.line!r} is not a line of an iptables-save file")
            if not table and saved.kind != "table":
                raise ValueError(f"{where}: {saved.line!r} comes before any *table line")
            if saved.kind == "table":
                if table not in BASE_CHAINS:
                    raise ValueError(f"{where}: there is no table {table!r}")
                self._table(table)
            elif saved.kind == "chain" and saved.chain in BASE_CHAINS[table]:
                self.chain(table, saved.chain).policy = saved.policy or "ACCEPT"
            elif saved.kind == "chain":
                self.new_chain(table, saved.chain)
            elif not self.has_chain(table, saved.chain):
                raise ValueError(f"{where}: there is no chain {saved.chain!r} in table {table}")
            else:
                self.chain(table, saved.chain).add(Rule(saved.text, reason), 0 if saved.inserted else None)


def tables_of(host: Host) -> dict[Family, Tables]:
    """What a prepared host has before an engine starts: its firewall's rules, then the administrator's own.

    Raises :class:`Refused` for an administrator's file that iptables-restore would not take.
    """
    tables = {family: Tables(family) for family in FAMILIES}
    for ruleset in host.firewall.rulesets:
        tables[ruleset.family].take(ruleset)
    for family in FAMILIES:
        text = host.firewall.files.get(family.iptables)
        if text is not None:
            try:
                origin = "ufw" if host.firewall.kind == "ufw" else f"firewall.{family.iptables}"
                tables[family].load(text, origin)
            except ValueError as error:
                raise Refused("host", host.name, str(error)) from error
    for one in saved_sets(host.firewall.files.get(IPSETS, ""))[0]:
        tables[one.family].sets[one.name] = one
    return tables


def reload_ufw(host: Host, tables: Mapping[Family, Tables]) -> None:
    """``ufw reload`` sets the policies again that an engine may have changed; others' rules stay."""
    if host.firewall.kind != "ufw":
        return
    for ruleset in host.firewall.rulesets:
        for table in ruleset.tables:
            for chain in table.chains:
                if chain.policy is not None:
                    tables[ruleset.family].policy(table.name, chain.name, chain.policy)
