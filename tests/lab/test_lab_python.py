"""``netlab.Lab``: a lab that a program owns."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import netlab
from netlab.lab import state

SEED = Path(__file__).parents[2] / "scenarios" / "httpd.yaml"


def test_a_lab_answers_and_is_gone_afterwards() -> None:
    with netlab.Lab(SEED) as lab:
        assert "peer 198.51.100.2 " in lab.exec("client", ["curl", "-s", "http://198.51.100.1/"]).stdout
        assert lab.plan.node("httpd").kind == "container"
        record = state.read(lab.name)
        assert record is not None
        assert record.ready
        assert record.data["owner"] == os.getpid()
    assert state.read(lab.name) is None
    assert not record.alive
    lab.close()
    with pytest.raises(netlab.LabError, match="is closed"):
        lab.exec("client", ["true"])


def test_options_are_the_command_line_s() -> None:
    with netlab.Lab(SEED, daemon={"userland-proxy": False}) as lab:
        assert "docker-proxy" not in lab.exec("host", ["ss", "-ltnp"]).stdout


def test_two_labs_of_one_file_stand_side_by_side() -> None:
    with netlab.Lab(SEED) as one, netlab.Lab(SEED) as two:
        assert one.name != two.name
        for lab in (one, two):
            assert "netlab httpd" in lab.exec("client", ["curl", "-s", "http://198.51.100.1/"]).stdout


def test_namespaces_are_descriptors_of_every_node() -> None:
    with netlab.Lab(SEED) as lab:
        assert set(lab.namespaces) == {node.name for node in lab.plan.nodes}
        inodes = {os.fstat(fd).st_ino for fd in lab.namespaces.values()}
        assert len(inodes) == len(lab.namespaces)
        assert os.stat("/proc/self/ns/net").st_ino not in inodes


def test_exec_is_subprocess_run() -> None:
    with netlab.Lab(SEED) as lab:
        done = lab.exec("client", ["sh", "-c", "cat; echo oops >&2; exit 4"], input="given")
        assert (done.returncode, done.stdout, done.stderr) == (4, "given", "oops\n")
        with pytest.raises(subprocess.CalledProcessError, match="exit status 1"):
            lab.exec("client", ["false"], check=True)
        with pytest.raises(subprocess.TimeoutExpired):
            lab.exec("client", ["sleep", "600"], timeout=0.05)
        assert lab.exec("client", ["sh", "-c", "kill -9 $$"]).returncode == -9
        with pytest.raises(netlab.UsageError, match="did you mean client"):
            lab.exec("clint", ["true"])
        assert "sleep 600" not in lab.exec("client", ["ps", "ax"]).stdout


def test_any_thread_may_use_it() -> None:
    with netlab.Lab(SEED) as lab, ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda n: lab.exec("client", ["echo", str(n)]).stdout, range(24)))
    assert done == [f"{n}\n" for n in range(24)]


def test_a_threaded_program_can_make_and_close_labs() -> None:
    made: list[netlab.Lab] = []
    thread = threading.Thread(target=lambda: made.append(netlab.Lab(SEED)))
    thread.start()
    thread.join()
    (lab,) = made
    assert lab.exec("client", ["hostname"]).stdout == "client\n"
    closer = threading.Thread(target=lab.close)
    closer.start()
    closer.join()
    assert state.read(lab.name) is None


def test_a_forked_child_may_use_it_but_does_not_own_it() -> None:
    with netlab.Lab(SEED) as lab:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = 0 if lab.exec("client", ["hostname"]).stdout == "client\n" else 2
                lab.close()
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert lab.exec("client", ["hostname"]).stdout == "client\n"


def test_the_lab_ends_with_its_program_however_that_ends() -> None:
    program = (
        "import netlab, os, sys, threading\n"
        f"lab = netlab.Lab({str(SEED)!r})\n"
        "print(lab.name, lab.client.record['pid'], flush=True)\n"
        "threading.Event().wait()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    name, pid = process.stdout.readline().split()
    pidfd = os.pidfd_open(int(pid))
    process.kill()
    process.wait()
    process.stdout.close()
    import select

    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(60_000), "the supervisor outlived its owner"
    os.close(pidfd)
    assert not os.path.exists(f"{state.root()}/{name}")


def test_a_name_that_is_taken_is_refused() -> None:
    with netlab.Lab(SEED) as lab, pytest.raises(netlab.UsageError, match="is already running"):
        netlab.Lab(SEED, name=lab.name)


def test_a_wrong_scenario_leaves_nothing(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("services: [1]\n")
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(netlab.ScenarioError):
        netlab.Lab(wrong)
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_module_runs_in_the_lab_with_descriptors_and_namespaces() -> None:
    with netlab.Lab(SEED) as lab:
        read, write = os.pipe()
        null = os.open(os.devnull, os.O_RDWR)
        with lab.client.start_module(
            "netlab.lab.node.socket_list", nodes=["httpd"], stdio=(null, write, 2), fds=[null]
        ) as process:
            os.close(write)
            with open(read) as file:
                said = file.read()
            assert process.wait(60) == 0
        os.close(null)
        assert '["httpd", "tcp", "::", 80,' in said
        with pytest.raises(netlab.LabError, match="not a netlab module"):
            lab.client.start_module("os", stdio=(0, 1, 2))


def test_a_process_ends_with_its_connection() -> None:
    with netlab.Lab(SEED) as lab:
        process = lab.client.start("client", ["sleep", "601"])
        assert "sleep 601" in lab.exec("client", ["ps", "ax"]).stdout
        process.close()
        process = lab.client.start(
            "client", ["sh", "-c", "while ps ax | grep -q '[s]leep 601'; do sleep 0.01; done"]
        )
        assert process.wait(60) == 0
        process.close()


def test_events_happen_in_a_lab_of_a_program_s_own() -> None:
    # Held open, the old namespace keeps its number from a new one.
    with netlab.Lab(SEED) as lab, open(os.dup(lab.namespaces["httpd"]), "rb") as before:
        client = os.fstat(lab.namespaces["client"]).st_ino
        assert lab.probe("client -> host:80", family=4).outcome == "ok"
        (stopped,) = lab.do("stop httpd")
        assert type(stopped).__name__ == "ContainerStop"
        assert lab.probe("client -> host:80", family=4).outcome == "refused"
        lab.do("start httpd")
        assert lab.do("start httpd") == () or lab.probe("client -> host:80", family=4).outcome == "ok"
        lab.do("restart httpd")
        journey = lab.probe("client -> host:80", family=4)
        assert (journey.path, journey.answered_by) == ("forward", "httpd")
        assert not os.path.samestat(os.fstat(lab.namespaces["httpd"]), os.fstat(before.fileno()))
        assert os.fstat(lab.namespaces["client"]).st_ino == client
        assert "netlab httpd" in lab.exec("client", ["curl", "-s", "http://198.51.100.1/"]).stdout
        with pytest.raises(netlab.ScenarioError, match="there is no container"):
            lab.do("restart htpd")
        with pytest.raises(netlab.ScenarioError, match="did you mean"):
            lab.do("restrat httpd")


def test_nothing_happens_to_a_lab_of_a_plan_alone() -> None:
    with netlab.Lab(SEED) as one, netlab.Lab(plan=one.plan) as lab:
        with pytest.raises(netlab.UsageError, match="built from a plan"):
            lab.do("restart httpd")
        assert lab.probe("client -> host:80", family=4).outcome == "ok"


def test_a_lab_that_was_changed_can_be_verified_again() -> None:
    with netlab.Lab(SEED) as lab:
        assert {verdict.word for verdict in lab.verify()} == {"passed"}
        lab.do("stop httpd")
        assert {verdict.word for verdict in lab.verify()} == {"failed"}
        lab.do("start httpd")
        assert {verdict.word for verdict in lab.verify()} == {"passed"}
