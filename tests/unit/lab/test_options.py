"""An option is declared once, and found at every door: Python, the command line, the pytest marker."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest

import netlab
import netlab.scenario
from netlab.cli.arguments.scenario import add_scenario_options
from netlab.cli.main import main
from netlab.cli.scenarios import Files, read_group
from netlab.lab import options
from netlab.lab.load import load_scenario
from netlab.lab.options import OPTIONS, PATHS, TEXT, LabOption, LabOptions, declared
from netlab.model.errors import OptionError
from netlab.scenario import Sources
from netlab.testing.variants import MarkerError, Variant, Wish

SEED = str(Path(__file__).parents[3] / "scenarios/httpd.yaml")
ROOT = Path(__file__).parents[3]


class Toys(LabOptions, total=False):
    """A lab's options, and two that nobody else knows."""

    toy: Annotated[str | None, LabOption(TEXT, "a toy", "load", ("--toy",), "NAME")]
    toy_files: Annotated[list[str], LabOption(PATHS, "files of toys", "load", ("--toy-file",), "FILE")]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The keywords with which scenarios are loaded, while toys are options."""
    for name, option in declared(Toys).items():
        monkeypatch.setitem(OPTIONS, name, option)
    calls: list[dict[str, Any]] = []
    real = netlab.scenario.load

    def load(
        files: list[str], *, toy: str | None = None, toy_files: tuple[str, ...] = (), **more: Any
    ) -> Any:
        calls.append({"toy": toy, "toy_files": list(toy_files)})
        return real(files, **more)

    monkeypatch.setattr("netlab.lab.load.load", load)
    return calls


def on_command_line(*words: str, **doors: bool) -> argparse.Namespace:
    """Scenario options as a verb parses them."""
    parser = argparse.ArgumentParser()
    add_scenario_options(parser, **doors)
    return parser.parse_args([*words, SEED])


def by_command_line() -> None:
    read_group(
        on_command_line("--toy", "duck", "--toy-file", "a", "--toy-file", "b"), Files([Sources([SEED])])
    )


def by_python() -> None:
    load_scenario([SEED], **{"toy": "duck", "toy_files": ["a", "b"]})  # type: ignore[arg-type]


def by_marker() -> None:
    mark = pytest.mark.netlab(SEED, toy="duck", toy_files=["a", "b"]).mark
    (variant,) = Wish.of([mark]).variants([ROOT])
    load_scenario(variant.files, **variant.keywords)


@pytest.mark.parametrize("door", [by_command_line, by_python, by_marker])
def test_a_new_option_is_found_at_every_door(door: Callable[[], None], read: list[dict[str, Any]]) -> None:
    door()
    assert read == [{"toy": "duck", "toy_files": ["a", "b"]}]


def test_a_new_option_is_checked_by_the_lab(read: list[dict[str, Any]]) -> None:
    with pytest.raises(OptionError, match=r"^toy: 3 is not a string$") as caught:
        netlab.Lab(SEED, toy=3)  # type: ignore[call-arg]
    assert caught.value.option == "toy"
    assert read == []


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(TypeError, match=r"engin= is not an option of a lab \(did you mean engine=\?\)"):
        netlab.Lab(SEED, engin="docker")  # type: ignore[call-arg]
    with pytest.raises(MarkerError, match="engin="):
        Wish.of([pytest.mark.netlab(SEED, engin="docker").mark])


def test_the_plugin_names_its_labs() -> None:
    with pytest.raises(MarkerError, match="name="):
        Wish.of([pytest.mark.netlab(SEED, name="mine").mark])


@pytest.mark.parametrize(
    ("words", "keywords", "option", "message"),
    [
        (["--engine", "dokker"], {"engine": "dokker"}, "engine", 'unknown engine "dokker"'),
        (["--daemon", "icc"], {"daemon": ["icc"]}, "daemon", '"icc" is not KEY=VALUE'),
        (["--scale", "x=2"], {"scale": {"x": 2}}, "scale", 'there is no service "x"'),
        (["--project-name", "A!"], {"project_name": "A!"}, "project_name", ""),
        (["--project-directory", "/nowhere"], {"project_directory": "/nowhere"}, "project_directory", ""),
    ],
)
def test_each_door_spells_the_option_its_own_way(
    words: list[str], keywords: dict[str, Any], option: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(netlab.UsageError) as caught:
        netlab.load_plan([SEED], **keywords)
    assert str(caught.value).startswith(f"{option}: {message}")
    assert main(["plan", SEED, *words]) == 2
    assert f"--{option.replace('_', '-')}: {message}" in capsys.readouterr().err


def test_a_remedy_is_spelled_as_its_door_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "outside.yaml").write_text("services: {}\n")
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "lab.yaml").write_text("include: [../outside.yaml]\nservices: {a: {image: x}}\n")
    with pytest.raises(netlab.ScenarioError, match=r"; allow_outside_files lets it be read$"):
        netlab.load_plan([folder / "lab.yaml"])
    assert main(["plan", str(folder / "lab.yaml")]) == 2
    assert "; --allow-outside-files lets it be read\n" in capsys.readouterr().err


def test_only_verbs_that_may_run_programs_have_the_option() -> None:
    assert on_command_line("--allow-programs", programs=True).allow_programs
    with pytest.raises(SystemExit):
        on_command_line("--allow-programs")


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "name"])
def test_what_changes_a_scenario_cannot_change_a_plan(name: str) -> None:
    plan = netlab.load_plan([SEED])
    if OPTIONS[name].reader == "lab":
        return
    right = {
        "a string": "x",
        'a number or "seed:WORD"': 1,
        "a path": "x",
        "True or False": True,
        "a mapping of strings to strings": {},
    }
    with pytest.raises(OptionError, match=f"^{name}: cannot change an existing plan"):
        netlab.Lab(plan=plan, **{name: right.get(OPTIONS[name].kind.words, [])})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_documented(name: str) -> None:
    assert f"*{name}*" in (ROOT / "docs/python.md").read_text()
    if not OPTIONS[name].flags:
        assert options.declared(LabOptions)[name].marker
        return
    assert f"`{OPTIONS[name].flags[0]}" in (ROOT / "docs/verbs.md").read_text()


def test_a_variant_holds_what_the_marker_said() -> None:
    (one, other) = Wish.of([pytest.mark.netlab(SEED, engine=["docker-28", "docker-27"]).mark]).variants(
        [ROOT]
    )
    assert [one.keywords, other.keywords] == [{"engine": "docker-28"}, {"engine": "docker-27"}]
    assert isinstance(one, Variant)
