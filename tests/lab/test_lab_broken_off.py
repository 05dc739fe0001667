"""Ctrl-C in a program that holds a lab and goes on: the lab is gone, and another can be made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 150

#: Where an interrupt comes: at the first step of a function, or at its last.
STAGES = [
    ("call", "Launch.__init__"),
    ("return", "Launch.__init__"),
    ("call", "Lock.__init__"),
    ("return", "Lock._open"),
    ("return", "Lock.__init__"),
    ("return", "clear"),
    ("call", "Launch.start_building"),
    ("call", "Launch.take_report"),
    ("return", "Launch._greeted"),
    ("call", "Launch.commit"),
    ("return", "Launch.commit"),
    ("call", "Lock.__exit__"),
    ("return", "_build"),
    ("return", "Lab.__init__"),
    ("call", "Lab.__enter__"),
    ("return", "Lab.__enter__"),
    ("call", "Lab.__exit__"),
    ("call", "Lab.close"),
    ("call", "Launch.abandon"),
    ("call", "_ends_by_itself"),
    ("return", "Lab.close"),
]

DRIVER = """
import json, os, signal, sys
sys.setswitchinterval(1e-4)
import netlab
netlab.Lab

def run(event, name):
    def trace(frame, what, _):
        if frame.f_code.co_qualname == name and "/netlab/lab/" in frame.f_code.co_filename:
            if what == event:
                sys.settrace(None)
                frame.f_trace = None
                signal.raise_signal(signal.SIGINT)
            return trace
        return None
    try:
        sys.settrace(trace)
        with netlab.Lab(sys.argv[1]) as lab:
            pass
        if sys.gettrace() is not None:
            sys.settrace(None)
            return "never met"
        for _ in range(10**9):
            pass
    except KeyboardInterrupt:
        return "interrupted"

for event, name in json.loads(sys.argv[2]):
    ending = run(event, name)
    try:
        left = os.listdir(os.environ["NETLAB_STATE"])
    except FileNotFoundError:
        left = []
    children = open(f"/proc/self/task/{os.getpid()}/children").read().split()
    handler = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    descriptors = len(os.listdir("/proc/self/fd"))
    print(json.dumps([event, name, ending, left, children, handler, descriptors]), flush=True)
with netlab.Lab(sys.argv[1]) as lab:
    print(lab.probe("client -> host:80", 4).outcome)
"""


def drive(code: str, *arguments: str, state: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={"NETLAB_STATE": str(state), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def test_at_each_stage_of_a_lab(tmp_path: Path) -> None:
    done = drive(DRIVER, str(ROOT / "scenarios/httpd.yaml"), json.dumps(STAGES), state=tmp_path / "labs")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    *lines, last = done.stdout.splitlines()
    found = [json.loads(line) for line in lines]
    assert [(event, name) for event, name, *_ in found] == STAGES
    assert [rest[:4] for _, _, *rest in found] == [["interrupted", [], [], True]] * len(STAGES)
    descriptors = [line[-1] for line in found]
    assert descriptors == [descriptors[0]] * len(STAGES)
    assert last == "ok"


#: At every so-many-eth import of ``netlab.Lab`` and of its first use.
IMPORTS = """
import signal, sys
number, seen = int(sys.argv[2]), 0
def hook(event, arguments):
    global seen
    if event == "import":
        seen += 1
        if seen == number:
            signal.raise_signal(signal.SIGINT)
import netlab, netlab.lab.interrupts
sys.addaudithook(hook)
try:
    with netlab.Lab(sys.argv[1]) as lab:
        lab.probe("client -> host:80", 4)
    while True:
        pass
except KeyboardInterrupt:
    pass
with netlab.Lab(sys.argv[1]) as lab:
    print(lab.probe("client -> host:80", 4).outcome)
"""


@pytest.mark.parametrize("number", [1, 20, 60, 100, 140, 180])
def test_in_an_import(number: int, tmp_path: Path) -> None:
    done = drive(IMPORTS, str(ROOT / "scenarios/httpd.yaml"), str(number), state=tmp_path / "labs")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")
    assert list((tmp_path / "labs").iterdir()) == []
