"""Whoever is killed, whenever: nothing is left but names, and the next command clears those.

A witness is a veth whose other end is in a namespace of the lab: it goes when that namespace goes.
"""

from __future__ import annotations

import json
import os
import select
import signal
from pathlib import Path
from typing import Any

import pytest
from support.witness import PATIENCE, Witness, in_pid_namespace, is_forgotten, pid_namespace, until

SEED = Path(__file__).parents[2] / "scenarios" / "httpd.yaml"
#: How many instants of a bring-up are tried.
INSTANTS = int(os.environ.get("NETLAB_KILLS", "8"))


def test_a_killed_supervisor_leaves_stale_names_only_and_ls_clears_them(
    netlab: Any, witness: Witness
) -> None:
    lab = netlab.up(SEED)
    shell = netlab.start("exec", f"{lab}.client", "--", "sleep", "600")
    pid = netlab.record(lab)["pid"]
    inode = pid_namespace(pid)
    until(lambda: len(in_pid_namespace(inode)) == 4, "supervisor, proxy, responder and sleep run")
    ends = [witness.watch(f"{lab}.{node}") for node in ("host", "client", "httpd")]
    os.kill(pid, signal.SIGKILL)
    until(lambda: not in_pid_namespace(inode), "no process of the lab is left")
    for end in ends:
        until(lambda end=end: not witness.sees(end), "the lab's namespaces are gone")
    assert shell.wait(timeout=PATIENCE) == 128 + signal.SIGKILL
    shell.communicate()
    names = [name for name in os.listdir("/run/netns") if name.startswith(f"{lab}.")]
    assert len(names) == 4
    assert not any(os.path.exists(f"/run/netns/{name}") for name in names)
    listed = netlab("clean", "--dry-run").stdout.splitlines()
    assert {f"/run/netns/{name}" for name in names} <= set(listed)
    assert lab not in netlab("ls").stdout
    assert not any(os.path.lexists(f"/run/netns/{name}") for name in names)
    assert netlab("clean").stderr == "nothing to remove\n"


def test_an_ordinary_user_s_killed_supervisor_leaves_no_process(anyones: Any) -> None:
    lab = anyones.up(SEED)
    pid = anyones.record(lab)["pid"]
    inode = pid_namespace(pid)
    assert len(in_pid_namespace(inode)) == 3
    os.kill(pid, signal.SIGKILL)
    until(lambda: not in_pid_namespace(inode), "no process of the lab is left")
    assert anyones("clean").stderr.startswith("removed ")


def test_down_leaves_no_namespace(netlab: Any, witness: Witness) -> None:
    lab = netlab.up(SEED)
    ends = [witness.watch(f"{lab}.{node}") for node in ("host", "client", "httpd")]
    netlab("down", lab)
    for end in ends:
        until(lambda end=end: not witness.sees(end), "the lab's namespaces are gone")


@pytest.mark.parametrize("number", range(INSTANTS))
@pytest.mark.parametrize("victim", ["owner", "supervisor", "builder"])
def test_a_kill_during_up_leaves_nothing(netlab: Any, victim: str, number: int) -> None:
    """Killed when so much of the lab is there: from its record to the last process."""
    lab = netlab.name()
    process = netlab.start("up", SEED, "--name", lab)
    record = netlab.state / "labs" / lab / "lab.json"
    until(lambda: record.exists() or process.poll() is not None, "the supervisor has the lab's name")
    try:
        pid = json.loads(record.read_text())["pid"]
        inode = pid_namespace(pid)
    except (FileNotFoundError, ProcessLookupError):
        pytest.fail(f"up ended before anybody could be killed: {process.communicate()}")
    select.select([], [], [], number * 0.012)
    kill(victim, process.pid, pid, inode)
    _, err = process.communicate(timeout=PATIENCE)
    if process.returncode not in (0, -signal.SIGKILL):
        assert process.returncode == 1
        assert err.startswith("netlab: "), err
    until(lambda: committed(record) or not in_pid_namespace(inode), "the lab stands, or is gone")
    if committed(record):  # it stood before the signal came
        netlab("down", lab)
    until(lambda: not in_pid_namespace(inode), "no process of the lab is left")
    netlab("ls")
    assert not record.parent.exists()
    if os.path.isdir("/run/netns"):
        assert not [name for name in os.listdir("/run/netns") if name.startswith(f"{lab}.")]


def committed(record: Path) -> bool:
    """Whether a lab was let go by its owner, and its supervisor lives."""
    try:
        data = json.loads(record.read_text())
    except FileNotFoundError:
        return False
    try:
        return bool(data["ready"]) and not is_forgotten(str(data["pid"]))
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill(victim: str, owner: int, supervisor: int, inode: int) -> None:
    if victim == "owner":
        os.kill(owner, signal.SIGKILL)
    elif victim == "supervisor":
        os.kill(supervisor, signal.SIGKILL)
    else:
        for pid in in_pid_namespace(inode):
            if pid != supervisor:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                return


def test_an_interrupted_up_cleans_up_and_says_130(netlab: Any) -> None:
    lab = netlab.name()
    process = netlab.start("up", SEED, "--name", lab)
    record = netlab.state / "labs" / lab / "lab.json"
    until(record.exists, "the lab is being built")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode in (130, 0)
    if process.returncode == 130:
        assert not record.parent.exists()


@pytest.mark.parametrize("verb", ["report", "demo"])
def test_a_kill_of_a_verb_that_builds_its_own_lab_leaves_nothing(
    anyones: Any, verb: str, tmp_path: Path
) -> None:
    """SIGKILL of the command line while its lab is up: the lab goes, and no file is half written."""
    file = tmp_path / "report.html"
    arguments = ["report", SEED, "-o", file] if verb == "report" else ["demo", "4", "--auto"]
    process = anyones.start(*arguments)
    labs = anyones.state / "labs"
    until(lambda: any(_is_ready(record) for record in labs.glob("*/lab.json")), "a lab is up")
    (record,) = labs.glob("*/lab.json")
    inode = pid_namespace(json.loads(record.read_text())["pid"])
    process.kill()
    process.communicate()
    until(lambda: not in_pid_namespace(inode), "no process of the lab is left")
    assert not file.exists()
    assert len(anyones("ls").stdout.splitlines()) == 1  # the head of the table
    anyones("clean")
    assert not any(labs.glob("*"))


def _is_ready(record: Path) -> bool:
    try:
        return bool(json.loads(record.read_text())["ready"])
    except (OSError, ValueError, KeyError):
        return False  # it is being written
