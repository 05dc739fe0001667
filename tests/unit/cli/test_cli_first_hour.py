"""``netlab gallery`` and ``netlab init``: scenarios for somebody who has just installed netlab."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from netlab.cli import gallery_page
from netlab.cli.main import main
from netlab.lab.load import load_plan
from netlab.model.plan import Node, Plan
from netlab.model.problem import Position

NOWHERE = Position("-", 1, 1)
ROOT = Path(__file__).parents[3]

COMPOSE = """
services:
  web: {image: nginx, ports: ["8080:80", "8443:443"], volumes: ["data:/data"]}
  worker: {image: shop-worker}
volumes: {data: {}}
"""


def planned(*files: Path) -> Plan:
    return load_plan(files)


def test_the_gallery_lists_every_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    names = sorted(path.stem for path in (ROOT / "scenarios").glob("*.yaml"))
    assert main(["gallery"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == names
    assert main(["gallery", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["scenarios"]
    assert [entry["name"] for entry in listed] == names
    assert all(entry["question"] and entry["claim"] for entry in listed)


def test_a_scenario_is_written_with_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["gallery", "ufw-docker"]) == 0
    assert planned(Path("ufw-docker.yaml")).expect
    for name in ("ufw-docker.yaml", "ufw-docker/after.rules"):
        assert (tmp_path / name).read_text() == (ROOT / "scenarios" / name).read_text()
    (tmp_path / "ufw-docker.yaml").write_text("mine")
    capsys.readouterr()
    assert main(["gallery", "ufw-docker"]) == 2
    assert (tmp_path / "ufw-docker.yaml").read_text() == "mine"
    assert "ufw-docker.yaml is there already" in capsys.readouterr().err
    assert main(["gallery", "ufw-docker", "--force", "-o", "other.yaml"]) == 0
    assert main(["gallery", "httpd", "-o", "-"]) == 0
    assert capsys.readouterr().out == (ROOT / "scenarios/httpd.yaml").read_text()


def test_a_name_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gallery", "ufw"]) == 2
    assert "did you mean ufw-deny or ufw-docker or ufw-" in capsys.readouterr().err


def test_an_installed_netlab_has_the_gallery_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netlab/cli").mkdir(parents=True)
    (tmp_path / "netlab/gallery").mkdir()
    (tmp_path / "netlab/gallery/httpd.yaml").touch()
    monkeypatch.setattr(gallery_page, "__file__", str(tmp_path / "netlab/cli/gallery_page.py"))
    assert gallery_page.scenarios() == {"httpd": str(tmp_path / "netlab/gallery/httpd.yaml")}
    assert 'scenarios = "netlab/gallery"' in (ROOT / "pyproject.toml").read_text()


def without_positions(nodes: Iterable[Node]) -> list[Node]:
    """Commands come from other lines of other files."""
    return [
        replace(node, commands=tuple(replace(rule, position=NOWHERE) for rule in node.commands))
        for node in nodes
    ]


def test_init_includes_the_folder_s_compose_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / "compose.override.yaml").write_text("services: {web: {hostname: shop}}\n")
    assert main(["init"]) == 0
    text = (tmp_path / "netlab.yaml").read_text()
    plan = planned(tmp_path / "netlab.yaml")
    assert plan.node("web").hostname == "shop"
    plain = planned(tmp_path / "compose.yaml", tmp_path / "compose.override.yaml")
    assert without_positions(plan.nodes) == without_positions(plain.nodes)
    assert main(["init"]) == 2
    assert main(["init", "--force"]) == 0
    assert (tmp_path / "netlab.yaml").read_text() == text


def test_what_init_comments_out_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    assert main(["init", str(tmp_path)]) == 0
    plain = planned(tmp_path / "netlab.yaml")
    text = (tmp_path / "netlab.yaml").read_text()
    body, _, examples = text.partition("  # services:")
    uncommented = re.sub(r"^( +)# ", r"\1", body, flags=re.MULTILINE)
    (tmp_path / "netlab.yaml").write_text(uncommented)
    assert planned(tmp_path / "netlab.yaml").nodes == plain.nodes
    (tmp_path / "netlab.yaml").write_text(
        uncommented + re.sub(r"(?m)^  # ", "  ", "  # services:" + examples)
    )
    everything = planned(tmp_path / "netlab.yaml")
    assert [r.port for r in everything.node("worker").responders] == [8000]
    assert [entry.pattern.text for entry in everything.expect] == [
        "client -> host:8080",
        "client -> host:8443",
    ]
    assert len(everything.node("host").commands) == 1


def test_init_of_an_empty_folder_and_of_a_scenario(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(tmp_path)]) == 0
    assert planned(tmp_path / "netlab.yaml").publications
    other = tmp_path / "other"
    other.mkdir()
    (other / "compose.yaml").write_text(COMPOSE + "x-netlab: {host: {engine: docker-28}}\n")
    assert main(["init", str(other)]) == 2
    assert "is a scenario already" in capsys.readouterr().err


def test_what_is_written_follows_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = tmp_path / "outside"
    folder = tmp_path / "folder"
    for place in (outside, folder):
        place.mkdir()
    monkeypatch.chdir(folder)
    Path("httpd.yaml").symlink_to(outside / "dangling")
    assert main(["gallery", "httpd"]) == 2
    assert list(outside.iterdir()) == []
    Path("netlab.yaml").symlink_to(outside / "victim")
    assert main(["init", "--force"]) == 0
    assert list(outside.iterdir()) == []
    assert not Path("netlab.yaml").is_symlink()
    Path("ufw-docker").symlink_to(outside)
    assert main(["gallery", "ufw-docker"]) == 2
    assert list(outside.iterdir()) == []


def test_init_opens_what_the_loader_takes_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("compose.yaml").write_bytes(b"services: {a: {image: '\xff'}}\n")
    assert main(["init"]) == 2
    assert not Path("netlab.yaml").exists()
    Path("compose.yaml").unlink()
    os.mkfifo("compose.yaml")
    assert main(["init"]) == 0  # there is no Compose file: nothing waits for what a FIFO gives
    assert "include" not in Path("netlab.yaml").read_text()
