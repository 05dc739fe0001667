"""For test suites: the pytest plugin, words to compare a journey with, and a lab without a kernel.

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
    from netlab.testing.fake import FakeLab

__all__ = ["Expected", "FakeLab"]

_WHERE = {"Expected": "netlab.testing.expected", "FakeLab": "netlab.testing.fake"}


def __getattr__(name: str) -> object:
    """Import a public name at its first use: pytest imports this package at every start."""
    if name not in _WHERE:
        raise AttributeError(f"module 'netlab.testing' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_WHERE[name]), name)
