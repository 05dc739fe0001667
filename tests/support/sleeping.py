"""What the workers of a cluster do in tests instead of labs."""

from __future__ import annotations

import select


def wait(number: int, seconds: float) -> int:
    """Wait; the number."""
    select.select([], [], [], seconds)
    return number
