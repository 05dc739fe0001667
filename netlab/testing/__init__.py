"""For test suites: the pytest plugin, and the words to compare a journey with.

::

    from netlab.testing import Expected

    @pytest.mark.netlab("httpd.yaml")
    def test_page(lab):
        assert lab.probe("client -> host:80", family=4) == Expected("ok forward", sees="client")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netlab.testing.expected import Expected

__all__ = ["Expected"]


def __getattr__(name: str) -> object:
    """Import a public name at its first use: pytest imports this package at every start."""
    if name != "Expected":
        raise AttributeError(f"module 'netlab.testing' has no attribute {name!r}")
    from netlab.testing.expected import Expected

    return Expected
