"""The examples of docs/pytest.md and docs/python.md, run as they stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import netlab

ROOT = Path(__file__).parents[3]
PYTEST = (ROOT / "docs/pytest.md").read_text()
PYTHON = (ROOT / "docs/python.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    """Every example of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_suite_in_the_manual_passes(tmp_path: Path) -> None:
    shutil.copy(ROOT / "scenarios/httpd.yaml", tmp_path)
    shutil.copy(ROOT / "scenarios/udp.yaml", tmp_path)
    files = blocks(PYTEST, "python") + blocks(PYTEST, "ini")
    for text in files:
        (tmp_path / text.splitlines()[0].removeprefix("# ")).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--netlab-require", "-v"],
        cwd=tmp_path, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "httpd.yaml::client -> host:80/tcp[ipv6] PASSED" in done.stdout
    for text in blocks(PYTEST, "python"):
        name = text.splitlines()[0].removeprefix("# ")
        assert f"{name}::" in done.stdout


def test_every_option_is_documented() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--help"], capture_output=True, text=True, check=True
    )
    options = set(re.findall(r"--netlab-[a-z]+", done.stdout))
    settings = set(re.findall(r"^  (netlab_[a-z]+)", done.stdout, re.MULTILINE))
    assert options == set(re.findall(r"--netlab-[a-z]+", PYTEST))
    assert len(options) == 5
    assert settings == set(re.findall(r"`(netlab_[a-z]+)`", PYTEST)) == {"netlab_files", "netlab_capture"}


@pytest.mark.parametrize("number", range(len(blocks(PYTHON, "python"))))
def test_the_programs_in_the_manual_run(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = blocks(PYTHON, "python")[number].replace("/tmp/", f"{tmp_path}/")
    exec(compile(text, "docs/python.md", "exec"), {"netlab": netlab})


def test_every_public_name_is_documented() -> None:
    public = {name for name in dir(netlab.Lab) if not name.startswith("_")} - {"close", "instrument"}
    assert [name for name in sorted(public) if f"`{name}" not in PYTHON] == []
    errors = {name for name in netlab.__all__ if name[0].isupper()} - {"NothingTested"}
    assert [name for name in sorted(errors) if name not in PYTHON] == []
