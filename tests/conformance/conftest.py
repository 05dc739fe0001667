"""``pytest tests/conformance``: the helpers are the package ``groundtruth`` in this folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of this folder."""
    group = parser.getgroup("conformance")
    group.addoption(
        "--conformance-report",
        metavar="FILE",
        type=Path,
        help="write the results as a page (docs/conformance.md)",
    )
    group.addoption(
        "--conformance-results",
        metavar="FILE",
        type=Path,
        help="add the results to those in FILE, and make the page of all: daemon by daemon, or what was mended",
    )
    group.addoption(
        "--conformance-engine",
        metavar="ENGINE",
        action="append",
        help="only this engine's daemon; repeatable",
    )
    group.addoption(
        "--conformance-all",
        action="store_true",
        help="every daemon that is there, not only the machine's own",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin, once the folder can be imported from."""
    from groundtruth.plugin import Conformance
    from groundtruth.source import engines

    config.pluginmanager.register(Conformance(config, engines()), "netlab-conformance")
