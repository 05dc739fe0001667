"""Load rulesets, each in one transaction with its own tool, and read them back.

Everything acts in the calling thread's network namespace. The iptables of nf_tables is required: rules that
iptables-legacy writes are in other tables, which nft neither shows nor traces.
"""

from __future__ import annotations

import os.path
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from netlab.kernel import process, sysctl, userns
from netlab.model.errors import LabError, MachineError
from netlab.model.family import Family

#: Rules in a transaction without privileges: some 700 bytes each, of 208 KiB (stock net.core.wmem_max)
_PIECE = 100
#: what nft's scanner (src/scanner.l) takes for a quoted string, a comment, and a word
_QUOTED = re.compile(r'"[^"]*"|#[^\n]*')
_WORD = re.compile(r"[A-Za-z_.][A-Za-z0-9/_.-]*")
#: "Error occurred at line: 16", and "line 16: RULE_APPEND failed"
_LINE = re.compile(r"line:? ([0-9]+)")


@cache
def _demand_nf_tables(tool: str) -> None:
    """Raise MachineError if ``tool`` is missing or is the one of iptables-legacy."""
    binary = os.path.realpath(process.find(tool)).rpartition("/")[2]
    if "legacy" in binary or ("nft" not in binary and "nf_tables" not in process.run([tool, "-V"]).output):
        raise MachineError(
            f"{tool} is the legacy one, whose rules nftables neither shows nor traces; choose the other: "
            "sudo update-alternatives --set iptables /usr/sbin/iptables-nft && "
            "sudo update-alternatives --set ip6tables /usr/sbin/ip6tables-nft"
        )


class RulesetError(LabError):
    """A tool did not load a ruleset.

    ``rule`` is the line that it complained about, ``table`` the iptables table of this line; both are empty
    if it named none.
    """

    def __init__(self, message: str, rule: str = "", table: str = "") -> None:
        super().__init__(message)
        self.rule = rule
        self.table = table

    def fields(self) -> dict[str, Any]:
        """The rule and its table."""
        return {"rule": self.rule, "table": self.table}

    @classmethod
    def of(cls, text: str, fields: dict[str, Any]) -> RulesetError:
        """The inverse of :meth:`fields`."""
        return cls(text, fields["rule"], fields["table"])

    @classmethod
    def explained(cls, tool: str, words: str, text: str) -> RulesetError:
        """The error that has the tool's ``words`` about ``text``, and the line that they name."""
        words = words.strip() or "failed without a word"
        number = _LINE.search(words)
        before = text.splitlines()[: int(number[1]) if number else 0]
        rule = before[-1] if before else ""
        table = next((line[1:].strip() for line in reversed(before) if line.startswith("*")), "")
        return cls("\n".join(filter(None, (f"{tool}: {words}", rule))), rule, table)


@dataclass(frozen=True, slots=True)
class Loading:
    """A ruleset that is being loaded."""

    tool: str
    text: str
    running: process.Running

    def finish(self) -> None:
        """Wait until it is in; raises RulesetError."""
        done = self.running.finish()
        if done.code != 0:
            raise RulesetError.explained(self.tool, done.errors or done.output, self.text)

    def cancel(self) -> None:
        """Stop it."""
        self.running.kill()


def in_pieces(text: str) -> str:
    """The same ruleset with a COMMIT after every few rules.

    A transaction is one message, and only root of the machine may send a large one (SO_SNDBUFFORCE); a
    user namespace gets EMSGSIZE from some hundred rules on.
    """
    lines: list[str] = []
    table, rules = "", 0
    for line in text.splitlines():
        if line.startswith("*"):
            table, rules = line, 0
        elif line.startswith("-A"):
            rules += 1
            if rules > _PIECE:
                lines += "COMMIT", table
                rules = 1
        lines.append(line)
    return "".join(line + "\n" for line in lines)


def into_nothing(text: str) -> str:
    """A ruleset with the same effect if none of its tables exists yet, but without delays.

    For a chain's policy, iptables-restore creates the chain and then changes it. The kernel frees the old
    version after an RCU grace period, for which each netlink socket that closes has to wait: about 13 ms, at
    least twice per run (nft_rcv_nl_event, net/netfilter/nf_tables_api.c). ``-F`` also creates the chain, with
    the policy ACCEPT. Tables with another policy come last, so that only the end waits.
    """
    accepting: list[str] = []
    others: list[str] = []
    table, waits = "", False
    for line in text.splitlines():
        if line.startswith(":"):
            chain, policy = line[1:].split()[:2]
            if policy == "ACCEPT":
                line = f"-F {chain}"
            waits |= policy == "DROP"
        table += line + "\n"
        if line == "COMMIT":
            (others if waits else accepting).append(table)
            table, waits = "", False
    return "".join(accepting + others)


def start_iptables(family: Family, text: str, *, fresh: bool = False) -> Loading:
    """Start loading the output of ``iptables-save``; tables that it does not contain stay unchanged.

    ``fresh``: none of its tables exists.
    """
    tool = f"{family.iptables}-restore"
    _demand_nf_tables(tool)
    sysctl.demand_br_netfilter(text)
    if fresh:
        text = into_nothing(text)
    if not userns.initial():
        text = in_pieces(text)
    return Loading(tool, text, process.start([tool, "--noflush"], text.encode()))


def _includes(text: str) -> bool:
    """Whether a text of nft's reads another file: the word ``include`` outside of quotes and comments."""
    if "include" not in text:
        return False
    return "include" in _WORD.findall(_QUOTED.sub('""', text))


def start_nft(text: str) -> Loading:
    """Begin to load nft's own text, which netlab has made; raises RulesetError if it would read a file.

    A name from a scenario that ended a word of it could make nft read one, with netlab's privileges.
    """
    if _includes(text):
        raise RulesetError("nft: rules that netlab makes include no file: a name in them has a quote")
    return Loading("nft", text, process.start(["nft", "-f", "-"], text.encode()))


def load_iptables(family: Family, text: str) -> None:
    """Load the text of ``iptables-save``; raises LabError, MachineError."""
    start_iptables(family, text).finish()


def load_nft(text: str) -> None:
    """Load nft's own text in one transaction; raises LabError, MachineError."""
    start_nft(text).finish()


def _read(argv: list[str]) -> str:
    done = process.run(argv)
    if done.code != 0:
        raise LabError(f"{' '.join(argv)}: {done.errors.strip()}")
    return done.output


def save(family: Family, *, counters: bool = False) -> str:
    """What ``iptables-save`` (or ip6tables-save) prints; raises LabError, MachineError."""
    tool = f"{family.iptables}-save"
    _demand_nf_tables(tool)
    return _read([tool, *(["-c"] if counters else [])])


def list_nft(*, handles: bool = False) -> str:
    """What ``nft list ruleset`` prints; raises LabError, MachineError."""
    return _read(["nft", *(["-a"] if handles else []), "list", "ruleset"])
