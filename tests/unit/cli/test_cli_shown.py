"""Whatever is written for a person is shown: nothing is obeyed by a terminal, hidden, or refused by XML."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import subprocess
import sys
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.text import Text

from netlab.cli.stream import ShownStream
from netlab.model.shown import shown, shown_in_line
from netlab.view.console import console, print_indented
from netlab.view.plain import BOLD, RESET, visible

SCENARIOS = Path(__file__).parents[3] / "scenarios"
EVERYTHING = "".join(map(chr, range(0x110000)))


def test_no_control_or_invisible_character_is_left_of_all_of_unicode() -> None:
    left = shown(EVERYTHING)
    bad = [c for c in left if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in "\n\t"]
    assert bad == []
    assert [c for c in left if ord(c) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(c) <= 0xFDEF] == []
    assert not {"\u034f", "\u115f", "\u3164", "\ufe0f", "\U000e0141"} & set(left)
    assert "é漢🙂\ufffd" in shown("é漢🙂\ufffd")
    assert not set("\n\t") & set(shown_in_line(EVERYTHING))


def test_xml_takes_what_is_left() -> None:
    root = ElementTree.Element("a", name=shown(EVERYTHING))
    root.text = shown(EVERYTHING)
    assert ElementTree.fromstring(ElementTree.tostring(root, encoding="utf-8")).text == shown(EVERYTHING)


def test_json_means_the_same() -> None:
    for text in (EVERYTHING[:0xD800], "\udc80 \ud800", EVERYTHING[0xE000:]):
        assert json.loads(shown(json.dumps(text, ensure_ascii=False))) == text


def test_styles_pass_only_where_they_are_wanted() -> None:
    text = f"{BOLD}a{RESET}\x1b]0;title\x07\x1b[2J\x1b[8;1mb"
    assert visible(text) == "\\u001b[1ma\\u001b[0m\\u001b]0;title\\u0007\\u001b[2J\\u001b[8;1mb"
    assert visible(text, styles=True) == f"{BOLD}a{RESET}\\u001b]0;title\\u0007\\u001b[2J\x1b[8;1mb"


def test_the_programs_streams_show_whatever_is_written() -> None:
    octets = io.BytesIO()
    stream = ShownStream(io.TextIOWrapper(octets, encoding="ascii"))
    print("a\x1b[31mb\udc80é", file=stream, flush=True)
    assert octets.getvalue() == b"a\\u001b[31mb\\udc80\\xe9\n"


@pytest.mark.parametrize(
    "words",
    [
        ["\x1b[2J"], ["--\x1b[2J"], ["ls", "\x1b[2J"], ["status", "\x1b[2J"], ["up", "\x1b[2J.yaml"],
        ["plan", "x", "--engine", "\x1b[2J"], ["down", "\x1b[2J"], ["explain", "\x1b[2J", "\x1b[2J"],
        ["probe", "a", "\x1b[2J"], ["exec", "\x1b[2J", "true"], ["completion", "\x1b[2J"],
        ["completion", "--words", "\x1b[2J"], ["do", "a", "\x1b[2J"], ["verify", "\udc80\udcff"],
    ],
)  # fmt: skip
def test_an_error_shows_what_was_typed(words: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "netlab", *words],
        env={"NETLAB_STATE": str(tmp_path / "labs")},
        capture_output=True,
        check=False,
    )
    codes = {"completion": 0 if "--words" in words else 2, "down": 0, "exec": 125}
    assert done.returncode == codes.get(words[0], 2)
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "xterm")])
def test_a_terminal_gets_escape_sequences_or_none_and_never_their_text(variable: str, value: str) -> None:
    """NO_COLOR takes all emphasis away, or what is left of it would be escaped as a stranger's."""
    env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm", variable: value}
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "netlab", "plan", "--full", str(SCENARIOS / "httpd.yaml")]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env)
    os.close(slave)
    printed = b""
    with open(master, "rb", buffering=0) as terminal, contextlib.suppress(OSError):  # EIO: it has ended
        while part := terminal.read(1 << 16):
            printed += part
    assert process.wait() == 0
    assert b"published ports" in printed
    assert b"\\u001b" not in printed
    assert (b"\x1b[" in printed) is (value == "xterm")


class Terminal(io.StringIO):
    """What says that it is one."""

    def isatty(self) -> bool:
        return True


def test_what_does_not_fit_in_a_line_is_indented_by_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    for stream, lines in (
        (Terminal(), ["  - one two three four five six seven", "      eight nine ten", "  short"]),
        (io.StringIO(), ["  - one two three four five six seven eight nine ten", "  short"]),
    ):
        out = console(stream)
        print_indented(out, Text("  - one two three four five six seven eight nine ten"))
        print_indented(out, Text("  short"))
        assert stream.getvalue().splitlines() == lines
