"""What is on disk: roots, records, locks, and clearing what a killed lab left."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from netlab.lab import state
from netlab.model.errors import LabError, MachineError


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NETLAB_STATE", str(tmp_path / "labs"))
    monkeypatch.setattr(state, "NETNS_DIR", str(tmp_path / "netns"))
    (tmp_path / "netns").mkdir()
    return tmp_path


def dead_lab(name: str) -> Path:
    """A lab whose supervisor is gone; its PID is another process's by now."""
    folder = Path(state.ensure_root(), name)
    folder.mkdir()
    state.write(str(folder), {"name": name, "pid": os.getpid(), "ready": True})
    for file in ("control", "plan.json", "log"):
        (folder / file).touch()
    (folder / "private").mkdir()
    return folder


def test_a_reused_pid_is_not_the_supervisor() -> None:
    dead_lab("gone")
    record = state.read("gone")
    assert record is not None
    assert record.pid == os.getpid()
    assert not record.alive
    assert not record.ready


def test_sweeping_removes_what_is_recorded_and_nothing_else(places: Path) -> None:
    folder = dead_lab("gone")
    ours = places / "netns" / "gone.host"
    ours.symlink_to(f"/proc/{os.getpid()}/root/run/netlab/gone/private/netns/host")
    foreign = [places / "netns" / name for name in ("gone.other", "goner.host", "gone.file")]
    foreign[0].symlink_to("/proc/1/root/x")
    foreign[1].symlink_to(f"/proc/{os.getpid()}/root/x")
    foreign[2].touch()
    record = state.read("gone")
    assert record is not None
    listed = list(state.leftovers(record))
    assert str(ours) in listed
    assert state.sweep("gone") == listed
    assert not folder.exists()
    assert not ours.is_symlink()
    assert all(os.path.lexists(path) for path in foreign)


def test_standing_clears_dead_labs_but_not_one_that_somebody_brings_up() -> None:
    dead_lab("gone")
    dead_lab("busy")
    with state.Lock("busy"):
        assert state.standing() == []
        assert [record.name for record in state.records()] == ["busy"]


def test_the_lock_is_exclusive_and_its_directory_goes_with_it() -> None:
    with state.Lock("one") as lock:
        assert lock.holds()
        with pytest.raises(BlockingIOError):
            state.Lock("one", wait=False)
    assert not os.path.exists(state.lab_dir("one"))


def test_whoever_waited_gets_a_lock_of_the_new_directory() -> None:
    first = state.Lock("one")
    got: list[state.Lock] = []
    waiter = threading.Thread(target=lambda: got.append(state.Lock("one")))
    waiter.start()
    first.release()  # takes the directory along, for which the other may be waiting
    waiter.join()
    assert got[0].holds()
    got[0].release()


def test_a_directory_that_goes_while_its_lock_is_taken_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    path, make = state.lab_dir("one"), os.mkdir

    def gone_again(name: str, mode: int = 0o777) -> None:
        make(name, mode)
        if name != path:
            return
        monkeypatch.setattr(os, "mkdir", make)
        try:
            make(name, mode)
        finally:
            os.rmdir(name)

    state.ensure_root()
    monkeypatch.setattr(os, "mkdir", gone_again)
    with state.Lock("one") as lock:
        assert lock.holds()
        assert os.path.isdir(path)


def test_a_broken_record_is_a_dead_lab() -> None:
    folder = dead_lab("gone")
    (folder / "lab.json").write_text("{")
    record = state.read("gone")
    assert record is not None
    assert not record.alive
    state.sweep("gone")
    assert not folder.exists()


def test_a_root_that_others_may_write_to_is_refused(places: Path) -> None:
    (places / "labs").mkdir()
    (places / "labs").chmod(0o777)
    with pytest.raises(MachineError, match="others may write to it"):
        state.ensure_root()


def test_a_lab_lives_as_long_as_somebody_holds_its_supervisors_lock() -> None:
    folder = dead_lab("one")
    with state.Lock("one") as lock:
        supervisor = lock.supervisor_lock()
        with pytest.raises(LabError, match="the lab one has a supervisor already"):
            lock.supervisor_lock()
        assert state.clear(lock) is None
    passed_on = os.dup(supervisor.fd)
    supervisor.close()
    assert [record.name for record in state.standing()] == ["one"]
    assert state.sweep("one") == []
    os.close(passed_on)
    assert state.standing() == []
    assert not folder.exists()


def test_a_forked_child_holds_no_lock_of_its_parent() -> None:
    dead_lab("one")
    with state.Lock("one") as lock:
        supervisor = lock.supervisor_lock()
        mine, its = socket.socketpair()
        child = os.fork()
        if child == 0:
            its.send(b"born")
            mine.close()
            its.recv(1)
            os._exit(0)
        its.close()
        assert mine.recv(4) == b"born"
        supervisor.close()
    try:
        assert state.sweep("one")  # gets both locks, while the child lives
    finally:
        mine.close()
        os.waitpid(child, 0)


def test_a_lock_that_came_to_nothing_leaves_no_folder() -> None:
    with state.Lock("one") as lock:
        lock.supervisor_lock().close()
    assert not os.path.exists(state.lab_dir("one"))


def test_a_lock_whose_folder_was_replaced_leaves_the_new_one() -> None:
    first = state.Lock("one")
    os.rmdir(first.path)
    with state.Lock("one") as second:
        first.release()
        assert second.holds()
