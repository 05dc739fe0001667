"""The host's own firewall beside the engine's rules: none, ufw, or rule files."""

from __future__ import annotations

from netlab.firewall.before import prepared

__all__ = ["prepared"]
