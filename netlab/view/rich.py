"""What netlab draws with, of the library rich, imported at the first use: JSON needs none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.first_use import at_first_use

if TYPE_CHECKING:
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len, chop_cells
    from rich.console import Console, Group
    from rich.markup import escape
    from rich.segment import Segment
    from rich.table import Table
    from rich.text import Text
    from rich.tree import Tree

__all__ = [
    "SIMPLE_HEAD",
    "Console",
    "Group",
    "Segment",
    "Table",
    "Text",
    "Tree",
    "cell_len",
    "chop_cells",
    "escape",
]

_WHERE = {
    "SIMPLE_HEAD": "rich.box",
    "Console": "rich.console",
    "Group": "rich.console",
    "Segment": "rich.segment",
    "Table": "rich.table",
    "Text": "rich.text",
    "Tree": "rich.tree",
    "cell_len": "rich.cells",
    "chop_cells": "rich.cells",
    "escape": "rich.markup",
}

__getattr__ = at_first_use(__name__, _WHERE)
