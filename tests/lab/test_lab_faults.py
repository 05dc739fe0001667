"""A process of the lab fails at a named point of a change: the lab stands, or says what is changed in part.

The supervisor's interpreter begins with code of the test's (:func:`faulty`), so each fault comes at its point
and at no other time.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.processes import stopped
from support.witness import until

import netlab as package
from netlab.lab import state
from netlab.lab.client import launch
from netlab.model.errors import LabError, MachineError

SEED = Path(__file__).parents[2] / "scenarios" / "httpd.yaml"
#: Seconds: more than a test has.  Whatever waits for such a bound in vain fails its test.
NEVER = 1000.0

Faulty = Callable[..., package.Lab]


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    """Makes labs whose supervisors run ``code`` first; whatever comes of them, nothing is left."""
    made: list[package.Lab] = []
    start = launch._START

    def make(code: str = "") -> package.Lab:
        enter, _, run = start.partition("from netlab.lab.supervisor.supervisor")
        prelude = textwrap.dedent(code).strip()
        text = f"{enter}\nimport os, signal\n{prelude}\nfrom netlab.lab.supervisor.supervisor{run}"
        monkeypatch.setattr(launch, "_START", text)
        made.append(package.Lab(SEED))
        return made[-1]

    monkeypatch.setattr(launch, "PATIENCE", NEVER)
    yield make
    for lab in made:
        name = lab.name
        lab.close()
        assert not os.path.exists(f"{state.root()}/{name}")
        assert not [link for link in state.netns_names() if link.startswith(f"{name}.")]


def process_of(lab: package.Lab, kind: str) -> int:
    """The PID, as we see it, of a process of the lab; 0 if it is gone."""
    inner = next(p["pid"] for p in lab.client.status()["processes"] if p["kind"] == kind)
    space = os.stat(f"/proc/{lab.client.record['pid']}/ns/pid").st_ino
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{name}/ns/pid").st_ino != space:
                continue
            status = Path(f"/proc/{name}/status").read_text()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if status.partition("NSpid:")[2].split("\n")[0].split()[-1] == str(inner):
            return int(name)
    return 0


def warnings_of(lab: package.Lab) -> str:
    record = state.read(lab.name)
    assert record is not None
    return "\n".join(record.data.get("warnings", ()))


def answers(lab: package.Lab) -> bool:
    return lab.probe("client -> host:80", 4).outcome == "ok"


# ── the responder ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_responder_that_is_killed_is_started_again_and_that_is_said(faulty: Faulty) -> None:
    lab = faulty()
    for _ in range(2):
        os.kill(before := process_of(lab, "responder"), signal.SIGKILL)
        while before == process_of(lab, "responder"):
            lab.client.status()
        until(lambda: answers(lab), "the new responder answers")
    assert "the responder was ended by SIGKILL, and was started again" in warnings_of(lab)
    processes = lab.client.status()["processes"]
    assert [p["returncode"] for p in processes] == [None] * len(processes)
    assert "was started again" in Path(lab.client.path, "log").read_text()


def test_a_responder_that_dies_again_and_again_is_not_started_for_ever(faulty: Faulty) -> None:
    lab = faulty(
        """
        import netlab.lab.services.responder as responder
        serve = responder.serve
        began = []
        def mortal(*arguments):
            if os.path.exists(f"{arguments[1]}/netns/mortal"):
                os._exit(3)
            return serve(*arguments)
        responder.serve = mortal
        """
    )
    path = f"/proc/{lab.client.record['pid']}/root{lab.client.path}/private/netns/mortal"
    Path(path).touch()
    os.kill(process_of(lab, "responder"), signal.SIGKILL)
    while "is not started again" not in warnings_of(lab):
        lab.client.status()
    dead = [p for p in lab.client.status()["processes"] if p["returncode"] is not None]
    assert [(p["kind"], p["returncode"]) for p in dead] == [("responder", 3)]
    assert lab.exec("client", ["true"]).returncode == 0


@pytest.mark.parametrize(
    ("fault", "how"),
    [
        ("os._exit(9)", "ended with exit code 9"),
        ("os.kill(os.getpid(), signal.SIGSTOP)", "was stopped"),
        ("signal.pause()", "did not answer within 30 s"),
    ],
    ids=["dies", "stops", "hangs"],
)
def test_a_responder_that_fails_in_the_middle_of_a_change(faulty: Faulty, fault: str, how: str) -> None:
    """The change goes on with another."""
    lab = faulty(
        f"""
        import netlab.lab.supervisor.responding as responding
        import netlab.lab.services.responder as responder
        obey = responder.Responder._obey
        def fail(self, channel):
            {fault}
        responder.Responder._obey = fail
        order, late = responding.Responding.order, responding.Responding._late
        def hurry(self, *arguments):  # the responder of the change has a second, the next one 30
            responding.PATIENCE = 1.0 if "pause" in {fault!r} else {NEVER}
            order(self, *arguments)
        def patient(self):
            responding.PATIENCE = 30.0
            late(self)
        responding.Responding.order, responding.Responding._late = hurry, patient
        """
    )
    lab.do("restart httpd")
    assert f"the responder {how}" in warnings_of(lab)
    assert answers(lab)


def test_a_responder_that_is_stopped_before_a_change(faulty: Faulty) -> None:
    lab = faulty()
    with stopped(process_of(lab, "responder")):
        lab.do("restart httpd")
    assert "the responder was stopped" in warnings_of(lab)
    assert answers(lab)


def test_a_responder_that_dies_before_it_gets_the_change(faulty: Faulty) -> None:
    """A new one that listens where nobody is any more would be of no use: it waits for its orders."""
    lab = faulty(
        """
        from netlab.lab.supervisor.processes import Processes
        leave = Processes.leave
        def lose(self, report):
            os.kill(self.responding._child.pid, signal.SIGKILL)
            leave(self, report)
        Processes.leave = lose
        """
    )
    lab.do("restart httpd")
    assert "SIGKILL" in warnings_of(lab)
    assert answers(lab)


# ── the process that changes the lab, the proxies, the supervisor itself ──────────────────────────────────

DIES, STOPS = "os.kill(os.getpid(), signal.SIGKILL)", "os.kill(os.getpid(), signal.SIGSTOP)"
BUG = "raise RuntimeError('a bug')"


@pytest.mark.parametrize("fault", [DIES, STOPS, BUG])
@pytest.mark.parametrize(
    ("point", "in_part"),
    [
        ("plan_comparison.PlanComparison.leaving", False),
        ("reconcile._Reconcile.run", True),
        ("reconcile._Reconcile._files", True),
        ("plan_comparison.PlanComparison.coming", True),
    ],
)
def test_what_changes_the_lab_fails(faulty: Faulty, fault: str, point: str, in_part: bool) -> None:
    module, kind, method = point.split(".")
    lab = faulty(
        f"""
        import netlab.lab.build.{module} as module
        def fail(self, *arguments):
            {fault}
        module.{kind}.{method} = fail
        """
    )
    with pytest.raises(LabError) as caught:
        lab.do("restart httpd")
    record = state.read(lab.name)
    assert record is not None
    assert record.alive
    assert ("the lab is changed in part" in str(caught.value)) is in_part
    assert bool(record.data.get("broken")) is in_part
    assert ("changed in part" in warnings_of(lab)) is in_part
    if in_part:
        with pytest.raises(LabError, match="`netlab up` builds it anew"):
            lab.do("restart httpd")
    else:
        assert answers(lab)


#: Fails once, as the kernel or a tool may, if ``armed`` exists: what undoes the change runs the same code.
ONCE = """
import netlab.lab.build.{module} as module
from netlab.kernel.netlink.socket import NetlinkError
method = module.{name}
def fail(*arguments):
    if not os.path.exists({armed!r}):
        return method(*arguments)
    os.unlink({armed!r})
    {first}
    raise {error}
