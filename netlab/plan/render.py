"""Rulesets as text: for iptables-restore, for nft, and for people to compare with a dump."""

from __future__ import annotations

from netlab.model.rules import IptablesRuleset, NftChain, NftTable


def restore_text(ruleset: IptablesRuleset) -> str:
    """What ``iptables-save`` prints without counters: input for ``iptables-restore --noflush``."""
    lines: list[str] = []
    for table in ruleset.tables:
        lines.append(f"*{table.name}")
        lines += [f":{chain.name} {chain.policy or '-'}" for chain in table.chains]
        lines += [f"-A {chain.name} {rule.text}" for chain in table.chains for rule in chain.rules]
        lines.append("COMMIT")
    return "".join(line + "\n" for line in lines)


def nft_text(table: NftTable) -> str:
    """A native table as ``nft list table`` prints it: input for ``nft -f -``."""
    lines = [f"table {table.family} {table.name} {{"]
    blocks = [text.splitlines() for text in table.objects]
    blocks += [_chain(chain) for chain in table.chains]
    for number, block in enumerate(blocks):
        lines += ([""] if number else []) + ["\t" + line if line else "" for line in block]
    lines.append("}")
    return "".join(line + "\n" for line in lines)


def nft_input(table: NftTable) -> str:
    """Like :func:`nft_text`, with words that ``nft -f`` accepts in all versions since 1.0.1.

    nft 1.0.6 knows the name ``dstnat`` only at the prerouting hook; at output, it needs the number.
    """
    return nft_text(table).replace("hook output priority dstnat;", "hook output priority -100;")


def _chain(chain: NftChain) -> list[str]:
    hook = [f"\t{chain.hook};" if not chain.hook.endswith(";") else f"\t{chain.hook}"] if chain.hook else []
    return [f"chain {chain.name} {{", *hook, *(f"\t{rule.text}" for rule in chain.rules), "}"]
