"""JSON, imported at the first use: `netlab ls` needs it only where there is a lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.first_use import at_first_use

if TYPE_CHECKING:
    from json import dumps, loads

__all__ = ["dumps", "loads"]

__getattr__ = at_first_use(__name__, {"dumps": "json", "loads": "json"})
