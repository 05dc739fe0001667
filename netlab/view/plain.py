"""Print untrusted text on the user's terminal, with netlab's own emphasis."""

from __future__ import annotations

import re

from netlab.model.shown import shown

#: What emphasis the text pictures use.
BOLD, DIM, RESET = "\033[1m", "\033[2m", "\033[0m"

#: Select Graphic Rendition (ECMA-48, 8.3.117): colour and emphasis, and nothing else
_STYLE = re.compile(r"(\x1b\[[0-9;]*m)")


def visible(text: str, *, styles: bool = False) -> str:
    r"""The text with control and invisible characters escaped (``\u001b``): :func:`netlab.model.shown.shown`.

    With ``styles`` colour and emphasis pass, for a stream in colour.
    """
    if not styles or "\033" not in text:
        return shown(text)
    return "".join(part if number % 2 else shown(part) for number, part in enumerate(_STYLE.split(text)))
