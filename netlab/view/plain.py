"""A stranger's text on the user's terminal: control characters are shown, and not obeyed.

A name, a comment of a rule or the words of a program may hold what moves the cursor, sets the window's
title or fills the clipboard (ECMA-48), or turns the direction of what follows (Unicode TR 36, 3.6).
"""

from __future__ import annotations

#: What emphasis the text pictures use; the one thing that :func:`visible` lets pass.
BOLD, DIM, RESET = "\033[1m", "\033[2m", "\033[0m"

#: C0 but tab and newline, DEL and C1, and the embeddings, overrides and isolates of direction
_CONTROLS = {
    code: f"\\u{code:04x}"
    for span in (range(9), range(11, 32), range(127, 160), range(0x202A, 0x202F), range(0x2066, 0x206A))
    for code in span
}


def visible(text: str) -> str:
    r"""The text with each control character as JSON writes it (``\u001b``); so JSON stays what it was."""
    if text.isprintable():
        return text
    shown = text.translate(_CONTROLS)
    if "\\u001b" in shown:
        for own in (BOLD, DIM, RESET):
            shown = shown.replace(own.translate(_CONTROLS), own)
    return shown
