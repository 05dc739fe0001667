"""The host's own firewall beside the engine's rules: none, ufw, firewalld, or rule files."""

from __future__ import annotations

from netlab.firewall.before import completed, prepared

__all__ = ["completed", "prepared"]
