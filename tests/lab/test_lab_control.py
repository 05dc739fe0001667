"""The control socket: whatever a client sends, the lab answers on, keeps nothing of it and stays."""

from __future__ import annotations

from fuzz import control_fuzz


def test_nonsense_hurts_no_lab() -> None:
    """A taste of `python tests/fuzz/control_fuzz.py 10000`."""
    assert control_fuzz.run(300, 1) == ""
