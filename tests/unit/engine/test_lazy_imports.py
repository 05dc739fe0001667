"""Only the engine that is asked for is imported, and none where there is only something to render."""

from __future__ import annotations

import subprocess
import sys

import pytest

from netlab import engine
from netlab.engine.docker.generations import layout_of
from netlab.engine.docker.traits import Traits
from netlab.model.version import engine_version

LOADED = "print('\\n'.join(m for m in sys.modules if m.startswith('netlab.')))"
#: every layout, in the order in which Docker had them
ORDER = list(
    dict.fromkeys(
        layout_of(Traits(engine_version(name))) for name in ("docker-27", "docker-28.0.0", *engine.NAMES[7:])
    )
)


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
    return {folder for folder in ORDER if f"netlab.engine.{folder}" in modules}


def test_rendering_needs_no_engine() -> None:
    modules = loaded("import netlab.plan.render")
    assert "netlab.plan.render" in modules
    assert not {name for name in modules if name.startswith(("netlab.engine", "netlab.firewall"))}


def test_names_need_no_engine() -> None:
    assert not layouts(loaded("from netlab.engine import NAMES"))


@pytest.mark.parametrize("name", engine.NAMES)
def test_an_engine_brings_no_younger_layout(name: str) -> None:
    """A layout may be written as what it changes in an older one."""
    own = layout_of(Traits(engine_version(name)))
    found = layouts(loaded(f"from netlab.engine import get; get({name!r})"))
    assert own in found
    assert found <= set(ORDER[: ORDER.index(own) + 1])


def test_every_layout_is_known() -> None:
    assert ORDER == ["docker_20_10", "docker_28_0_0", "docker_28", "docker_29", "docker_29_nftables"]
    assert engine.NEWEST in engine.NAMES
