"""An error crosses from one process to another as a message, and arrives as it was raised."""

from __future__ import annotations

import errno
import importlib
import inspect
import json
import pkgutil
import socket
import threading
import typing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlab
from netlab.engine.refusal import Refused
from netlab.measure import worker
from netlab.model.error_messages import from_message, to_message
from netlab.model.errors import LabError, MachineError, NetlabError, Unmeasured, UsageError
from netlab.model.problem import OptionName, Position, Problem, ScenarioError


def subclasses(kind: type[NetlabError]) -> set[type[NetlabError]]:
    found = {kind}
    for one in kind.__subclasses__():
        found |= subclasses(one)
    return found


def every_error() -> list[type[NetlabError]]:
    """Every class of netlab's errors, in whichever module it is."""
    for module in pkgutil.walk_packages(netlab.__path__, "netlab."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return sorted(
        (kind for kind in subclasses(NetlabError) if kind.__module__.startswith("netlab.")),
        key=lambda kind: kind.__name__,
    )


NUMBERS = st.integers(1, 10_000)
POSITIONS = st.builds(Position, st.text() | st.builds(OptionName, st.text()), NUMBERS, NUMBERS)
PROBLEMS = st.lists(st.builds(Problem, POSITIONS, st.text(), st.text(), st.text()))


def instances(kind: type[NetlabError]) -> st.SearchStrategy[NetlabError]:
    """Errors of a class, from the types that its constructor declares."""
    if not inspect.isfunction(kind.__init__):  # that of Exception, or of a builtin below it
        return st.builds(kind, st.text())
    hints = typing.get_type_hints(kind.__init__)
    names = [name for name in inspect.signature(kind.__init__).parameters if name != "self"]
    arguments = [PROBLEMS if name == "problems" else st.from_type(hints[name]) for name in names]
    return st.builds(kind, *arguments)


def crossed(error: BaseException, **options: Any) -> NetlabError:
    """The error at the other end of a socket."""
    return from_message(json.loads(json.dumps(to_message(error))), "measuring", **options)


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_every_error_arrives_as_it_was_raised(kind: type[NetlabError], data: st.DataObject) -> None:
    error = data.draw(instances(kind))
    if data.draw(st.booleans()):
        error.add_note(data.draw(st.text()))
    found = crossed(error)
    assert type(found) is type(error)
    assert found.args == error.args
    assert vars(found) == vars(error)
    assert found.exit_code == error.exit_code


def test_every_class_of_errors_is_tested() -> None:
    found = every_error()
    assert {Refused, ScenarioError, UsageError, MachineError, LabError, Unmeasured} <= set(found)


def test_positions_stay_files_or_options() -> None:
    found = crossed(
        ScenarioError(
            [
                Problem(Position(OptionName("engine"), 1, 1), "no"),
                Problem(Position("a", 2, 3), "b", "allow_programs", "helps"),
            ]
        )
    )
    assert str(found) == "engine: no\na:2:3: b; allow_programs helps"
    assert isinstance(found, ScenarioError)
    assert str(found.spelled(lambda name: f"--{name}")) == "--engine: no\na:2:3: b; --allow_programs helps"


def test_a_class_that_is_not_imported_here_becomes_the_one_above_it() -> None:
    message = to_message(Refused("network", "nw", "it overlaps"))
    message["kinds"][0] = "Elsewhere"
    found = from_message(message, "asking")
    assert type(found) is UsageError
    assert str(found) == "network nw: it overlaps"


def test_a_bug_arrives_with_its_traceback() -> None:
    def faulty() -> None:
        raise ZeroDivisionError("by zero")

    try:
        faulty()
    except ZeroDivisionError as error:
        found = crossed(error, bug=Unmeasured)
    assert type(found) is Unmeasured
    assert str(found) == "measuring: by zero"
    (note,) = found.__notes__
    assert "in faulty" in note


def test_what_ran_out_is_the_machines_error() -> None:
    found = crossed(OSError(errno.ENOSPC, "No space left on device", "/run/x"))
    assert type(found) is MachineError
    assert "/run/x" in str(found)


def test_the_measuring_process_sends_the_whole_error(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = (Problem(Position("a.yaml", 1, 2), "first"), Problem(Position("a.yaml", 3, 4), "second"))

    def fail(*_: object, **__: object) -> None:
        raise ScenarioError(problems)

    monkeypatch.setattr(worker, "Session", fail)
    ours, theirs = socket.socketpair()
    serving = threading.Thread(target=worker.serve, args=(theirs, {}))
    serving.start()
    with pytest.raises(UsageError) as raised:
        worker.RemoteSession(ours)
    ours.shutdown(socket.SHUT_RDWR)
    serving.join()
    ours.close()
    theirs.close()
    assert isinstance(raised.value, ScenarioError)
    assert raised.value.problems == problems
    assert str(raised.value) == "a.yaml:1:2: first\na.yaml:3:4: second"


@pytest.mark.parametrize(
    ("kind", "builtin"), [(netlab.OptionError, ValueError), (netlab.NoLabError, LookupError)]
)
def test_errors_are_the_builtin_that_a_caller_expects(
    kind: type[NetlabError], builtin: type[Exception]
) -> None:
    assert issubclass(kind, builtin)
    assert issubclass(kind, UsageError)
    assert kind.exit_code == 2