module.{name} = fail
"""
REFUSED = "NetlinkError(17, 'host', 'a route')"


def state_of(lab: package.Lab) -> list[str]:
    """Rules, links, addresses, routes and listeners of the lab's nodes, without indexes."""
    commands = {
        "host": ["iptables-save", "ip6tables-save", "ip -br addr", "ip route", "ip -6 route", "ss -Hlntu"],
        "httpd": ["ip -br addr", "ip route", "ip -6 route", "ss -Hlntu"],
        "client": ["ss -Hlntu"],
    }
    texts = (lab.exec(node, command.split()).stdout for node, found in commands.items() for command in found)
    lines = (
        re.sub(r"@if\d+|\[\d+:\d+\]|#.*|fe80::\S+| +$", "", line) for t in texts for line in t.splitlines()
    )
    return sorted(line for line in lines if line and "fe80" not in line)


@pytest.mark.parametrize(
    ("event", "name", "first"),
    [
        ("restart httpd", "reconcile._Reconcile._remove_routes", "method(*arguments)"),
        ("restart httpd", "reconcile.Build.run", "pass"),
        ("restart httpd", "reconcile.Build.run", "method(*arguments)"),
        ("stop httpd", "rule_changes.RuleChanges.apply", "method(*arguments)"),
        ("restart httpd", "reconcile._Reconcile._files", "method(*arguments)"),
        ("restart daemon", "reconcile._Reconcile._files", "method(*arguments)"),
        ("flush firewall", "reconcile._Reconcile._files", "method(*arguments)"),
    ],
)
def test_a_change_that_the_kernel_refuses_midway_is_undone(
    faulty: Faulty, tmp_path: Path, event: str, name: str, first: str
) -> None:
    """The lab is as before: rules, of others too, links, listeners; and the next change is made."""
    module, _, method = name.partition(".")
    armed = tmp_path / "armed"
    lab = faulty(ONCE.format(module=module, name=method, first=first, error=REFUSED, armed=str(armed)))
    lab.exec("host", ["iptables", "-I", "FORWARD", "2", "-s", "203.0.113.7", "-j", "DROP"])
    lab.exec("host", ["iptables", "-t", "nat", "-A", "DOCKER", "-p", "tcp", "-j", "RETURN"])
    before, events = state_of(lab), lab.client._read(state.HISTORY)
    armed.touch()
    with pytest.raises(LabError, match="host: a route: there is one already; the change was undone"):
        lab.do(event)
    assert state_of(lab) == before
    assert answers(lab)
    assert lab.client._read(state.HISTORY) == events
    record = state.read(lab.name)
    assert record is not None
    assert not record.data.get("broken")
    processes = lab.client.status()["processes"]
    assert [p["returncode"] for p in processes] == [None] * len(processes)
    lab.do(event)
    lab.do("restart httpd")
    assert answers(lab)


