"""What reads scenarios reads archives of ``netlab collect``, and the folders that ``netlab twin`` makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.collections import RECORDED

from netlab.cli.main import main

WORDS = [
    (["plan"], [], "tmp-web-1"),
    (["graph"], [], "tmp-plain-1"),
    (["probe", "--predict", "-4"], ["client -> host:8080"], "ok, forward"),
    (["explain", "--predict", "-4"], ["client -> host:22"], "Nothing on host listens on 22/tcp"),
    (["matrix", "--predict"], [], "tmp-web-1"),
    (["exposure", "--no-proof", "-4", "--to", "tmp-web-1"], [], "8080"),
    (["diff", "--predict", "--engine", "docker-29-nftables"], [], "flows that close"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The twin of the recorded host."""
    made = tmp_path_factory.mktemp("twins") / "shop"
    assert main(["twin", str(RECORDED), "-o", str(made)]) == 0
    return made


@pytest.mark.parametrize("which", ["archive", "folder"])
@pytest.mark.parametrize(("verb", "more", "says"), WORDS, ids=[words[0] for words, _, _ in WORDS])
def test_a_verb_takes_it(
    folder: Path, capsys: pytest.CaptureFixture[str], which: str, verb: list[str], more: list[str], says: str
) -> None:
    assert main([*verb, str(RECORDED if which == "archive" else folder), *more]) == 0
    assert says in capsys.readouterr().out


def test_what_is_verified_is_called_as_the_command_line_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is: a host expects nothing."""
    assert main(["verify", "--predict", "--json", str(RECORDED)]) == 5
    assert [one["files"] for one in json.loads(capsys.readouterr().out)["scenarios"]] == [[str(RECORDED)]]


def test_a_lab_needs_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    """It goes on when the verb has ended, and is brought up again from its files."""
    assert main(["up", str(RECORDED)]) == 2
    assert "netlab twin" in capsys.readouterr().err
