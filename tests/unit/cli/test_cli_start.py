"""The frame of the command line: what is imported, what is said, which exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from netlab import __version__
from netlab.cli.main import main
from netlab.cli.run import parsed, parser_of
from netlab.cli.verbs import VERBS, load

SEED = str(Path(__file__).parents[3] / "scenarios/httpd.yaml")
HEAVY = {
    "yaml",
    "rich",
    "scapy",
    "pyroute2",
    "asyncio",
    "ctypes",
    "subprocess",
    "socket",
    "pathlib",
    "dataclasses",
}


@pytest.mark.parametrize("arguments", [["ls"], ["ls", "--json"], ["--help"], ["--version"]])
def test_what_must_be_instant_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    program = (
        "import sys; before = set(sys.modules)\n"
        "from netlab.cli.main import main\n"
        f"code = main({arguments!r})\n"
        "print(code, *(set(sys.modules) - before), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={"NETLAB_STATE": str(tmp_path)}
    )
    code, *modules = done.stderr.split()
    assert code == "0"
    assert "netlab.cli.main" in modules
    assert not HEAVY & set(modules)


@pytest.mark.parametrize("verb", ["down", "exec", "clean"])
def test_what_only_talks_to_a_lab_imports_no_plan(verb: str) -> None:
    program = f"import sys, netlab.cli.{verb}; print(*(m for m in sys.modules if m.startswith('netlab.')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    packages = {name.split(".")[1] for name in done.stdout.split()}
    assert "lab" in packages
    assert not {"scenario", "plan", "engine", "firewall", "journey"} & packages
    assert "netlab.model.plan" not in done.stdout.split()


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for verb, about in VERBS.items():
        assert f"  {verb} " in shown
        assert about in shown


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: netlab {verb} ")
    parser, module = parser_of(verb), load(verb)
    assert callable(module.run)
    assert all(action.help for action in parser._actions)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"netlab {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "usage: netlab"),
        (["upp"], "did you mean up?"),
        (["--frobnicate"], "no option '--frobnicate'"),
        (["up", "--enginee", "x"], "unrecognized arguments: --enginee"),
        (["completion"], "the following arguments are required: shell"),
        (["up", "/nonexistent/file.yaml"], "/nonexistent/file.yaml"),
        (["up", "a.yaml", "b.yaml", "--name", "x"], "--name names one lab"),
        (["down", ".etc"], "cannot be the name of a lab"),
    ],
)
def test_usage_errors_are_exit_2(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("NETLAB_STATE", str(tmp_path))
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""
    assert "Traceback" not in said.err


def test_verbose_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-v", "down", ".etc"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "netlab", "completion", "bash"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141


def test_no_scenario_in_the_folder_is_reported(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETLAB_STATE", str(tmp_path / "state"))
    assert main(["up"]) == 2
    assert (
        "neither this folder nor one above it has a netlab.yaml or a Compose file" in capsys.readouterr().err
    )


@pytest.mark.parametrize("arguments", [("plan", SEED), ("plan", SEED, "--json"), ("--help",)])
def test_a_reader_that_left_is_no_traceback(arguments: tuple[str, ...]) -> None:
    """As with ``netlab plan … | head -1``."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as gone:
        done = subprocess.run(
            [sys.executable, "-m", "netlab", *arguments], stdout=gone, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    "arguments",
    [
        ("lab", "-4", "a -> b"),
        ("-4", "lab", "a -> b"),
        ("lab", "a -> b", "-4"),
        ("--json", "lab", "-4", "a -> b"),
    ],
)
def test_options_stand_anywhere(arguments: tuple[str, ...]) -> None:
    parser = parser_of("probe")
    args = parsed(parser, list(arguments))
    assert (args.lab, args.flows, args.family) == ("lab", ["a -> b"], 4)


def test_what_belongs_to_a_command_is_left_to_it() -> None:
    parser = parser_of("exec")
    args = parsed(parser, ["-e", "A=1", "host", "ls", "-e", "--json"])
    assert (args.env, args.node, args.command) == (["A=1"], "host", ["ls", "-e", "--json"])


@pytest.mark.parametrize("verb", VERBS)
def test_help_fits_the_terminal_where_it_can_be_wrapped(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples and tables keep their lines; everything else fits 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    parser = parser_of(verb)
    wrapped = parser.format_help().partition("examples:\n")[0]
    assert [line for line in wrapped.splitlines() if len(line) > 88] == []


def test_warnings_of_a_scenario_go_to_stderr_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("services: {a: {image: x, networks: [n]}}\nnetworks: {n: {driver: overlay}}\n")
    reason = 'networks.n: the driver "overlay" is not supported, only bridge is'
    assert main(["plan", str(file)]) == 2
    assert f"{file}:2:24: {reason}" in capsys.readouterr().err
    for arguments in (["plan", "--json"], ["diff", "--engine", "docker-20.10", "--engine", "docker-28"]):
        verb, *options = arguments
        assert main([verb, str(file), "--lenient", *options]) in (0, 1)
        assert capsys.readouterr().err == f"{file}:2:24: warning: {reason}\n"


def test_modules_and_entry_points_of_the_current_folder_are_not_imported(tmp_path: Path) -> None:
    for name in ("yaml", "rich", "json", "evil"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')\n")
    installed = tmp_path / "evil-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[netlab.engines]\nevil = evil:ENGINE\n")
    (tmp_path / "compose.yaml").write_text("services: {web: {image: nginx}}\n")
    for options, code in ((), 0), (("--engine", "evil"), 2):
        done = subprocess.run(
            [sys.executable, "-m", "netlab", "plan", *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert "imported" not in done.stderr
    assert 'unknown engine "evil"' in done.stderr
