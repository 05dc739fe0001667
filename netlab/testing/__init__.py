"""For test suites: the pytest plugin, words to compare a journey with, and a lab without a kernel.

::

    from netlab.testing import Expected

    @pytest.mark.netlab("httpd.yaml")
    def test_page(lab):
        assert lab.probe("client -> host:80", family=4) == Expected("ok forward", sees="client")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.first_use import at_first_use

if TYPE_CHECKING:
    from netlab.testing import explain as explain
    from netlab.testing import failing as failing
    from netlab.testing import junit as junit
    from netlab.testing import labs as labs
    from netlab.testing import scenarios as scenarios
    from netlab.testing import variants as variants
    from netlab.testing.expected import Expected
    from netlab.testing.fake import FakeLab

__all__ = ["Expected", "FakeLab"]

#: The public names, and the modules that the plugin needs once a test has to do with a lab.
_WHERE = {"Expected": "netlab.testing.expected", "FakeLab": "netlab.testing.fake"} | {
    name: f"netlab.testing.{name}"
    for name in ("explain", "failing", "junit", "labs", "scenarios", "variants")
}

__getattr__ = at_first_use(__name__, _WHERE)
