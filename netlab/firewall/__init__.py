"""The host's own firewall beside the engine's rules: none, ufw, firewalld, or rule files.

What a name stands for is imported when it is asked for: most hosts have no firewall of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.first_use import at_first_use

if TYPE_CHECKING:
    from netlab.firewall.before import completed, prepared
    from netlab.firewall.real import run_real

__all__ = ["completed", "prepared", "run_real"]

__getattr__ = at_first_use(
    __name__,
    {
        "completed": "netlab.firewall.before",
        "prepared": "netlab.firewall.before",
        "run_real": "netlab.firewall.real",
    },
)
