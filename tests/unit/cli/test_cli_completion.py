"""Completion: what a shell gets for the word that is being typed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from netlab.cli.complete import candidates
from netlab.cli.completion import SCRIPTS
from netlab.cli.verbs import VERBS


def words(*typed: str) -> list[str]:
    return [word for word, _ in candidates(typed)]


@pytest.fixture(autouse=True)
def some_labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETLAB_STATE", str(tmp_path / "labs"))
    monkeypatch.setattr("netlab.cli.complete_names._ROOTS_LABS", str(tmp_path / "root"))
    monkeypatch.setattr("netlab.lab.state.NETNS_DIR", str(tmp_path / "netns"))
    for lab in ("shop", "bank"):
        (tmp_path / "root" / lab).mkdir(parents=True)
    (tmp_path / "netns").mkdir()
    for name in ("shop.host", "shop.web", "bank.host", "foreign", "other.host"):
        (tmp_path / "netns" / name).touch()


def test_verbs_come_first() -> None:
    assert words("") == [*VERBS, "--help", "--version"]
    assert words("s") == [verb for verb in VERBS if verb.startswith("s")]
    assert words("-v", "exe") == ["exec"]


def test_options_of_the_verb() -> None:
    assert words("up", "--f") == ["--file", "--firewall"]
    assert "--json" in words("ls", "-")


def test_values_of_options() -> None:
    assert words("up", "--firewall", "u") == ["ufw"]
    assert "docker-20.10" in words("up", "--engine", "docker-")
    assert words("up", "-f", "") == [":files"]
    assert words("completion", "b") == ["bash"]


def test_profiles_of_this_folder_s_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert words("up", "--profile", "") == []
    (tmp_path / "compose.yaml").write_text(
        "services: {web: {image: a}, db: {image: b, profiles: [dev, debug]}, x: {profiles: [dev]}}\n"
    )
    assert words("up", "--profile", "") == ["dev", "debug"]
    assert words("matrix", "--profile", "deb") == ["debug"]


def test_places_of_an_exposure_are_those_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert words("exposure", "--from", "") == ["outside"]
    (tmp_path / "compose.yaml").write_text("services: {web: {image: a}}\n")
    (tmp_path / "other.yaml").write_text("services: {shop: {image: a}}\n")
    assert {"outside", "web", "host", "client", "ext0"} <= set(words("exposure", "--from", ""))
    assert words("exposure", "--to", "we") == ["web"]
    assert "ext0" not in words("exposure", "--to", "")
    assert words("exposure", "other.yaml", "--to", "s") == ["shop"]
    (tmp_path / "other.yaml").write_text("services: [wrong\n")
    assert words("exposure", "other.yaml", "--to", "s") == []


def test_names_of_labs_and_nodes_need_no_right() -> None:
    assert words("down", "") == ["bank", "shop"]
    assert words("down", "bank", "s") == ["shop"]
    assert words("exec", "shop.") == ["shop.host", "shop.web"]
    assert words("shell", "b") == ["bank", "bank.host"]
    assert "foreign" not in words("exec", "")


def test_a_command_of_a_node_is_the_shell_s_to_complete() -> None:
    assert words("exec", "shop.web", "") == [":commands"]
    assert words("exec", "shop.web", "ls", "--a") == [":commands"]
    assert words("exec", "-e", "A=1", "shop.w") == ["shop.web"]


def test_the_words_of_events() -> None:
    assert words("do", "s") == ["shop", "start", "stop"]
    assert words("do", "shop", "re") == ["restart", "remove", "reload", "reboot"]
    assert words("do", "shop", "restart", "") == ["daemon", "host", "web"]
    assert words("do", "shop", "restart", "daemon", "") == ["host", "web"]  # what a name is of is not public
    assert words("do", "shop", "reload", "") == ["firewall", "networks", "rules"]
    assert words("do", "reboot", "") == ["host"]
    assert words("do", "shop", "down", "link", "w") == ["web"]
    assert words("do", "shop", "run", "host", "") == [":commands"]
    assert words("do", "shop", "nonsense", "") == []


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_scripts_are_the_shells_language(shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([program, "-n"], input=SCRIPTS[shell], text=True, check=True)


def test_bash_asks_netlab(tmp_path: Path) -> None:
    launcher = tmp_path / "netlab"
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -m netlab "$@"\n')
    launcher.chmod(0o755)
    script = (
        "source <(netlab completion bash);"
        "COMP_WORDS=(netlab com); COMP_CWORD=1; _netlab; echo ${COMPREPLY[@]};"
        "COMP_WORDS=(netlab exec x -- ech); COMP_CWORD=4; _netlab; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, check=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    first, second = done.stdout.splitlines()
    assert first == "completion"
    assert "echo" in second.split()