def test_a_change_that_cannot_be_undone_either(faulty: Faulty) -> None:
    lab = faulty(
        f"""
        import netlab.lab.build.reconcile as reconcile
        from netlab.kernel.netlink.socket import NetlinkError
        def fail(self):
            raise {REFUSED}
        reconcile._Reconcile._names = fail
        """
    )
    with pytest.raises(LabError, match="there is one already; the lab is changed in part"):
        lab.do("restart httpd")
    record = state.read(lab.name)
    assert record is not None
    assert record.data["broken"]


def test_a_bug_in_the_supervisor_fails_the_change_and_no_more(faulty: Faulty) -> None:
    lab = faulty(
        f"""
        from netlab.lab.supervisor.processes import Processes
        def fail(self, report):
            {BUG}
        Processes.join = fail
        """
    )
    with pytest.raises(LabError, match="a bug; the lab is changed in part"):
        lab.do("restart httpd")
    assert lab.exec("client", ["true"]).returncode == 0
    assert "RuntimeError: a bug" in Path(lab.client.path, "log").read_text()


def test_a_supervisor_that_dies_in_a_change_leaves_no_names(faulty: Faulty) -> None:
    lab = faulty(
        """
        from netlab.lab.supervisor.processes import Processes
        def fail(self, report):
            os._exit(9)
        Processes.join = fail
        """
    )
    with pytest.raises(LabError, match="is gone"):
        lab.do("restart httpd")


