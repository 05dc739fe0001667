"""Five thousand connections at once whose clients read late: every byte arrives, memory is bounded."""

from __future__ import annotations

import pytest
from support.proxy_field import Field
from support.slow_readers import CONNECTIONS, descriptors, slow_readers

__all__ = ["descriptors"]


@pytest.mark.timeout(300)
def test_five_thousand_slow_readers(field: Field, descriptors: None) -> None:
    slow_readers(field, CONNECTIONS)
