"""A machine that lacks something: a clear error, its exit code, and nothing left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Scale, borrowed
from .traces import names, processes

ROOT = Path(__file__).parents[2]
SEED = ROOT / "scenarios" / "httpd.yaml"
NATIVE = ROOT / "scenarios" / "nftables-accept.yaml"
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
until = borrowed("lab/test_lab_kill.py").until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="what a machine has is root's to hide")


def netlab_argv(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "netlab", *map(str, words)]


def apart(state: Path, commands: list[list[str]], **lacking: object) -> list[tuple[int, str, str]]:
    """Run commands where something is missing, with a state directory of their own."""
    wanted = json.dumps({**lacking, "commands": commands})
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "apart.py"), wanted],
        cwd=ROOT,
        env={**os.environ, "NETLAB_STATE": str(state), "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=True,
    )
    answers = [(code, out, err) for code, out, err in json.loads(done.stdout)]
    for code, _, err in answers:
        assert "Traceback" not in err, err
        assert not code or err.strip(), "a failure without a word"
    until(lambda: not processes(state), "every process is gone")
    assert list(names(state)) == []
    return answers


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "labs"
    folder.mkdir(mode=0o755)
    return folder


def up_probe_down(name: str, file: Path = SEED) -> list[list[str]]:
    return [
        netlab_argv("up", "-q", file, "--name", name),
        netlab_argv("probe", "--json", name, "client -> host:80"),
        netlab_argv("down", name),
        netlab_argv("ls"),
    ]


def program(name: str) -> str:
    """The file behind a program's links."""
    return os.path.realpath(f"/usr/sbin/{name}")


@pytest.mark.parametrize(
    ("missing", "file"),
    [("nft", NATIVE), ("iptables", SEED), ("iptables-restore", SEED), ("ip6tables", SEED)],
)
def test_a_tool_is_missing(missing: str, file: Path, state: Path) -> None:
    answers = apart(state, up_probe_down("t-lacking", file), hide=[program(missing)])
    code, _, err = answers[0]
    if code == 0:  # it was not needed, and says so by working
        assert answers[1][0] == 0
    else:
        assert code == 4, err
        assert "apt-get install" in err or "is not on this machine" in err, err
    assert answers[2][0] == 0


def test_legacy_iptables_in_its_place(state: Path) -> None:
    """iptables that writes to the old tables, whose rules no trace shows: refused, with the cure."""
    tools = [f"{tool}{what}" for tool in ("iptables", "ip6tables") for what in ("", "-restore", "-save")]
    links = {tool: f"/usr/sbin/{tool.replace('tables', 'tables-legacy', 1)}" for tool in tools}
    answers = apart(state, up_probe_down("t-legacy"), links=[["/etc/alternatives", links]])
    code, _, err = answers[0]
    assert code == 4, err
    assert "legacy" in err, err


def test_the_disk_is_full(state: Path, scale: Scale, figure: Callable[[str], None]) -> None:
    """A state directory of so many pages or files: up works, or says that there is no space."""
    told = {"worked": 0, "failed": 0}
    sizes = [f"size={4 * n}k" for n in range(1, 40, scale(13, 1))]
    sizes += [f"nr_inodes={n}" for n in range(2, 16, scale(5, 1))]
    for number, options in enumerate(sizes):
        name = f"t-full{number}"
        answers = apart(state, up_probe_down(name), tmpfs=[[str(state), f"{options},mode=755"]])
        code, _, err = answers[0]
        if code == 0:
            told["worked"] += 1
            assert [json.loads(line)["outcome"] for line in answers[1][1].splitlines()] == ["ok", "ok"]
        else:
            told["failed"] += 1
            assert code in (1, 4), err
            assert "No space left" in err or "space" in err, err
        assert answers[2][0] == answers[3][0] == 0, answers[2:]
    assert told["failed"]
    assert told["worked"]
    figure(f"{len(sizes)} full disks: {told['worked']} ups worked, {told['failed']} said no space, 0 left")


def test_no_descriptors(state: Path, scale: Scale, figure: Callable[[str], None]) -> None:
    """So few descriptors for the command line (root's supervisor gets its own): works, or says which."""
    told = {"worked": 0, "failed": 0}
    for limit in range(6, 126, scale(17, 4)):
        few = ["prlimit", f"--nofile={limit}:{limit}"]
        name = f"t-fds{limit}"
        commands = [[*few, *command] for command in up_probe_down(name)[:2]] + up_probe_down(name)[2:]
        answers = apart(state, commands)
        told["failed" if answers[0][0] else "worked"] += 1
        if answers[0][0]:
            assert answers[0][0] in (1, 4), answers[0]
        assert answers[2][0] == answers[3][0] == 0, answers[2:]
    figure(
        f"{sum(told.values())} limits of descriptors: {told['worked']} ups worked, {told['failed']} said why"
    )


@pytest.mark.parametrize("jump", ["+3650d", "-3650d", "-1h"])
def test_the_clock_jumps(state: Path, jump: str) -> None:
    """The lab is brought up at one time, and asked and ended at another, years away."""
    if not FAKETIME.exists():
        pytest.fail("libfaketime is not installed: ./install --dev")
    fake = ["env", f"LD_PRELOAD={FAKETIME}", "FAKETIME_DONT_FAKE_MONOTONIC=1"]
    up, probe, down, ls = up_probe_down("t-clock")
    answers = apart(
        state,
        [
            up,
            [*fake, f"FAKETIME={jump}", *probe],
            [*fake, f"FAKETIME={jump}", *ls],
            probe,
            down,
            [*fake, f"FAKETIME={jump}", *up],
            probe,
            [*fake, "FAKETIME=+1d", *down],
        ],
    )
    assert [code for code, _, _ in answers] == [0] * len(answers), answers
    for at in (1, 3, 6):
        assert [json.loads(line)["outcome"] for line in answers[at][1].splitlines()] == ["ok", "ok"]
