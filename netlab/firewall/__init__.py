"""The host's own firewall beside the engine's rules: none, ufw, firewalld, or rule files.

Each function's module is imported at its first use: most hosts have no firewall of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.first_use import at_first_use

if TYPE_CHECKING:
    from netlab.firewall.before import completed, prepared
    from netlab.firewall.own_rules import rule_places
    from netlab.firewall.real import run_real

__all__ = ["completed", "prepared", "rule_places", "run_real"]

__getattr__ = at_first_use(
    __name__,
    {
        "completed": "netlab.firewall.before",
        "rule_places": "netlab.firewall.own_rules",
        "prepared": "netlab.firewall.before",
        "run_real": "netlab.firewall.real",
    },
)
