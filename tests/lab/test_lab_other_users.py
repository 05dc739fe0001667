"""Two users of one machine: neither gets at the other's labs, descriptors or environment, by any verb."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from netlab.cli.main import VERBS
from netlab.lab import folder
from netlab.model.errors import MachineError

VICTIM, ATTACKER = 64331, 64332
SEED = Path(__file__).parents[2] / "scenarios" / "httpd.yaml"

#: What each verb is asked of a lab; None: it has nothing to do with a lab that stands.
WORDS: dict[str, tuple[str, ...] | None] = {
    "up": ("FILE", "--name", "LAB"),
    "down": ("LAB",),
    "ls": (),
    "status": ("LAB",),
    "exec": ("LAB.client", "--", "true"),
    "shell": ("LAB", "--shell", "/bin/true"),
    "rules": ("LAB.host",),
    "sockets": ("LAB.host",),
    "do": ("LAB", "restart httpd"),
    "probe": ("LAB", "client -> host:80"),
    "trace": ("LAB", "--count", "1"),
    "verify": None,
    "matrix": ("LAB",),
    "diff": ("LAB", "FILE"),
    "explain": ("LAB", "client -> host:80"),
    "capture": ("LAB", "-w", "/dev/null", "--count", "1"),
    "gallery": None,
    "engines": None,
    "init": None,
    "plan": None,
    "graph": ("LAB",),
    "report": ("LAB", "-o", "/dev/null"),
    "serve": ("LAB",),
    "exposure": ("LAB",),
    "bench": ("LAB", "--seconds", "1", "--rounds", "1"),
    "collect": None,
    "twin": None,
    "drift": None,
    "doctor": (),
    "demo": None,
    "clean": (),
    "completion": None,
}
#: Verbs that do not connect to a lab that stands; bench measures a copy.
OFF_LINE = ("ls", "clean", "doctor", "graph", "bench")

#: Looks like a supervisor with a lab that is up, and writes down whoever talks to it.
IMPOSTOR = """
import fcntl, json, os, socket, struct, sys
place = sys.argv[1]
os.makedirs(place, exist_ok=True)
os.chdir(place)
open("lab.json", "w").write(json.dumps({"name": os.path.basename(place), "pid": os.getpid(), "ready": True}))
lock = open("supervisor.lock", "w")
fcntl.fcntl(lock, fcntl.F_OFD_SETLK, struct.pack("@hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
server = socket.socket(socket.AF_UNIX)
server.bind("control")
os.chmod("control", 0o666)
server.listen()
print("ready", flush=True)
while True:
    found, _ = server.accept()
    data, fds, _, _ = socket.recv_fds(found, 65536, 10)
    if data or fds:
        print("got", len(data), len(fds), flush=True)
    found.close()
"""


@pytest.fixture(autouse=True)
def needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("one user cannot be two: the tests of root are these")


def test_no_verb_is_forgotten() -> None:
    assert set(WORDS) == set(VERBS)


@dataclass
class Impostor:
    """A process of the attacker's; ``place`` is the folder of its lab."""

    place: Path
    process: subprocess.Popen[str]

    def got(self) -> str:
        """End it; what it was sent."""
        self.process.kill()
        return self.process.communicate()[0]


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory like /tmp, with a folder of the attacker's in it."""
    made = Path(tempfile.mkdtemp(prefix="netlab-test-"))
    made.chmod(0o1777)
    own = made / "attacker"
    own.mkdir(0o755)
    os.chown(own, ATTACKER, ATTACKER)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def impostor(shared: Path) -> Iterator[Callable[[Path], Impostor]]:
    started: list[Impostor] = []

    def start(place: Path) -> Impostor:
        process = subprocess.Popen(
            [sys.executable, "-c", IMPOSTOR, str(place)],
            stdout=subprocess.PIPE, text=True, user=ATTACKER, group=ATTACKER, extra_groups=[],
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        started.append(Impostor(place, process))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


def run(uid: int, state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "netlab", *words],
        env={"PATH": os.environ["PATH"], "NETLAB_STATE": str(state), "TERM": "dumb", "SECRET": "x"},
        cwd=SEED.parents[1], user=uid, group=uid, extra_groups=[],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip


def refused(command: tuple[str, ...]) -> int:
    """The exit code of a verb that may not use the state folder; exec's other codes are the command's."""
    return 125 if command[0] == "exec" else 4


def commands(lab: str) -> Iterator[tuple[str, ...]]:
    """Every verb that looks at labs, as somebody types it."""
    for verb, words in WORDS.items():
        if words is not None:
            yield verb, *(word.replace("LAB", lab).replace("FILE", str(SEED)) for word in words)


@pytest.mark.parametrize("squatted", ["folder", "link", "open to all", "above"])
def test_a_folder_that_another_user_made_is_refused_by_every_verb(
    shared: Path, impostor: Callable[[Path], Impostor], squatted: str
) -> None:
    state = shared / "netlab-1"
    if squatted == "link":
        its = impostor(shared / "attacker" / "state" / "evil")
        os.symlink(shared / "attacker" / "state", state)
        os.chown(state, ATTACKER, ATTACKER, follow_symlinks=False)
    elif squatted == "above":
        state = shared / "attacker" / "state"
        its = impostor(state / "evil")
    else:
        its = impostor(state / "evil")
        if squatted == "open to all":
            os.chown(state, VICTIM, VICTIM)  # as if it had been made with a lax umask
            state.chmod(0o777)
    few = ("ls", "status", "up") if squatted in ("open to all", "above") else WORDS
    for command in commands("evil"):
        if command[0] not in few:
            continue
        done = run(VICTIM, state, *command)
        assert done.returncode == refused(command), (command, done.stdout, done.stderr)
        assert str(state) in done.stdout + done.stderr
        assert "evil" not in done.stdout
    assert "evil" not in run(VICTIM, state, "completion", "--words", "status", "").stdout
    program = "import netlab; netlab.Lab('scenarios/httpd.yaml', name='evil')"
    python = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], "NETLAB_STATE": str(state)},
        cwd=SEED.parents[1], user=VICTIM, group=VICTIM, extra_groups=[],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "MachineError" in python.stderr
    assert its.got() == ""
    assert (its.place / "lab.json").exists()


@pytest.mark.parametrize("planted", ["socket", "link"])
def test_a_socket_in_the_victims_folder_gets_nothing(
    shared: Path, impostor: Callable[[Path], Impostor], planted: str
) -> None:
    state = shared / "netlab-1"
    assert run(VICTIM, state, "up", "-q", str(SEED), "--name", "mine").returncode == 0
    control, kept = state / "mine" / "control", state / "mine" / "kept"
    its = impostor(shared / "attacker" / "evil")
    control.rename(kept)
    if planted == "socket":
        (its.place / "control").rename(control)
    else:
        control.symlink_to(its.place / "control")
    for command in commands("mine"):
        if command[0] in OFF_LINE:
            continue
        done = run(VICTIM, state, *command)
        assert done.returncode != 0, (command, done.stdout, done.stderr)
        assert "belongs to another user (uid 64332): nothing was sent to it" in done.stderr, command
    assert its.got() == ""
    control.unlink()
    kept.rename(control)
    assert run(VICTIM, state, "down", "mine").stderr == "down: mine\n"


@pytest.mark.parametrize("uid", [ATTACKER, 0])
def test_a_supervisor_answers_its_own_user_only(shared: Path, uid: int) -> None:
    state = shared / "netlab-1"
    assert run(VICTIM, state, "up", "-q", str(SEED), "--name", "mine").returncode == 0
    for path, mode in ((state, 0o755), (state / "mine", 0o755), (state / "mine" / "control", 0o666)):
        path.chmod(mode)
    program = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.settimeout(60)\n"
        'try: s.send(b\'{"op":"status"}\\n\'); print(len(s.recv(99)))\n'
        "except (BrokenPipeError, ConnectionResetError): print(0)"
    )
    other = subprocess.run(
        [sys.executable, "-c", program, str(state / "mine" / "control")],
        user=uid, group=uid, extra_groups=[], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (other.stdout, other.stderr) == ("0\n", "")
    for command in commands("mine"):
        if uid and command[0] not in ("doctor", "verify"):
            assert run(uid, state, *command).returncode == refused(command), command
    assert "mine" in run(VICTIM, state, "ls").stdout
    assert run(VICTIM, state, "down", "mine").stderr == "down: mine\n"


def test_a_folder_is_never_another_users_however_it_is_swapped(shared: Path) -> None:
    """The attacker puts folders and links in the place, and takes them away, while the victim opens it."""
    place, mine = shared / "netlab-1", shared / "mine"
    mine.mkdir()
    os.chown(mine, VICTIM, VICTIM)
    attacker = as_user(ATTACKER, lambda: swap(place, mine))
    try:
        victim = as_user(VICTIM, lambda: open_often(place))
        _, status = os.waitpid(victim, 0)
    finally:
        os.kill(attacker, signal.SIGKILL)
        os.waitpid(attacker, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def as_user(uid: int, work: Callable[[], Any]) -> int:
    """Fork a child of another user that runs ``work``; its PID. It exits with 1 where that raises."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        work()
        code = 0
    finally:
        os._exit(code)


def swap(place: Path, mine: Path) -> None:
    while True:
        try:
            os.mkdir(place)
            os.rmdir(place)
            os.symlink(mine, place)
            os.unlink(place)
        except FileExistsError:  # the victim's own is there: nothing more can be done
            signal.pause()


def open_often(place: Path) -> None:
    refused = 0
    for number in range(4000):
        try:
            fd = folder.open_root(str(place), make=number > 3990)
        except (FileNotFoundError, MachineError):
            refused += 1
            continue
        found = os.fstat(fd)
        assert found.st_uid == VICTIM
        assert not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        assert os.readlink(f"/proc/self/fd/{fd}") == str(place)
        os.close(fd)
    assert refused > 1000
