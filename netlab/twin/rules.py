"""The rules of a host as found: which a lab can load, and which of them are not the engine's."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from netlab.engine.contract import HostFacts
from netlab.engine.found import settings_of
from netlab.model.family import FAMILIES, Family
from netlab.model.ipset_save import IPSETS, ipset_text, saved_sets
from netlab.model.iptables_save import saved_lines
from netlab.model.nft_listing import listed_tables
from netlab.model.rules import BASE_CHAINS, IpSet, IptablesRuleset, NftTable
from netlab.scenario.rule_files import check_iptables_file, check_nft_file
from netlab.scenario.sysctls import wrong_sysctl
from netlab.scenario.tree import Report
from netlab.twin.draft import Rules
from netlab.twin.host import RealHost

_ACCEPT = "ACCEPT"
#: the ipsets that a rule names, as iptables-save prints it
_SET = re.compile(r"(?:^| )(?:-m set (?:! )?--match-set|-j SET --(?:add|del|map)-set) (\S+)")
_JUMP = re.compile(r" -[jg] (\S+)")
#: how often a file is read again after what is not allowed was taken out
_TRIES = 4
#: how many reasons are noted for lines that are left out, and how many lines for each
_NOTES, _ALIKE = 50, 5


@dataclass(slots=True)
class _Text:
    """A file of iptables-save's by table: chains with their policies, and rules in order."""

    chains: dict[str, dict[str, str]] = field(default_factory=dict)
    rules: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def text(self) -> str:
        lines = []
        for table, chains in self.chains.items():
            lines.append(f"*{table}")
            lines += [f":{name} {policy}" for name, policy in chains.items()]
            lines += [f"-A {chain} {rule}".rstrip() for chain, rule in self.rules.get(table, ())]
            lines.append("COMMIT")
        return "".join(f"{line}\n" for line in lines)


def _read(saved: str) -> _Text:
    found = _Text()
    for line in saved_lines(saved):
        if line.table not in BASE_CHAINS:
            continue
        chains = found.chains.setdefault(line.table, {})
        if line.kind == "chain":
            chains[line.chain] = line.text if line.chain in BASE_CHAINS[line.table] else "-"
        elif line.kind == "rule" and not line.inserted:
            found.rules.setdefault(line.table, []).append((line.chain, line.text))
    return found


def rules_of(host: RealHost, engines: HostFacts) -> Rules:
    """The rules of a twin; ``engines``: what its engine alone would have left on the host."""
    notes: list[str] = []
    found: dict[str, str] = {}
    own: dict[str, str] = {}
    planned = {one.family: one for one in engines.rulesets if isinstance(one, IptablesRuleset)}
    sets = _sets(host, notes)
    known = frozenset(one.name for one in sets)
    for family in FAMILIES:
        engines_own = planned.get(family, IptablesRuleset(family))
        saved = _saved(host, family, notes)
        text = _allowed(saved, family, known | {one.name for one in engines_own.sets}, notes)
        found[family.iptables] = text
        rest = without_engine(text, engines_own)
        if rest:
            own[family.iptables] = rest
    for texts in (found, own):
        needed = {name for text in texts.values() for name in _SET.findall(text)}
        saved_ = ipset_text(one for one in sets if one.name in needed)
        if saved_:
            texts[IPSETS] = saved_
    native = _native(host, notes)
    if native:
        found["nftables"] = native
        engine_tables = {(one.family, one.name) for one in engines.rulesets if isinstance(one, NftTable)}
        rest = "".join(t for name, t in listed_tables(native).items() if name not in engine_tables)
        if rest:
            own["nftables"] = rest
    return Rules(found, own, dict(_settings(host, engines)), tuple(notes))


def _sets(host: RealHost, notes: list[str]) -> tuple[IpSet, ...]:
    """The ipsets that a lab can make."""
    try:
        sets, refused = saved_sets(host.ipsets)
    except ValueError as error:
        notes.append(f"ipsets: {error}: none of them is in the twin")
        return ()
    notes += (f"the ipset {name[:60]} is left out: {why}" for name, why in refused.items())
    return sets


def _saved(host: RealHost, family: Family, notes: list[str]) -> str:
    """The rules of the back end that iptables itself uses; those of the other one, if it has none."""
    saved, legacy = host.rules.get(family.iptables, ""), host.rules.get(f"{family.iptables}-legacy", "")
    if not has_rules(legacy) or legacy.strip() == saved.strip():
        return saved
    if not has_rules(saved):
        return legacy
    if _read(legacy).text() != _read(saved).text():
        notes.append(
            f"{family.iptables}-legacy has rules beside those of {family.iptables}: they are left out"
        )
    return saved


def has_rules(saved: str) -> bool:
    """Whether there is a rule, or a policy other than ACCEPT."""
    return any(
        line.kind == "rule" or (line.kind == "chain" and line.policy not in (None, _ACCEPT))
        for line in saved_lines(saved)
    )


