"""Labs that a Python program brings up, and that outlive it: ``netlab.up`` and ``netlab.attach``."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from support.labs import ROOT, SEED

import netlab as package
from netlab.lab import state
from netlab.model.errors import LabError, UsageError


@pytest.fixture
def known(netlab: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command line, and this process, with one state folder."""
    monkeypatch.setenv("NETLAB_STATE", netlab.env["NETLAB_STATE"])
    return netlab


def test_a_lab_from_python_outlives_the_program_and_is_everybodys(known: Any) -> None:
    name = known.name()
    program = f"import netlab; print(netlab.up({str(SEED)!r}, name={name!r}).name)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=known.env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [name]
    assert name in known("ls").stdout
    lab = package.attach(name)
    assert "peer 198.51.100.2 " in lab.exec("client", ["curl", "-s", "http://198.51.100.1/"]).stdout
    events, _ = lab.do("stop httpd")
    assert events
    known("exec", f"{name}.client", "--", "curl", "-s", "http://198.51.100.1/", code=7)

    pid = lab.record["pid"]
    again = package.up(SEED, name=name)  # what was stopped is started: the lab is changed, not built anew
    assert again.record["pid"] == pid
    assert again.exec("client", ["curl", "-s", "http://198.51.100.1/"]).returncode == 0
    assert package.up(SEED, name=name).record["pid"] == pid
    assert "unchanged" in known("up", SEED, "--name", name).stderr

    known("down", name)
    with pytest.raises(LabError, match="is gone"):
        lab.status()
    with pytest.raises(UsageError, match=f"no lab '{name}'"):
        package.attach(name)


def test_a_lab_of_a_program_is_not_taken_from_it(known: Any) -> None:
    name = known.name()
    with package.Lab(SEED, name=name) as lab:
        with pytest.raises(LabError, match="belongs to process"):
            package.up(SEED, name=name)
        assert lab.exec("client", ["true"]).returncode == 0


def test_wrong_arguments_are_named_and_nothing_is_left(known: Any) -> None:
    with pytest.raises(UsageError, match="allow_programs: 1 is not True or False"):
        package.up(SEED, allow_programs=1)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="engine: "):
        package.up(SEED, engine="docker-99")
    assert state.records() == []
