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
        help="add the results to those in FILE, and make the page of all of them",
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
        help="everything with every daemon that is there, not only with the machine's own",
    )
    group.addoption(
        "--conformance-random",
        metavar="N",
        type=int,
        default=0,
        help="also N configurations by the throw of dice, for each daemon (-k random: only those)",
    )
    group.addoption(
        "--conformance-seed",
        metavar="SEED",
        type=int,
        default=1,
        help="the first of their seeds",
    )
    group.addoption(
        "--conformance-make",
        action="store_true",
        help="first bring the daemons of other Debian suites that are not there yet (debootstrap)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin, once the folder can be imported from."""
    from groundtruth.plugin import Conformance
    from groundtruth.source import engines

    config.pluginmanager.register(Conformance(config, engines()), "netlab-conformance")