def _allowed(saved: str, family: Family, sets: frozenset[str], notes: list[str]) -> str:
    """The rules that a scenario may have; the others are noted. ``sets``: the ipsets of the twin."""
    found = _read(saved)
    notes += _without_sets(found, family, sets)
    for _ in range(_TRIES):
        text = found.text()
        report = Report()
        check_iptables_file(family.iptables, text, report, family=int(family))
        if not report.problems:
            return text
        wrong = {problem.position.line: problem.message for problem in report.problems}
        gone: Counter[tuple[str, str]] = Counter()
        alike: defaultdict[str, list[str]] = defaultdict(list)
        table = ""
        for number, line in enumerate(text.split("\n"), 1):
            table = line[1:] if line.startswith("*") else table
            if number in wrong:
                alike[wrong[number]].append(line)
                gone[table, line] += 1
        notes += _left_out(family, alike)
        for table, rules in found.rules.items():
            found.rules[table] = [r for r in rules if not _take(gone, table, f"-A {r[0]} {r[1]}".rstrip())]
        for table, chains in found.chains.items():
            for name in [n for n, policy in chains.items() if _take(gone, table, f":{n} {policy}")]:
                del chains[name]
    notes.append(f"{family.iptables}: its rules cannot be loaded here, and are left out")
    return ""


def _without_sets(found: _Text, family: Family, sets: frozenset[str]) -> Iterator[str]:
    """Take out the rules that need an ipset which the twin does not have: it could not load them."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for table, rules in found.rules.items():
        kept = []
        for chain, rule in rules:
            lacking = [name for name in _SET.findall(rule) if name not in sets]
            if lacking:
                alike[f"the ipset {lacking[0]} is not in the twin"].append(f"-A {chain} {rule}")
            else:
                kept.append((chain, rule))
        found.rules[table] = kept
    yield from _left_out(family, alike)


def _left_out(family: Family, alike: Mapping[str, list[str]]) -> Iterator[str]:
    """A note for each line that cannot be loaded; of many with one reason, one for the rest."""
    for message, lines in itertools.islice(alike.items(), _NOTES):
        more = len(lines) - _ALIKE
        for line in lines[:_ALIKE]:
            yield f"{family.iptables}: {line[:200]}: left out: {message}"
        if more > 0:
            yield f"{family.iptables}: {more:,} other lines: left out: {message}"
    rest = sum(map(len, itertools.islice(alike.values(), _NOTES, None)))
    if rest:
        yield f"{family.iptables}: {rest:,} other lines: left out for other reasons"


def _take(gone: Counter[tuple[str, str]], table: str, line: str) -> bool:
    if gone[table, line] <= 0:
        return False
    gone[table, line] -= 1
    return True


def _native(host: RealHost, notes: list[str]) -> str:
    """The tables of nft that iptables does not show, as far as a scenario may have them."""
    kept = []
    for (family, name), text in listed_tables(host.nft).items():
        if family in ("ip", "ip6") and name in BASE_CHAINS and "xt target" not in text:
            saved = host.rules.get("iptables" if family == "ip" else "ip6tables", "")
            if f"*{name}\n" in saved:
                continue
        elif family in ("ip", "ip6") and name in BASE_CHAINS:
            continue
        report = Report()
        check_nft_file("nft", text, report)
        if report.problems:
            notes.append(f"the table {family} {name} is left out: {report.problems[0].message}")
        else:
            kept.append(text)
    return "".join(kept)


def without_engine(saved: str, planned: IptablesRuleset) -> str:
    """The rules that are not the engine's, as a file; empty if there are none."""
    found = _read(saved)
    theirs = {
        (table.name, chain.name): Counter(rule.text for rule in chain.rules)
        for table in planned.tables
        for chain in table.chains
    }
    rest = _Text()
    for table, chains in found.chains.items():
        kept = [
            (chain, rule)
            for chain, rule in found.rules.get(table, ())
            if not _is_engines(theirs, table, chain, rule)
        ]
        named = {chain for chain, _ in kept} | {target_of(rule) for _, rule in kept}
        policies = {
            name: _own_policy(planned, table, name, policy)
            for name, policy in chains.items()
            if name in BASE_CHAINS[table] or (table, name) not in theirs or name in named
        }
        mine = [name for name in policies if name not in BASE_CHAINS[table] and not is_engine_chain(name)]
        if kept or mine or any(policy == "DROP" for policy in policies.values()):
            rest.chains[table] = {n: p for n, p in policies.items() if not is_engine_chain(n) or n in named}
            rest.rules[table] = kept
    return rest.text()


def is_engine_chain(name: str) -> bool:
    """Whether only an engine calls a chain so."""
    return name.startswith(("DOCKER", "NETAVARK"))


def _is_engines(theirs: Mapping[tuple[str, str], Counter[str]], table: str, chain: str, rule: str) -> bool:
    """Whether a rule is the engine's: one that it would write, or any in a chain that is its alone."""
    known = theirs.get((table, chain))
    if known is not None and known[rule] > 0:
        known[rule] -= 1
        return True
    return (is_engine_chain(chain) and chain != "DOCKER-USER") or is_engine_chain(target_of(rule))


def target_of(rule: str) -> str:
    """The chain or target that a rule jumps to; empty if it has none."""
    match = _JUMP.search(f" {rule}")
    return match[1] if match else ""


def _own_policy(planned: IptablesRuleset, table: str, chain: str, policy: str) -> str:
    """ACCEPT where the engine itself sets DROP."""
    there = planned.table(table)
    known = there.chain(chain) if there is not None else None
    return _ACCEPT if known is not None and known.policy == policy == "DROP" else policy


def _settings(host: RealHost, engines: HostFacts) -> Iterator[tuple[str, str]]:
    """The settings that an engine has to do with, where they are not as it would leave them."""
    for key, value in settings_of(engines).items():
        there = host.sysctls.get(key)
        if there is not None and there != value and not wrong_sysctl(key, there):
            yield key, there
