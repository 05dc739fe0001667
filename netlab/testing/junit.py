"""JUnit XML: make an unmeasured flow an ``error``, for which pytest writes a ``failure``."""

from __future__ import annotations

from typing import Any

import pytest


class UnmeasuredAsErrors:
    """Processes every report after pytest's own XML writer (``_pytest.junitxml.LogXML``)."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Rename the element that was just made of this report."""
        if report.when != "call" or not getattr(report, "netlab_unmeasured", False):
            return
        for element in self._writer.node_reporter(report).nodes:
            if element.tag == "failure":
                element.tag = "error"
                self._writer.stats["failure"] -= 1
                self._writer.stats["error"] += 1


def writer_in(config: pytest.Config) -> Any | None:
    """The writer of XML, if this process has one."""
    return next((p for p in config.pluginmanager.get_plugins() if type(p).__name__ == "LogXML"), None)
