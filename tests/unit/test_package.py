"""The wheel: everything of the package and the gallery is in it, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import netlab

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_the_whole_package(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    there = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "netlab").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    scenarios = (path for path in (ROOT / "scenarios").rglob("*") if path.is_file())
    there |= {f"netlab/gallery/{path.relative_to(ROOT / 'scenarios')}" for path in scenarios}
    assert packed == there
    assert {"netlab/py.typed", "netlab/cli/main.py"} <= packed


def test_the_version_is_said_once_more_and_the_same() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == netlab.__version__


def test_what_is_installed_has_one_tested_version_that_the_project_allows() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {
        canonicalize_name(name): version
        for name, same, version in (line.partition("==") for line in lines if not line.startswith("#"))
        if same
    }
    assert len(pinned) == sum(not line.startswith("#") for line in lines)
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = (
        whole["project"]["dependencies"],
        whole["build-system"]["requires"],
        *whole["dependency-groups"].values(),
    )
    wanted = [Requirement(text) for group in groups for text in group if isinstance(text, str)]
    assert len(wanted) > 10
    for one in wanted:
        assert pinned[canonicalize_name(one.name)] in one.specifier, one
