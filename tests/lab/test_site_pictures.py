"""The pictures of the documentation: from real labs, each in its place, and never missing in silence."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

import netlab

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def pictures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_pictures", DOCS / "site" / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_is_drawn_and_has_its_place(
    pictures: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETLAB_STATE", str(tmp_path / "labs"))
    words = pictures.draw(tmp_path / "pictures")
    assert list(words) == list(pictures.PLACES)
    for name, (page, line) in pictures.PLACES.items():
        assert f"{line}\n" in (DOCS / f"{page}.md").read_text()
        text = (tmp_path / "pictures" / f"{name}.svg").read_text()
        assert ElementTree.fromstring(text).tag.endswith("svg")
        assert words[name].endswith(".")
    both = (tmp_path / "pictures/both-families.svg").read_text()
    assert "DOCKER-USER" in both
    assert "docker-proxy" in both
    assert "docker-proxy" not in (tmp_path / "pictures/no-proxy.svg").read_text()
    assert "docker_httpd" in (tmp_path / "pictures/topology.svg").read_text()


def test_without_a_lab_there_is_an_error(
    pictures: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise netlab.MachineError("no user namespaces here")

    monkeypatch.setattr(netlab, "Lab", refused)
    with pytest.raises(pictures.NoPicturesError, match="none comes up here: no user namespaces here"):
        pictures.draw(tmp_path)
    assert list(tmp_path.iterdir()) == []
