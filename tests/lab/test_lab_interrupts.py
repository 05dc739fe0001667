"""Ctrl-C from the first instant of the program to its last, and askers that go before they are answered.

Random instants are tried by tests/torture; here are the instants at which it went wrong, each made to be.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import netlab as package
from netlab.cli.main import INTERRUPTED
from netlab.cli.verbs import VERBS

ROOT = Path(__file__).parents[2]
SEED = ROOT / "scenarios" / "httpd.yaml"
PATIENCE = 60


def run(*argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, **options
    )


def interrupted_already() -> None:
    """SIGINT is blocked and pending, which exec(2) keeps: it came before the interpreter did."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("verb", VERBS)
def test_an_interrupt_before_python_has_begun(verb: str, tmp_path: Path) -> None:
    env = {**os.environ, "NETLAB_STATE": str(tmp_path)}
    done = run(sys.executable, "-m", "netlab", verb, env=env, preexec_fn=interrupted_already)
    assert (done.returncode, done.stdout, done.stderr) == (INTERRUPTED, "", "")
    assert not list(tmp_path.iterdir())


DRIVER = """
import os, select, signal, sys, weakref
from netlab.cli import main as cli
def main(arguments):
    {body}
cli._main = main
cli.script()
"""


def driven(body: str) -> subprocess.CompletedProcess[str]:
    """The program with another body in place of its verbs."""
    return run(sys.executable, "-c", DRIVER.format(body=body.replace("\n", "\n    ")))


def test_an_interrupt_where_python_cannot_raise() -> None:
    """In a weakref's callback it is only printed; Python's own imports have such callbacks."""
    body = """\
class Thing: pass
thing = Thing()
kept = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
del thing
select.select([], [], [], 50)
return 0"""
    done = driven(body)
    assert (done.returncode, done.stderr) == (INTERRUPTED, "")


def test_other_errors_that_python_cannot_raise_are_still_printed() -> None:
    done = driven("class Thing:\n    def __del__(self): raise ValueError(7)\nThing()\nreturn 0")
    assert done.returncode == 0
    assert "ValueError: 7" in done.stderr


def test_an_interrupt_at_the_very_end_has_nothing_to_break_off() -> None:
    body = "import atexit\natexit.register(signal.raise_signal, signal.SIGINT)\nprint('whole')\nreturn 3"
    done = driven(body)
    assert (done.returncode, done.stdout, done.stderr) == (3, "whole\n", "")


def test_what_was_said_before_an_interrupt_is_written() -> None:
    done = driven("print('first')\nraise KeyboardInterrupt")
    assert (done.returncode, done.stdout, done.stderr) == (INTERRUPTED, "first\n", "")


def test_a_bug_has_a_traceback() -> None:
    done = driven("raise LookupError('seven')")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert "LookupError: seven" in done.stderr


@pytest.mark.parametrize("count", [1, 3, 10, 30, 60, 100, 150, 200])
@pytest.mark.parametrize("verb", [("plan", str(SEED)), ("ls",), ("doctor", "--json")])
def test_an_interrupt_while_modules_are_imported(verb: tuple[str, ...], count: int, tmp_path: Path) -> None:
    """At the so-many-eth import of the verb; where it has fewer, it comes to its end."""
    driver = (
        "import signal, sys\n"
        "from netlab.cli import main as cli\n"
        "seen = 0\n"
        "def hook(event, arguments):\n"
        "    global seen\n"
        "    seen += event == 'import'\n"
        f"    if event == 'import' and seen == {count}: signal.raise_signal(signal.SIGINT)\n"
        f"sys.argv[1:] = {list(verb)!r}\n"
        "sys.addaudithook(hook)\n"
        "cli.script()\n"
    )
    done = run(sys.executable, "-c", driver, env={**os.environ, "NETLAB_STATE": str(tmp_path)})
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, INTERRUPTED)
    assert done.returncode == INTERRUPTED or count > 3


@pytest.fixture(scope="module")
def client() -> Any:
    with package.Lab(SEED) as lab:
        yield lab.client


@pytest.mark.parametrize("module", ["capture", "watch", "worker"])
def test_a_helper_whose_asker_has_gone_is_silent(module: str, client: Any) -> None:
    """It would write its traceback to the asker's terminal, as far as it got before it was killed."""
    ours, theirs = socket.socketpair()
    ours.close()
    args, fds = [], [theirs.fileno()]
    if module == "capture":
        args = [json.dumps({"sources": [["host", None]], "most": None})]
        fds = [os.open(os.devnull, os.O_WRONLY), *fds]
    said, words = os.pipe()
    process = client.start_module(
        f"netlab.measure.{module}", args, nodes=["host"], fds=fds, stdio=(0, 1, words)
    )
    for fd in (words, *fds[:-1]):
        os.close(fd)
    theirs.close()
    with open(said) as file:
        assert file.read() == ""
    assert process.wait(PATIENCE) in (0, 1)
    process.close()


# ── what the caller's shell can do to the output ──────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "words", [("--help",), ("ls", "--json"), ("plan", str(SEED)), ("completion", "bash")]
)
def test_output_that_nobody_has_room_for(words: tuple[str, ...], tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "netlab", *words],
            cwd=ROOT,
            env={**os.environ, "NETLAB_STATE": str(tmp_path)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
        )
    assert done.returncode == 4
    assert done.stderr.startswith("netlab: ")
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_stdio_that_is_closed(closed: tuple[int, ...], tmp_path: Path) -> None:
    """Else the first socket would be stdout."""

    def close() -> None:
        for fd in closed:
            os.close(fd)

    env = {**os.environ, "NETLAB_STATE": str(tmp_path)}
    name = f"t-closed-{os.getpid()}-{len(closed)}-{closed[0]}"
    for words in (("up", str(SEED), "--name", name), ("ls", "--json"), ("down", name)):
        done = run(sys.executable, "-m", "netlab", *words, env=env, preexec_fn=close)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        if words[0] == "ls" and 1 not in closed:
            assert [lab["name"] for lab in json.loads(done.stdout)["labs"]] == [name]


@pytest.mark.parametrize(
    "words",
    [("capture", "t-none", "-w"), ("trace", "--pcapng"), ("verify", str(SEED), "-q", "--junit")],
    ids=lambda words: words[0],
)
def test_a_file_that_cannot_be_written(words: tuple[str, ...], anyones: Any, tmp_path: Path) -> None:
    if "t-none" in words:
        lab = anyones.up(SEED)
        words = tuple(lab if word == "t-none" else word for word in words)
    done = anyones(*words, anyones.state / "no" / "where", code=2)
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_a_trace_with_all_that_it_saw(anyones: Any) -> None:
    """Not in the middle of a journey: it is asked to stop, and the rest is still read."""
    lab = anyones.up(SEED)
    process = anyones.start("trace", "--json", lab)
    until_says(process, "tracing")
    anyones("probe", lab, "client -> host:80")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert len([json.loads(line) for line in out.splitlines()]) == 2


def until_says(process: subprocess.Popen[str], word: str) -> None:
    assert process.stderr is not None
    assert any(word in line for line in iter(process.stderr.readline, ""))


def test_too_few_descriptors_say_what_to_raise(anyones: Any, run_limited: Callable[..., Any]) -> None:
    done = run_limited(anyones, 16, "up", SEED, "--name", anyones.name())
    assert done.returncode == 4, done.stderr
    assert "ulimit -" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def run_limited() -> Callable[..., Any]:
    def run(netlab: Any, most: int, *words: Any) -> subprocess.CompletedProcess[str]:
        import resource

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

        process = netlab.start(*words, preexec_fn=limit)
        out, err = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return run
