"""What fails beside others runs once more alone, and nothing else that is wrong does."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.witness import until

RUN_TESTS = Path(__file__).parents[1] / "run_tests.py"
PASSED = "failed beside others, passed alone: "
FAILED = "failed beside others, and alone: "
#: Fails the first time that it is called with a name.
ONCE = """\
import os
from pathlib import Path
import pytest

def once(name):
    flag = Path(__file__).with_name(f"flag-{name}")
    if not flag.exists():
        flag.touch()
        raise AssertionError(f"the first time\\nof {name}")
"""

Toy = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    """Runs a module of tests; the exit code, and the lines that begin with "failed"."""
    (tmp_path / "pytest.ini").touch()

    def run(code: str, *arguments: str) -> tuple[int, list[str]]:
        (tmp_path / "test_other.py").write_text("def test_passes(): pass\n")
        (tmp_path / "test_toy.py").write_text(ONCE + textwrap.dedent(code))
        command = [sys.executable, str(RUN_TESTS), "-p", "xdist", *(arguments or ("-n", "0"))]
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # the others take long to import
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        return done.returncode, [line for line in done.stdout.splitlines() if line.startswith("failed ")]

    return run


def waits_for_a_lock(folder: Path) -> bool:
    """Whether a process waits for the lock of a folder (proc_locks(5): a waiter's line has an arrow)."""
    inode = f":{folder.stat().st_ino} "
    return any("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines())


def test_what_passes_alone_passes_and_is_listed(toy: Toy) -> None:
    """Also with workers; and with parameters that would mean something to a shell or to pytest."""
    names = ["a::b [c]/d", "-k x", "é\n", "'\"\\@", "test_toy.py::test_toy[0]"]
    code, lines = toy(
        f"""
        NAMES = {names!r}

        @pytest.mark.parametrize("name", NAMES)
        def test_toy(name):
            once(NAMES.index(name))
            assert "PYTEST_XDIST_WORKER" not in os.environ
        """,
        "-n",
        "2",
    )
    assert code == 0
    assert len(lines) == len(names)
    assert [line for line in lines if not line.startswith(f"{PASSED}test_toy.py::test_toy[")] == []
    assert all("(AssertionError: the first time)" in line for line in lines)


def test_what_fails_alone_fails(toy: Toy) -> None:
    code, lines = toy(
        """
        def test_fails():
            assert False, "always"

        def test_once():
            once("one")

        def test_is_not_repeated():
            once_more = Path(__file__).with_name("passed")
            once_more.touch(exist_ok=False)
        """
    )
    assert code == 1
    assert [line.split(" (")[0] for line in lines] == [
        f"{FAILED}test_toy.py::test_fails",
        f"{PASSED}test_toy.py::test_once",
    ]
    assert "; alone: AssertionError: always" in lines[0]


def test_a_fixture_that_fails_is_a_test_that_fails(toy: Toy) -> None:
    code, lines = toy(
        """
        @pytest.fixture
        def before():
            once("before")

        @pytest.fixture
        def after():
            yield
            once("after")

        def test_before(before): pass
        def test_after(after): pass
        """
    )
    assert (code, len(lines)) == (0, 2)


def test_a_test_that_is_skipped_alone_did_not_pass(toy: Toy) -> None:
    code, lines = toy(
        """
        def test_skips():
            if Path(__file__).with_name("flag-skips").exists():
                pytest.skip("nothing to see")
            once("skips")
        """
    )
    assert code == 1
    assert [line.split(" (")[0] for line in lines] == [f"{FAILED}test_toy.py::test_skips"]


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("@pytest.mark.parametrize('n', range(6))\ndef test_many(n): once(n)", ()),
        ("def test_once(): once('one')", ("-x",)),
        ("def test_once(): once('one')\ndef test_crash(): os.kill(os.getpid(), 9)", ("-n", "1")),
        ("once('import')", ()),
    ],
    ids=["more-than-five", "cut-short", "a-worker-crashes", "not-collected"],
)
def test_nothing_else_has_a_second_chance(toy: Toy, code: str, arguments: tuple[str, ...]) -> None:
    assert toy(code, *arguments)[0] != 0
    assert toy("def test_passes(): pass", *arguments) == (0, [])


def test_alone_is_after_the_first_runs_of_others(toy: Toy, tmp_path: Path) -> None:
    """What is wrong as long as another run goes on fails here, and passes once that is over."""
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_SH)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(
            toy,
            """
            def test_beside():
                Path(__file__).with_name("began").touch()
                assert Path(__file__).with_name("over").exists()
            """,
        )
        until((tmp_path / "began").exists, "the first run has begun")
        until(lambda: waits_for_a_lock(tmp_path), "the second run waits")
        (tmp_path / "over").touch()
        os.close(other)
        code, lines = running.result()
    assert (code, len(lines)) == (0, 1)


def test_the_exit_code_of_no_test_stays(toy: Toy) -> None:
    assert toy("", "-k", "nothing_of_that_name")[0] == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_report_of_the_first_run_is_kept(toy: Toy, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    assert toy("def test_once(): once('one')", "-n", "0", f"--junitxml={report}")[0] == 0
    assert 'failures="1"' in report.read_text()
