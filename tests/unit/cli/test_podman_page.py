"""The page for whoever moves from Docker to Podman is what netlab diff predicts."""

from __future__ import annotations

from pathlib import Path

from netlab.cli.podman_page import NAMES, main, markdown

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_is_up_to_date(tmp_path: Path) -> None:
    written = (DOCS / "docker-to-podman.md").read_text()
    assert written == markdown(DOCS / "docker-to-podman"), "run: python -m netlab.cli.podman_page docs"
    (tmp_path / "docker-to-podman").symlink_to(DOCS / "docker-to-podman")
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / "docker-to-podman.md").read_text() == written


def test_every_scenario_is_on_the_page() -> None:
    assert {path.stem for path in (DOCS / "docker-to-podman").iterdir()} == set(NAMES)
