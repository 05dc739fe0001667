r"""Make untrusted text safe for a terminal, a table, an XML file or a report.

A name, a comment of a rule or the output of a program may contain characters that move the cursor, set the
window's title or fill the clipboard (ECMA-48), change the text direction (Unicode TR 36, 3.6), or are
invisible. They are escaped as in JSON (``\u001b``), so JSON means the same afterwards.
"""

from __future__ import annotations

import re
from functools import cache

#: What is escaped: controls (C0 but tab and newline, DEL, C1), format characters (Cf), line and paragraph
#: separators, surrogates, noncharacters, and all other Default_Ignorable_Code_Points of Unicode, which are
#: invisible. XML 1.0 accepts the rest.
_ESCAPED = (
    "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160"
    "\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0x10000, 0x110000, 0x10000))
    + "]"
)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def shown(text: str) -> str:
    r"""The text with everything escaped that is obeyed or not seen (``\u001b``); newline and tab stay."""
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return _escaped().sub(_escape, text)


@cache
def _escaped() -> re.Pattern[str]:
    """The pattern of :data:`_ESCAPED`: it takes longer to compile than most commands take to print."""
    return re.compile(_ESCAPED)


def shown_in_line(text: str) -> str:
    """:func:`shown` for a part of a line: newline and tab are escaped as well."""
    return shown(text).replace("\n", "\\n").replace("\t", "\\t")
