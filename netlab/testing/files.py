"""Which files of a suite are scenarios that the plugin collects."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def is_named(path: Path, config: pytest.Config) -> bool:
    """Whether the command line names a file itself, not only its folder."""
    folder = config.invocation_params.dir
    return any(folder / str(arg).partition("[")[0].partition("::")[0] == path for arg in config.args)


def _matches(path: Path, config: pytest.Config) -> bool:
    patterns = config.getini("netlab_files")
    if not patterns or not path.is_relative_to(config.rootpath):
        return False
    name = path.relative_to(config.rootpath).as_posix()
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
