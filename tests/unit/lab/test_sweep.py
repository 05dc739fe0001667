"""Sweeps: the order of results and errors, cancelling, and work as text. Nothing is built."""

from __future__ import annotations

import json
import os
import select
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from netlab.journey.matrix import Selection
from netlab.lab.load import load_scenario
from netlab.lab.prediction import Prediction, predicted_column
from netlab.lab.sweep.cluster import address_of
from netlab.lab.sweep.parcel import opened, pack
from netlab.lab.sweep.sweep import Item, Threads, in_order, sweep
from netlab.lab.sweep.worker import work
from netlab.model.errors import LabError, MachineError, UsageError
from netlab.model.problem import ScenarioError
from netlab.plan import make
from netlab.scenario import Sources
from netlab.scenario.files import recording

ROOT = Path(__file__).parents[3]


def items(*results: Any) -> list[Item[Any]]:
    """Items that give a value, or raise an error."""

    def item(value: Any) -> Any:
        if isinstance(value, BaseException):
            raise value
        return value

    return [Item(str(value), lambda value=value: item(value)) for value in results]


def test_results_come_in_order_and_once() -> None:
    gates = [threading.Event() for _ in range(4)]

    def wait(number: int) -> int:
        assert gates[number].wait(10)
        if number:
            gates[number - 1].set()
        return number

    gates[3].set()
    ready: list[int] = []
    made = [Item(str(number), lambda number=number: wait(number)) for number in range(4)]
    assert list(in_order(sweep(made, Threads(4)), ready.append)) == [0, 1, 2, 3]
    assert ready == [1, 2, 3, 4]


def test_the_error_of_the_first_item_is_raised_whoever_is_faster() -> None:
    second = threading.Event()

    def slow() -> None:
        assert second.wait(10)
        raise LabError("the first")

    def fast() -> None:
        second.set()
        raise LabError("the second")

    with pytest.raises(LabError, match="the first"):
        list(sweep([Item("", slow), Item("", fast)], Threads(2)))


def test_after_an_error_nothing_more_begins() -> None:
    begun: list[int] = []
    rest = [Item(str(number), lambda number=number: begun.append(number)) for number in range(50)]
    with pytest.raises(LabError):
        list(sweep([*items(LabError("x")), *rest], Threads(1)))
    assert len(begun) < 50


def test_leaving_a_sweep_ends_it() -> None:
    begun: list[int] = []

    def one(number: int) -> int:
        begun.append(number)
        select.select([], [], [], 0.01)
        return number

    running = sweep([Item(str(n), lambda n=n: one(n)) for n in range(500)], Threads(2))
    next(running)
    running.close()
    count = len(begun)
    assert count < 500
    select.select([], [], [], 0.05)
    assert len(begun) == count


