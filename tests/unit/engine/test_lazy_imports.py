"""Only the engine that is asked for is imported, and none where there is only something to render."""

from __future__ import annotations

import subprocess
import sys

import pytest

from netlab import engine
from netlab.engine.generations import GENERATIONS

LOADED = "print('\\n'.join(m for m in sys.modules if m.startswith('netlab.')))"


def loaded(statement: str) -> set[str]:
    """netlab's modules after a statement in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\n{LOADED}"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split())


def layouts(modules: set[str]) -> set[str]:
    """The folders of rules among some modules."""
    folders = {layout for _, layout in GENERATIONS.values()}
    return {folder for folder in folders if f"netlab.engine.{folder}" in modules}


def test_rendering_needs_no_engine() -> None:
    modules = loaded("import netlab.plan.render")
    assert "netlab.plan.render" in modules
    assert not {name for name in modules if name.startswith(("netlab.engine", "netlab.firewall"))}


def test_names_need_no_engine() -> None:
    assert not layouts(loaded("from netlab.engine import NAMES"))


@pytest.mark.parametrize("name", engine.NAMES)
def test_an_engine_brings_no_younger_layout(name: str) -> None:
    """A layout may be written as what it changes in an older one."""
    in_order = list(dict.fromkeys(layout for _, layout in GENERATIONS.values()))
    own = GENERATIONS[name][1]
    found = layouts(loaded(f"from netlab.engine import get; get({name!r})"))
    assert own in found
    assert found <= set(in_order[: in_order.index(own) + 1])


def test_every_generation_has_a_name_and_every_name_a_generation() -> None:
    assert tuple(GENERATIONS) == engine.NAMES
    assert engine.NEWEST in engine.NAMES
