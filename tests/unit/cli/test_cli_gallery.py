"""The gallery's page is what the scenarios say of themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.cli.gallery_page import entry_of, main, markdown

ROOT = Path(__file__).parents[3]
GALLERY = sorted((ROOT / "scenarios").glob("*.yaml"))
AGAIN = "run: .venv/bin/python -m netlab.cli.gallery_page scenarios docs/gallery.md"

COMMENT = """\
# A title.
#
#    a ── b    The claim of a drawing is none
#
# Issue: moby#1, docker/docs#2
# Holds on: docker-20.10 to docker-27
# The question: what
# happens?
# The claim: a thing | happens.
services: {}
x-netlab:
  host:
    engine: docker-20.10
"""


def test_the_page_is_up_to_date() -> None:
    page = ROOT / "docs" / "gallery.md"
    assert page.read_text() == markdown(map(entry_of, GALLERY)), AGAIN


def test_the_page_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(COMMENT)
    assert main([str(tmp_path), str(tmp_path / "page.md")]) == 0
    row = (tmp_path / "page.md").read_text().splitlines()[-1]
    assert row.startswith(
        "| What happens? ([moby#1](https://github.com/moby/moby/issues/1)) ([docker/docs#2]("
    )
    assert row.endswith("`docker-20.10`; holds on docker-20.10 to docker-27 | A thing \\| happens. |")


@pytest.mark.parametrize("missing", ["# The claim: a thing | happens.\n", "    engine: docker-20.10\n"])
def test_a_scenario_without_claim_or_engine_is_refused(tmp_path: Path, missing: str) -> None:
    file = tmp_path / "one.yaml"
    file.write_text(COMMENT.replace(missing, ""))
    with pytest.raises(ValueError, match="states no claim, or the scenario names no engine"):
        entry_of(file)