def test_items_that_wait_do_so_at_once() -> None:
    waiting = [Item(str(n), lambda: select.select([], [], [], 0.25)) for n in range(16)]

    def taken(jobs: int) -> float:
        start = time.monotonic()
        assert len(list(sweep(waiting, Threads(jobs)))) == 16
        return time.monotonic() - start

    assert taken(1) / taken(4) >= 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("192.0.2.1:8786", "is not dask://HOST:PORT"),
        ("dsk://h:1", "did you mean dask://?"),
        ("dask://h", "such as dask://192.0.2.1:8786"),
        ("dask://h:99999", "is not dask://HOST:PORT"),
        ("dask://:8786", "is not dask://HOST:PORT"),
    ],
)
def test_what_is_no_address(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        address_of(text)
    assert words in str(caught.value)


def test_an_address() -> None:
    assert address_of("dask://[2001:db8::1]:8786") == "tcp://[2001:db8::1]:8786"


PROJECT = {
    "compose.yaml": (
        "include: [other/compose.yaml]\n"
        "services:\n"
        "  web: {image: nginx, ports: ['${PORT}:80']}\n"
        "x-netlab:\n"
        "  expect: [{flow: 'client -> host:${PORT}', ipv4: ok forward}]\n"
    ),
    "other/compose.yaml": "services: {db: {image: postgres}}\n",
    ".env": "PORT=8080\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of several files, whose folder is the current one."""
    folder = tmp_path / "shop"
    for name, text in PROJECT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.chdir(folder)
    return folder


def sent(what: str, files: list[str], options: dict[str, Any] | None = None, **more: Any) -> str:
    """A parcel of a scenario that was loaded here."""
    chosen = options or {}
    with recording() as read:
        try:
            plan = make(load_scenario(files, **chosen))
        except ScenarioError:
            plan = None
    return pack(what, [Sources(files)], chosen, read, plan, **more)


def answer(text: str, folder: Path, cwd: Path) -> Any:
    """What another process makes of a parcel, in another folder and without the files."""
    folder.mkdir()
    try:
        return opened(work(json.loads(text), str(folder)))
    finally:
        os.chdir(cwd)


@pytest.mark.parametrize("absolute", [False, True])
def test_a_parcel_is_all_that_is_needed(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absolute: bool
) -> None:
    monkeypatch.setenv("SECRET", "not to be sent")
    file = str(project / "compose.yaml") if absolute else "compose.yaml"
    wanted = Prediction(file).verify()
    text = sent("predict verify", [file])
    assert "not to be sent" not in text
    assert set(json.loads(text)["files"]) == {str(project / name) for name in PROJECT}
    for name in PROJECT:
        (project / name).unlink()
    found, warnings = answer(text, tmp_path / "elsewhere", project)
    assert list(found) == wanted
    assert str(found[0].claim.expectation.position).startswith(file)
    assert warnings == []


def test_variables_that_are_mentioned_are_sent(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "9090")
    text = sent("predict verify", ["compose.yaml"])
    monkeypatch.delenv("PORT")
    found, _ = answer(text, tmp_path / "elsewhere", project)
    assert str(found[0].claim.flow) == "client -> host:9090/tcp"


def test_a_column_and_its_selection(project: Path, tmp_path: Path) -> None:
    chosen = {"engine": "docker-28"}
    selection = Selection(origins=["client"], published=True)
    plan = make(load_scenario(["compose.yaml"], **chosen))  # type: ignore[arg-type]
    text = sent("predict matrix", ["compose.yaml"], chosen, label="x", selection=[["client"], [], True, True])
    found, _ = answer(text, tmp_path / "elsewhere", project)
    assert found == predicted_column("x", plan, selection)


def test_a_variant_that_is_refused_is_refused_there_too(project: Path, tmp_path: Path) -> None:
    (project / "compose.yaml").write_text("services: {web: {imag: nginx}}\n")
    text = sent("predict matrix", ["compose.yaml"], None, label="x", selection=None)
    found, _ = answer(text, tmp_path / "elsewhere", project)
    assert found.label == "x"
    assert "compose.yaml:1:" in found.refusal
    with pytest.raises(ScenarioError, match=r"^compose.yaml:1:"):
        answer(sent("predict verify", ["compose.yaml"]), tmp_path / "again", project)


def test_another_plan_is_an_error_and_no_result(project: Path, tmp_path: Path) -> None:
    parcel = json.loads(sent("predict verify", ["compose.yaml"]))
    parcel["digest"] = "0"
    with pytest.raises(MachineError, match="another version of netlab"):
        answer(json.dumps(parcel), tmp_path / "elsewhere", project)


def test_paths_in_a_parcel_lead_nowhere_else(project: Path, tmp_path: Path) -> None:
    parcel = json.loads(sent("predict verify", ["compose.yaml"]))
    parcel["files"]["/../../outside.txt"] = "x"
    answer(json.dumps(parcel), tmp_path / "elsewhere", project)
    assert (tmp_path / "elsewhere" / "outside.txt").exists()
    assert not (tmp_path.parent / "outside.txt").exists()
