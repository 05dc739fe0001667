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
    folder = Path(state.root(), name)
    folder.mkdir(parents=True, mode=0o700)
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
    ours.symlink_to(f"/proc/{os.getpid()}/root{folder}/private/netns/host")
    foreign = [places / "netns" / name for name in ("gone.other", "goner.host", "gone.file", "gone.alike")]
    foreign[0].symlink_to("/proc/1/root/x")
    foreign[1].symlink_to(f"/proc/{os.getpid()}/root/x")
    foreign[2].touch()
    foreign[3].symlink_to("/proc/7/root/run/netlab/gone/private/netns/alike")  # of another state directory
    record = state.read("gone")
    assert record is not None
    listed = list(state.leftovers(record))
    assert str(ours) in listed
    assert state.sweep("gone") == listed
    assert not folder.exists()
    assert not ours.is_symlink()
    assert all(os.path.lexists(path) for path in foreign)


def test_names_of_every_supervisor_that_was_killed_go(places: Path) -> None:
    """One was killed while it changed the lab, the next while it built it anew."""
    folder = dead_lab("gone")
    links = [places / "netns" / f"gone.n{number}" for number in range(3)]
    for number, link in enumerate(links):
        link.symlink_to(f"/proc/{4194304 + number}/root{folder}/private/netns/n{number}")
    assert {str(link) for link in links} <= set(state.sweep("gone"))
    assert not any(link.is_symlink() for link in links)


def test_names_alone_are_a_dead_labs_too(places: Path) -> None:
    base = state.root()
    link = places / "netns" / "gone.host"
    link.symlink_to(f"/proc/4194304/root{base}/gone/private/netns/host")
    (places / "netns" / "other.host").symlink_to("/proc/4194304/root/elsewhere/other/private/netns/host")
    (places / "netns" / "mine.host").touch()
    assert [record.name for record in state.dead()] == ["gone"]
    assert str(link) in state.sweep("gone")
    assert not link.is_symlink()
    assert state.dead() == []


def test_what_is_prepared_takes_its_place_at_once_or_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lab.json"
    path.write_bytes(b"old")
    prepared = state.Prepared(str(path), b"{}", room=64)
    assert path.read_bytes() == b"old"
    prepared.rewrite(b'{"new": 1}')
    prepared.commit()
    assert path.read_bytes() == b'{"new": 1}'.ljust(64)
    state.Prepared(str(path), b"never").drop()
    with pytest.raises(FileNotFoundError, match=r"lab\.json"):
        state.Prepared(str(tmp_path / "no/lab.json"), b"x")
    assert sorted(os.listdir(tmp_path)) == ["lab.json", "netns"]


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
    assert not os.path.exists(f"{state.root()}/one")


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
    path, make = f"{state.root()}/one", os.mkdir

    def gone_again(name: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        make(name, mode, dir_fd=dir_fd)
        if name != "one":
            return
        monkeypatch.setattr(os, "mkdir", make)
        try:
            make(name, mode, dir_fd=dir_fd)
        finally:
            os.rmdir(name, dir_fd=dir_fd)

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
        state.records()


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
    assert not os.path.exists(f"{state.root()}/one")


def test_a_lock_whose_folder_was_replaced_leaves_the_new_one() -> None:
    first = state.Lock("one")
    os.rmdir(first.path)
    with state.Lock("one") as second:
        first.release()
        assert second.holds()


def test_who_waits_for_a_lock_judges_the_folder_only_then() -> None:
    """The holder may just be writing the lab's first file under its provisional name."""
    first = state.Lock("one")
    half_written = Path(first.path) / "lab.json.new"
    half_written.touch()
    got: list[state.Lock] = []
    waiter = threading.Thread(target=lambda: got.append(state.Lock("one")))
    waiter.start()
    waiter.join(0.2)
    assert waiter.is_alive(), "it must wait, not refuse"
    half_written.unlink()
    first.release()
    waiter.join(10)
    assert [lock.holds() for lock in got] == [True]
    got[0].release()


def test_what_is_no_lab_s_is_left_alone(places: Path) -> None:
    """As with NETLAB_STATE=/, where every command would have removed /media."""
    root = places / "labs"
    for name in ("empty", "full/private", "full/x"):
        (root / name).mkdir(parents=True, mode=0o700)
    (root / "full" / "log").touch()
    assert state.standing() == []
    assert state.read("full") is None
    with pytest.raises(MachineError, match="holds other files than a lab's"):
        state.Lock("full")
    with state.Lock("empty"):
        assert state.sweep("empty") == []
    left = {str(path.relative_to(root)) for path in root.rglob("*")}
    assert left == {"empty", "full", "full/private", "full/x", "full/log"}
