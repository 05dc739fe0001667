"""A file for output is never opened through what somebody else has prepared in its place."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from netlab.lab.output_file import open_output
from netlab.model.errors import UsageError


def written(path: str | Path) -> None:
    with open_output(path) as file:
        file.write(b"netlab")


def test_a_new_file_and_an_old_one(tmp_path: Path) -> None:
    file = tmp_path / "new.svg"
    written(file)
    assert file.read_bytes() == b"netlab"
    file.write_text("something longer than that")
    file.chmod(0o600)
    written(file)
    assert file.read_bytes() == b"netlab"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_not_followed(there: bool, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    if there:
        victim.write_text("precious")
    (tmp_path / "out.svg").symlink_to(victim)
    with pytest.raises(UsageError, match="it is a link, and netlab writes through none"):
        written(tmp_path / "out.svg")
    assert victim.exists() is there
    assert not there or victim.read_text() == "precious"


def test_no_part_of_a_relative_path_is_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    elsewhere.mkdir()
    (here / "deep").mkdir(parents=True)
    (here / "out").symlink_to(elsewhere)
    (here / "deep" / "out").symlink_to(elsewhere)
    monkeypatch.chdir(here)
    for path in ("out/a.svg", "./out/a.svg", "deep/../out/a.svg", "deep/out/a.svg"):
        with pytest.raises(UsageError, match="a part of the path is a link"):
            written(path)
    assert list(elsewhere.iterdir()) == []
    written("deep/../a.svg")
    written(elsewhere / "b.svg")
    assert (here / "a.svg").read_bytes() == (elsewhere / "b.svg").read_bytes() == b"netlab"


def test_a_pipe_that_nobody_reads_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="a pipe or a socket that nobody reads"):
        written(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with open_output(tmp_path / "pipe", buffered=False) as file:
            assert os.get_blocking(file.fileno())
            file.write(b"netlab")
            assert os.read(reader, 9) == b"netlab"
    finally:
        os.close(reader)


NOT_WRITABLE = [("folder", "Is a directory"), ("folder/", "Is a directory"), ("none/x", "No such file")]


@pytest.mark.parametrize(("path", "why"), NOT_WRITABLE)
def test_what_cannot_be_written(path: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=f"cannot write {path}: {why}"):
        written(path)


def test_descriptors_of_ones_own(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    written(f"/dev/fd/{writer}")
    assert os.read(reader, 9) == b"netlab"
    os.close(reader)
    os.close(writer)
    written("/dev/null")
