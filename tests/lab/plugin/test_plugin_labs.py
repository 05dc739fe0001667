"""The fixture ``lab``: what a test suite sees of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SEED = Path(__file__).parents[3] / "scenarios" / "httpd.yaml"


def test_a_marked_test_has_its_lab(pytester: pytest.Pytester) -> None:
    shutil.copy(SEED, pytester.path)
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.netlab("httpd.yaml")
        def test_page(lab):
            assert "netlab httpd" in lab.exec("client", ["curl", "-s", "http://198.51.100.1/"]).stdout
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
