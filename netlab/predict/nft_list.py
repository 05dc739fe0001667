"""Read nftables' tables: what ``nft list ruleset`` prints, and what people write in its files."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.model.rules import NftTable
from netlab.predict.nft_rule import NamedSet, elements_of, read_steps
from netlab.predict.nft_tokens import Token, Tokens, priority_of, tokens_of
from netlab.predict.nft_values import Selector, selector
from netlab.predict.rules import ModelChain, ModelRule, ModelTable
from netlab.predict.syntax import Where

FAMILIES = ("ip", "ip6", "inet", "arp", "bridge", "netdev")
HOOKS = ("prerouting", "input", "forward", "output", "postrouting", "ingress", "egress")
#: what a set's "type" says of its fields: a selector with the same values
_TYPES = {
    "ipv4_addr": "ip saddr", "ipv6_addr": "ip6 saddr", "inet_service": "th dport",
    "inet_proto": "meta l4proto",
    "ifname": "meta iifname", "iface_index": "meta iif", "mark": "meta mark", "ether_addr": "ether saddr",
    "icmp_type": "icmp type", "icmpv6_type": "icmpv6 type", "nf_proto": "meta nfproto",
    "pkt_type": "meta pkttype",
    "ct_state": "ct state", "ct_status": "ct status", "ct_dir": "ct direction", "ether_type": "meta protocol",
}  # fmt: skip
_SET_WORDS = ("flags", "timeout", "gc-interval", "size", "policy", "auto-merge", "comment", "counter")


class TableReader:
    """Reads chains and sets into one table, in any number of pieces: ``nft add rule`` is one, too."""

    def __init__(self, table: ModelTable, file: str) -> None:
        self.table = table
        self.sets: dict[str, NamedSet] = {}
        self._file = file

    def read_set(self, kind: str, name: str, words: list[Token]) -> None:
        """Read a ``set`` or a ``map``: the words between its braces."""
        tokens = self._tokens(words)
        made = self.sets[name] = NamedSet(mapped=kind == "map")
        while tokens:
            tokens.skip_lines()
            if not tokens:
                return
            word = tokens.take()
            if word in ("type", "typeof"):
                made.fields = self._fields(tokens, word)
            elif word == "elements":
                tokens.take("=")
                self.add_elements(name, tokens)
            elif word in _SET_WORDS:
                made.dynamic |= "dynamic" in [token.text for token in tokens.statement()]
            else:
                tokens.at -= 1
                tokens.wrong(
                    f"{word!r} does not belong in a {kind}: expected type, typeof, flags or elements"
                )

    def add_elements(self, name: str, tokens: Tokens) -> None:
        """Read elements of a set or a map, in braces."""
        made = self.sets[name]
        for element, verdict in elements_of(made.fields, tokens):
            made.elements.append(element)
            if verdict is not None:
                made.verdicts.append(verdict)

    def _fields(self, tokens: Tokens, word: str) -> list[Selector]:
        parts = []
        while True:
            place = tokens.at
            if word == "type":
                name = tokens.take()
                known = _TYPES.get(name)
                found = selector(Tokens(tokens_of(known), tokens.where)) if known else None
            else:
                found = selector(tokens)
            if found is None:
                tokens.at = place
                tokens.wrong(f"{tokens.next!r} is not a type that netlab knows of a set's elements")
            parts.append(found)
            if not tokens.taken("."):
                break
        tokens.statement()  # ": verdict", or what else the map leads to
        return parts

    def declare(self, name: str, words: list[Token]) -> ModelChain:
        """Make a chain, with its hook if its words begin with ``type``; returns it."""
        chain = self.table.chains.setdefault(name, ModelChain(name))
        tokens = self._tokens(words)
        while tokens:
            tokens.skip_lines()
            if tokens.next == "type":
                self._hook(chain, tokens)
            elif tokens.next == "policy":
                tokens.take()
                chain.policy = "drop" if tokens.take() == "drop" else "accept"
            elif tokens.next in ("comment", "flags"):
                tokens.statement()
            else:
                return chain
        return chain

    def _hook(self, chain: ModelChain, tokens: Tokens) -> None:
        tokens.take("type")
        chain.type = tokens.take()
        tokens.take("hook")
        hook = tokens.take()
        if hook not in HOOKS:
            tokens.at -= 1
            tokens.wrong(f"{hook!r} is not a hook: expected one of {', '.join(HOOKS)}")
        chain.hook = hook
        if tokens.next in ("device", "devices"):
            while tokens and tokens.next != "priority":
                tokens.take()
        tokens.take("priority")
        chain.priority = priority_of([token.text for token in tokens.statement()], self.table.family, tokens)

    def read_rules(self, chain: ModelChain, words: list[Token]) -> None:
        """Read the rules between a chain's braces."""
        tokens = self._tokens(words)
        while tokens:
            tokens.skip_lines()
            if tokens.next in ("type", "policy", "flags") or (tokens.next == "comment" and tokens.ahead):
                tokens.statement()
                continue
            line = tokens.statement()
            if line:
                chain.rules.append(self.rule(line, shown(line)))

    def rule(self, words: list[Token], text: str) -> ModelRule:
        """One rule; raises ScenarioError."""
        steps = tuple(read_steps(self._tokens(words), self.sets, self.table.family))
        return ModelRule(text, steps, words[0].line)

    def _tokens(self, words: list[Token]) -> Tokens:
        return Tokens(words, Where(self._file, words[0].line if words else 1))