def test_a_client_that_is_killed_leaves_the_next_one_a_lab_that_is_changed(
    faulty: Faulty, tmp_path: Path
) -> None:
    """The supervisor goes on with the change, and until it is done nobody else gets the lab's lock."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    lab = faulty(
        f"""
        import netlab.lab.build.reconcile as reconcile
        run = reconcile._Reconcile.run
        def wait(self):
            open({str(gate)!r}).close()
            run(self)
        reconcile._Reconcile.run = wait
        """
    )
    client = os.fork()
    if client == 0:
        lab.do("stop httpd")
        os._exit(0)
    opened = os.open(gate, os.O_WRONLY)  # once the change has begun
    os.kill(client, signal.SIGKILL)
    os.waitpid(client, 0)
    with pytest.raises(BlockingIOError):
        state.Lock(lab.name, wait=False)
    os.close(opened)
    gate.unlink()
    gate.touch()
    assert lab.do("start httpd")
    assert answers(lab)


@pytest.mark.parametrize("verb", ["remove", "pairs"])
def test_a_stopped_proxy_holds_up_nobody(faulty: Faulty, verb: str) -> None:
    lab = faulty(f"import netlab.lab.services.proxies as proxies; proxies.ANSWER_TIMEOUT = {NEVER}")
    with stopped(process_of(lab, "docker-proxy")):
        if verb == "pairs":
            with pytest.raises(LabError, match="it is stopped"):
                lab.client.pairs("host")
        else:
            with pytest.raises(LabError, match=r"docker-proxy .* does not answer: it is stopped"):
                lab.do("stop httpd")
        assert lab.exec("client", ["true"]).returncode == 0
    if verb == "pairs":  # what it answered too late is nobody's answer
        assert lab.client.pairs("host", time.monotonic_ns()) == ([], True)


def test_down_ends_a_supervisor_that_is_stopped(faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = faulty()
    monkeypatch.setattr(launch, "PATIENCE", 0.3)
    with stopped(int(lab.client.record["pid"])):
        lab.close()


# ── no space ──────────────────────────────────────────────────────────────────────────────────────────────

FULL = """
import os, sys
from netlab.kernel import libc
place = sys.argv[1]
libc.mount("none", place, "tmpfs", 0, "size=400k")
os.environ["NETLAB_STATE"] = f"{place}/labs"
import netlab
from netlab.lab import state
with netlab.Lab(sys.argv[2]) as lab:
    def ballast():
        with open(f"{place}/ballast", "wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                pass
    before = state.read(lab.name).data
    ballast()
    try:
        lab.do("restart httpd")
    except netlab.MachineError as error:
        print(error.exit_code, error)
    assert state.read(lab.name).data == before
    assert lab.probe("client -> host:80", 4).outcome == "ok"
    assert lab.client.status()["phase"] == "committed"
    os.unlink(f"{place}/ballast")
    print(*lab.do("restart httpd"))
    assert lab.probe("client -> host:80", 4).outcome == "ok"
    assert not [name for name in os.listdir(lab.client.path) if name.startswith(".")]
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a disk of its own, which only root can mount")
def test_a_change_that_there_is_no_space_for(tmp_path: Path) -> None:
    """It is found out before anything is changed, and the disk is named."""
    apart = [
        "unshare",
        "-m",
        "--propagation",
        "private",
        sys.executable,
        "-c",
        FULL,
        str(tmp_path),
        str(SEED),
    ]
    done = subprocess.run(
        apart, cwd=SEED.parents[1], capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    error, event = done.stdout.splitlines()
    assert error.startswith(f"{MachineError.exit_code} ")
    assert f"No space left on device (the file system at {tmp_path} is full)" in error
    assert event.startswith("ContainerRestart")
