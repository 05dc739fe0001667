"""The pytest plugin: labs as fixtures, scenario files as tests.

pytest imports this module in every project of the environment that it is installed in: it imports nothing
but pytest, everything else is imported by the first test that has to do with a lab.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.lab.owned import Lab


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "netlab(file, **options): the scenario of the fixture `lab`")


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The lab of the test's ``netlab`` marker."""
    from netlab.lab.owned import Lab

    marker = request.node.get_closest_marker("netlab")
    if marker is None:
        raise pytest.UsageError(f"{request.node.nodeid} asks for lab, and has no netlab marker")
    with Lab(request.path.parent / marker.args[0], **marker.kwargs) as found:
        yield found