def shown(words: Iterable[Token]) -> str:
    """A rule as nft lists it: interfaces and comments in quotes, counters without their values."""
    found: list[str] = []
    name_next, skip, depth = False, 0, 0
    for word in words:
        if skip:
            skip -= 1
            continue
        text = word.text
        if text == "packets" and found[-1:] == ["counter"]:
            skip = 3
            continue
        if word.quoted or (name_next and text not in ("!=", "==", "{", "}", ",", "vmap") and text[0] != "@"):
            text = f'"{text}"'
        if word.text in ("iifname", "oifname"):
            name_next = True
        elif word.text not in ("!=", "==", "{", ",") or word.quoted:
            name_next = name_next and "{" in found[-2:] and word.text != "}"
        depth += (word.text == "{") - (word.text == "}") if not word.quoted else 0
        if word.text == "," and not word.quoted:
            found[-1] += "," if depth else ",\0"
        else:
            found.append(text)
    return " ".join(found).replace("\0 ", "")


def read_list(text: str, file: str) -> list[ModelTable]:
    """The tables of a listing, or of a file with ``table … {``; raises ScenarioError with file and line."""
    tokens = Tokens(tokens_of(text), Where(file, 1))
    readers: dict[tuple[str, str], TableReader] = {}
    while tokens:
        tokens.skip_lines()
        if not tokens:
            break
        if tokens.taken("flush", "ruleset"):
            readers.clear()
        elif tokens.taken("add", "table") or tokens.taken("create", "table") or tokens.taken("table"):
            family = tokens.take() if tokens.next in FAMILIES else "ip"
            name = tokens.take()
            reader = readers.setdefault((family, name), TableReader(ModelTable(family, name), file))
            if tokens.next == "{":
                _read_table(reader, tokens)
        else:
            tokens.wrong(f"expected 'table FAMILY NAME {{', found {tokens.next!r}")
    return [reader.table for reader in readers.values()]


def _read_table(reader: TableReader, tokens: Tokens) -> None:
    inner = Tokens(tokens.block(), tokens.where)
    chains: list[tuple[ModelChain, list[Token]]] = []
    while inner:
        inner.skip_lines()
        if not inner:
            break
        word = inner.take()
        if word == "chain":
            name = inner.take()
            words = inner.block()
            chains.append((reader.declare(name, words), words))
        elif word in ("set", "map"):
            reader.read_set(word, inner.take(), inner.block())
        elif word in ("counter", "quota", "limit", "flowtable", "ct", "secmark", "synproxy"):
            while inner.next != "{":
                inner.take()
            inner.block()
        elif word in ("flags", "comment"):
            inner.statement()
        else:
            inner.at -= 1
            inner.wrong(f"{word!r} does not belong in a table: expected chain, set or map")
    for chain, words in chains:
        reader.read_rules(chain, words)


def model_table(table: NftTable) -> TableReader:
    """A table of a plan; raises ScenarioError for a rule that nft would refuse, too."""
    made = TableReader(ModelTable(table.family, table.name), f"{table.family} {table.name}")
    for text in table.objects:
        tokens = Tokens(tokens_of(text), Where(made.table.name, 1))
        tokens.skip_lines()
        kind, name = tokens.take(), tokens.take()
        if kind in ("set", "map"):
            made.read_set(kind, name, tokens.block())
    for chain in table.chains:
        made.declare(chain.name, tokens_of(chain.hook))
    for chain in table.chains:
        for number, rule in enumerate(chain.rules, 1):
            words = tokens_of(rule.text, number)
            made.table.chains[chain.name].rules.append(made.rule(words, rule.text))
    return made
