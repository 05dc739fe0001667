"""The tables of ``nft list ruleset``, one by one."""

from __future__ import annotations

import re

_TABLE = re.compile(r"^table (?P<family>[a-z0-9]+) (?P<name>\S+) \{.*?^\}[^\S\n]*$", re.MULTILINE | re.DOTALL)


def listed_tables(text: str) -> dict[tuple[str, str], str]:
    r"""The text of each table by family and name, in order.

    nft writes a table's braces at the beginning of a line, and everything within them indented. What stands
    between tables (nft's own warnings, definitions) is left out.

    >>> list(listed_tables("table ip nat {\\n}\\ntable inet mine {\\n\\tchain c {\\n\\t}\\n}\\n"))
    [('ip', 'nat'), ('inet', 'mine')]
    """
    return {(one["family"], one["name"]): f"{one[0]}\n" for one in _TABLE.finditer(text)}
