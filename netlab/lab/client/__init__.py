"""Everything that talks to a lab's supervisor.

``changes`` is imported when it is asked for: bringing a lab up starts no program, and changing one does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.first_use import at_first_use

if TYPE_CHECKING:
    from netlab.lab.client import changes as changes

__getattr__ = at_first_use(__name__, {"changes": "netlab.lab.client.changes"})
