"""What is said of engines: it is counted and computed, not claimed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.captures import CAPTURES, ENGINES

from netlab import engine
from netlab.cli.main import main
from netlab.engine.about import BESIDE, RECORDED
from netlab.model.engine_about import EngineAbout
from netlab.model.engine_names import PODMAN
from netlab.model.version import engine_version

PAGE = Path(__file__).parents[3] / "docs" / "conformance.md"


def _engine_of(folder: str) -> str:
    name = ENGINES[folder]
    return name if name in PODMAN or name.endswith("-nftables") else engine_version(name).generation.name


def test_recordings_are_counted() -> None:
    counted: dict[str, set[tuple[str, int, int]]] = {}
    for folder in ENGINES:
        configurations = [path for path in (CAPTURES / folder).iterdir() if path.is_dir()]
        flows = sum(
            len((path / "flows.jsonl").read_text().splitlines())
            for path in configurations
            if (path / "flows.jsonl").exists()
        )
        version = folder.removeprefix("podman-")
        counted.setdefault(_engine_of(folder), set()).add((version, len(configurations), flows))
    said = {name: {(r.version, r.configurations, r.flows) for r in found} for name, found in RECORDED.items()}
    assert said == counted


def test_the_versions_of_conformance_are_those_of_its_page() -> None:
    """Those of Podman are not on it: the machine's own is taken."""
    head = next(line for line in PAGE.read_text().splitlines() if line.startswith("| configuration |"))
    columns = re.findall(r"((?:docker|podman)-\S+) \(([^)]+)\)", head)
    found: dict[str, tuple[str, ...]] = {}
    for name, version in columns:
        found[name] = (*found.get(name, ()), version)
    assert found == {name: versions for name, versions in BESIDE.items() if name not in PODMAN}


def _settings(one: EngineAbout) -> dict[str, str]:
    return dict(one.settings)


def test_settings_and_effects_are_those_of_the_version() -> None:
    old, new = engine.about_engine("docker-26"), engine.about_engine("docker-28")
    assert (_settings(old)["ip6tables"], _settings(new)["ip6tables"]) == ("false", "true")
    assert "allow-direct-routing" not in _settings(old)
    assert _settings(engine.about_engine("docker-29-nftables"))["firewall-backend"] == "nftables"
    assert dict(new.leaves)["policy of FORWARD in iptables"] == "DROP"
    podman = engine.about_engine("podman")
    assert (podman.name, podman.also) == ("podman-5-nftables", "podman")
    assert dict(podman.leaves)["0.0.0.0, port 8080"] == "conmon holds the port and never answers"
    assert "was not measured" in engine.about_engine("docker-27.3.1").versions


def test_all_are_listed_once() -> None:
    names = [one.name for one in engine.known()]
    assert names[: len(engine.NAMES) + len(PODMAN)] == [*engine.NAMES, *PODMAN]
    assert len(names) == len(set(names))


def test_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engines"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(engine.known())
    assert main(["engines", "podman-4", "docker-20.10"]) == 0
    shown = capsys.readouterr().out
    assert "containers.conf: firewall_driver" in shown
    assert "compared with recordings of 20.10.24" in shown
    assert main(["engines", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in document["engines"]] == [one.name for one in engine.known()]
    assert main(["engines", "podmna"]) == 2
    assert 'did you mean "podman"' in capsys.readouterr().err
